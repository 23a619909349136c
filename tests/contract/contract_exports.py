"""The suite's models, written by real TensorFlow once in a run, whichever process of the run asks for them first."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

EXPORT_DEADLINE_S: Final = 240


def shared_directory(factory: pytest.TempPathFactory) -> Path:
    """The run's directory, which the processes of pytest-xdist have in common."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def exported_by(script: str, factory: pytest.TempPathFactory) -> Path:
    """Models of an exporter in this directory, one numeric directory per version below each model's name."""
    shared = shared_directory(factory)
    done = shared / script.removesuffix(".py")
    with (shared / f"{script}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            partial = done.with_suffix(".partial")
            export = subprocess.run(
                [sys.executable, "-W", "ignore", str(Path(__file__).with_name(script)), str(partial)],
                capture_output=True,
                text=True,
                timeout=EXPORT_DEADLINE_S,
                check=False,
            )
            assert export.returncode == 0, export.stderr[-4000:]
            partial.rename(done)
    return done
