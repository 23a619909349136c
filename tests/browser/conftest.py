"""Headless Chromium, driven over WebDriver. Without one the tests fail: `make browser` installs it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

HERE = Path(__file__).parent

# The simulated fleet and the scenes of reports are beside the unit tests.
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "unit")]

NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Browser:
    """One tab. ``show`` opens a page of so many pixels; ``said`` and ``asked_for`` are since then."""

    driver: webdriver.Chrome

    def show(self, page: Path, *, width: int = 1280, theme: str = "light") -> None:
        self.asked_for()
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(page.as_uri())

    def said(self) -> list[str]:
        """What stands on the console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked_for(self) -> list[str]:
        """Every address that was asked for since the last call."""
        told = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [item["params"]["request"]["url"] for item in told if item["method"] == "Network.requestWillBeSent"]

    def js(self, text: str) -> Any:
        return self.driver.execute_script(text)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser that knows no network: every name leads nowhere."""
    programs = [
        next((path for name in names if (path := shutil.which(name))), "") for names in (NAMES, ["chromedriver"])
    ]
    assert all(programs), "no Chromium with its driver on this machine; install them: .ci/packages"
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(60)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
