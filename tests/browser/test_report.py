"""A run's report in a real browser: it renders, filters, folds and prints, and nothing leaves the page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from report.html import scenes
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from fleetdeploy.domain.events import Event
from fleetdeploy.report.html.page import page
from fleetdeploy.report.story.run_story import RunStory
from tests.browser.conftest import Browser

SCENES: dict[str, Callable[[], Sequence[Event]]] = {
    "first": scenes.first_deploy,
    "rolling": scenes.rolling,
    "failing": scenes.failing,
    "all_back": scenes.all_back,
    "unfinished": scenes.unfinished,
    "many": scenes.many,
}
FOLDED = "return document.querySelectorAll('details:not([open])').length"
WIDER = """
return [...document.querySelectorAll("body *")]
  .filter((part) => !part.closest(".scrolls") && !part.closest("svg svg") && part.checkVisibility())
  .filter((part) => part.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((part) => part.outerHTML.slice(0, 120))
"""
CLIPPED = """
return [...document.querySelectorAll(".bar text")].filter((text) => text.checkVisibility())
  .filter((text) => text.getBBox().x + text.getBBox().width > text.parentElement.getBoundingClientRect().width)
  .map((text) => text.parentElement.outerHTML)
"""
CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
const rgba = (color) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = (color) => {
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = rgba(color).slice(0, 3).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (part) => {
  for (let at = part; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (rgba(color)[3] === 255) return color;
  }
  return getComputedStyle(document.body).backgroundColor;
};
const written = (part) => [...part.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
return [...document.querySelectorAll("body *")]
  .filter((part) => !part.closest("svg") && part.checkVisibility() && written(part))
  .map((part) => [part, light(getComputedStyle(part).color), light(ground(part))])
  .map(([part, a, b]) => [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), part.outerHTML.slice(0, 120)])
  .filter(([ratio]) => ratio < 4.5)
"""


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file for each scene, and one of a damaged journal."""
    folder, found = tmp_path_factory.mktemp("reports"), {}
    texts = {name: page(RunStory.of(events())) for name, events in SCENES.items()}
    texts["damaged"] = page(RunStory.of(scenes.failing()[:60]), damage="damaged at record 61: no hash", hint="look")
    for name, text in texts.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(text, encoding="utf-8")
    return found


def shown(browser: Browser, selector: str) -> list[str]:
    """The hosts whose parts can be seen."""
    return browser.js(  # type: ignore[no-any-return]
        f"return [...document.querySelectorAll('{selector}')].filter((part) => part.checkVisibility())"
        ".map((part) => part.dataset.host)"
    )


def until(browser: Browser, holds: Callable[[], Any]) -> None:
    WebDriverWait(browser.driver, 30).until(lambda _: holds())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("name", [*SCENES, "damaged"])
def test_it_renders_on_any_page(browser: Browser, reports: dict[str, Path], name: str, width: int, theme: str) -> None:
    """Nothing stands over the page's edge or its bar's, text can be read on its ground, nothing is said on the console
    or loaded.
    """
    browser.show(reports[name], width=width, theme=theme)
    assert browser.js("return document.documentElement.scrollWidth") <= width
    assert browser.js(WIDER) == []
    assert browser.js(CLIPPED) == []
    assert browser.js(CONTRAST) == []
    assert browser.js("return getComputedStyle(document.body).backgroundColor") == (
        "rgb(246, 247, 249)" if theme == "light" else "rgb(17, 22, 29)"
    )
    assert browser.said() == []
    assert set(browser.asked_for()) <= {reports[name].as_uri(), "data:,"}


def test_bars_stand_where_their_times_are(browser: Browser, reports: dict[str, Path]) -> None:
    """Every act has a bar that is drawn, as wide as its share of the axis, and says its times when pointed at."""
    browser.show(reports["failing"])
    bars = browser.js(
        "return [...document.querySelectorAll('.row.host .bar')].map((bar) => { const track ="
        " bar.parentElement.getBoundingClientRect(), at = bar.getElementsByTagName('rect')[0].getBoundingClientRect();"
        " return [bar.querySelector('title').textContent, at.width / track.width * 100, at.height,"
        " parseFloat(bar.getAttribute('width'))] })"
    )
    assert len(bars) == sum(len(host.spans) for host in RunStory.of(scenes.failing()).hosts.values())
    for title, width, height, told in bars:
        assert title.startswith("gpu")
        assert width == pytest.approx(told, abs=0.2)
        assert height == 18


@pytest.mark.parametrize("width", [375, 900, 1440])
@pytest.mark.parametrize("name", SCENES)
def test_every_play_has_its_name(browser: Browser, reports: dict[str, Path], name: str, width: int) -> None:
    """In its bar, or by its number beside the names that stand above; never both."""
    browser.show(reports[name], width=width)
    seen = "[...bar.querySelectorAll('text')].filter((text) => text.checkVisibility()).map((text) => text.textContent)"
    bars = browser.js(
        f"return [...document.querySelectorAll('.bar:has(.k-play)')].map((bar) => [bar.querySelector('title')"
        f".textContent, {seen}])"
    )
    names = browser.js(
        "return [...document.querySelectorAll('.plays li')].filter((item) => item.checkVisibility())"
        ".map((item) => item.textContent)"
    )
    assert len(bars) == len(RunStory.of(SCENES[name]()).plays)
    for number, (title, texts) in enumerate(bars, start=1):
        assert len(texts) <= 1
        called = title.removeprefix("play ").partition(":")[0]
        assert texts == [called] or f"{number} {called}" in names
    assert not names or any(texts != [title.removeprefix("play ").partition(":")[0]] for title, texts in bars)


def test_it_filters_by_text_and_by_outcome(browser: Browser, reports: dict[str, Path]) -> None:
    """Table, timeline and details show the hosts that fit, and how many they are; without a filter all of them."""
    browser.show(reports["failing"])
    words = browser.driver.find_element(By.ID, "words")
    rows, bars, parts = "tbody tr[data-host]", ".gantt .row[data-host]", "details.host"
    everyone = [f"gpu{number}" for number in range(1, 7)]
    assert shown(browser, rows) == shown(browser, bars) == shown(browser, parts) == everyone
    words.send_keys("WRONGLY golden")
    until(browser, lambda: shown(browser, rows) == ["gpu2"])
    assert shown(browser, bars) == shown(browser, parts) == ["gpu2"]
    assert browser.js("return document.getElementById('shown').textContent") == "1 of 6 hosts shown"
    words.clear()
    Select(browser.driver.find_element(By.ID, "state")).select_by_value("skipped")
    until(browser, lambda: shown(browser, rows) == everyone[2:])
    words.send_keys("gpu5")
    until(browser, lambda: shown(browser, parts) == ["gpu5"])
    assert browser.said() == []


def test_it_folds_and_unfolds(browser: Browser, reports: dict[str, Path]) -> None:
    """Hosts in trouble are open from the start; all are opened and closed at once; a link opens what it leads to."""
    opened = "return [...document.querySelectorAll('details.host[open]')].map((part) => part.dataset.host)"
    browser.show(reports["many"])
    assert browser.js(opened) == []
    browser.driver.find_element(By.LINK_TEXT, "gpu42").click()
    until(browser, lambda: browser.js(opened) == ["gpu42"])
    assert shown(browser, "details.host[open]") == ["gpu42"]
    browser.driver.find_element(By.ID, "unfold").click()
    until(browser, lambda: len(browser.js(opened)) == 100)
    browser.driver.find_element(By.ID, "fold").click()
    until(browser, lambda: browser.js(opened) == [])
    browser.show(reports["failing"])
    assert browser.js(opened) == ["gpu2"]


def test_it_is_read_without_its_script(browser: Browser, reports: dict[str, Path]) -> None:
    """Where no script runs there is no filter, and all the rest is there."""
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.show(reports["failing"])
        assert not browser.driver.find_element(By.ID, "filter").is_displayed()
        browser.driver.find_element(By.CSS_SELECTOR, "#host-0 summary").click()
        assert browser.driver.find_element(By.CSS_SELECTOR, "#host-0 table").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_its_policy_stops_what_is_not_its_own(browser: Browser, reports: dict[str, Path], tmp_path: Path) -> None:
    """A script, a style or an address that got into the page after all is refused by the browser."""
    text = reports["failing"].read_text(encoding="utf-8")
    bad = (
        "<script>document.title = 'stolen'</script><img src='http://example.net/x.png' onerror='document.title = 1'>"
        "<link rel='stylesheet' href='http://example.net/x.css'><p style='position: fixed' id='bad'>x</p>"
    )
    file = tmp_path / "bad.html"
    file.write_text(text.replace("<main>", f"<main>{bad}"), encoding="utf-8")
    browser.show(file)
    assert browser.driver.title == "fleetdeploy deploy: failed, fleet mixed (2026-01-01 00:00:20Z)"
    assert browser.js("return getComputedStyle(document.getElementById('bad')).position") == "static"
    assert sum("Content Security Policy" in line for line in browser.said()) >= 4


def test_it_prints(browser: Browser, reports: dict[str, Path]) -> None:
    """It becomes a PDF of some pages, light whatever the screen is, with every host's steps on it; what was folded
    on the screen is folded again.
    """
    browser.show(reports["failing"], theme="dark")
    # Called behind the page's own.
    browser.js(
        "addEventListener('beforeprint', () => { window.atPrint = [...document.querySelectorAll('details')]"
        ".map((part) => part.open) })"
    )
    folded = browser.js(FOLDED)
    assert folded > 0
    printed = base64.b64decode(browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert printed.startswith(b"%PDF-")
    assert 2 <= printed.count(b"/Type /Page\n") <= 12
    opened = browser.js("return window.atPrint")
    assert len(opened) >= 6
    assert all(opened)
    assert browser.js(FOLDED) == folded
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert browser.js("return getComputedStyle(document.body).color") == "rgb(27, 36, 48)"
        assert not browser.driver.find_element(By.ID, "filter").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_what_is_not_printed_is_told(browser: Browser, reports: dict[str, Path]) -> None:
    """Of many hosts those that are folded stay so on paper, and say that; what is unfolded says nothing."""
    browser.show(reports["many"])
    marks = (
        "return [...document.querySelectorAll('details')].filter((part) => part.checkVisibility())"
        ".map((part) => [part.open, getComputedStyle(part.querySelector('summary'), '::after').content])"
    )
    assert {mark for _, mark in browser.js(marks)} == {"none"}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        folded = '" (folded: not printed)"'
        assert all(mark == ("none" if is_open else folded) for is_open, mark in browser.js(marks))
        assert {is_open for is_open, _ in browser.js(marks)} == {True, False}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.driver.find_element(By.ID, "unfold").click()
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert [mark for is_open, mark in browser.js(marks)] == ["none"] * len(browser.js(marks))
        assert len(browser.js(marks)) > 100
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
