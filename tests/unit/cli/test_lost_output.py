"""A standard output that cannot be written, as on a full disk: one line says so, and no exit code is a bug's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import Project

LOST = "error: standard output cannot be written: No space left on device; make room there, or send it elsewhere"


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """From its call on nothing finds any room that is printed there."""
    with Path("/dev/full").open("w") as file:
        yield lambda *names: [monkeypatch.setattr(f"sys.{name}", file) for name in names or ("stdout",)]


@pytest.mark.simulation
def test_a_run_keeps_its_exit_code(project: Project, fill: Callable[..., None]) -> None:
    """What it did is not undone by a full disk: the loss is told once, and the last line is the run's."""
    fill()
    result = project.run("deploy", "--json")
    assert (result.code, result.last_line) == (0, "OK: 2 of 2 hosts changed")
    assert result.err.splitlines().count(LOST) == 1
    assert "Traceback" not in result.err


@pytest.mark.simulation
def test_a_refusal_keeps_its_exit_code(project: Project, fill: Callable[..., None]) -> None:
    """Also where it was to be told as JSON, on that very output."""
    fill()
    project.world.hosts["gpu1"].reachable = False
    result = project.run("deploy", "--json")
    assert (result.code, result.last_line) == (5, LOST)


@pytest.mark.simulation
def test_nobody_hears_of_it_where_standard_error_is_full_as_well(project: Project, fill: Callable[..., None]) -> None:
    """As a cron job's is that writes both to one log: the exit code is true all the same."""
    fill("stdout", "stderr")
    assert project.run("deploy", "--json").code == 0


@pytest.mark.simulation
@pytest.mark.parametrize("words", [("inventory", "list"), ("plan",), ("plan", "--json"), ("validate",)])
def test_what_only_shows_something_has_failed(
    project: Project, fill: Callable[..., None], words: tuple[str, ...]
) -> None:
    """Exit 2: what it was to write to cannot be used, as a file that is named with -o."""
    fill()
    result = project.run(*words)
    assert (result.code, result.last_line) == (2, LOST)
    assert "Traceback" not in result.err


@pytest.mark.programs
def test_a_process_ends_with_that_code() -> None:
    """And Python says nothing of its own when it flushes at exit."""
    with Path("/dev/full").open("w") as file:
        command = [sys.executable, "-m", "fleetdeploy", "docs"]
        ended = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
        silent = subprocess.run(command, stdout=file, stderr=file, check=False, timeout=120)
    assert (ended.returncode, ended.stderr, silent.returncode) == (2, f"{LOST}\n", 2)
