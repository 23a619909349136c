"""The stand-in's image on a real Docker engine, held to what the contract says about TensorFlow Serving's image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fleetdeploy.lab import host as lab_host
from fleetdeploy.lab.fleet import Lab

REPOSITORY = Path(__file__).parents[2]
CASES = REPOSITORY / "tests" / "contract" / "test_contract_1_4_image.py"


@pytest.mark.long
def test_image_keeps_the_contract(lab: Lab, tmp_path: Path) -> None:
    """Every case of the contract's section on the image holds for the stand-in's, in the engine of one lab host."""
    socket = lab_host.path_on(lab.paths, lab.host("gpu1"), lab_host.DOCKER_SOCKET)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={tmp_path / 'inner'}",
            str(CASES),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "IMAGE": lab.images[0], "DOCKER_HOST": f"unix://{socket}"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "skipped" not in done.stdout
