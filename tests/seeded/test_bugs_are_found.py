"""The suite proves itself: each seeded bug makes it fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.seeded.bugs import BUGS

ROOT = Path(__file__).parents[2]
FAILED = 1
"""pytest's exit status for tests that failed; a run that could not begin, or had no tests, ends with another one."""


@pytest.mark.parametrize("name", BUGS)
def test_the_suite_finds_it(name: str) -> None:
    """With this bug in the product, the tests that are there to find it fail, and by a test, not by a crash."""
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "tests.seeded.plugin"]
    done = subprocess.run(
        [*argv, *BUGS[name].found_by], cwd=ROOT, env={**os.environ, "SEEDED_BUG": name},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == FAILED, f"{BUGS[name].what}: not found\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    assert "\nFAILED " in done.stdout, done.stdout[-3000:]


def test_a_bug_that_is_none_ends_the_run() -> None:
    """A misspelt bug is refused: a run without any bug must not pass for one in which it was looked for."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "tests.seeded.plugin", "--collect-only", "tests/seeded"]
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, "SEEDED_BUG": "no-such-bug"}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode not in {0, FAILED}
