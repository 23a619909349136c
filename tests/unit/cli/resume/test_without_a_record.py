"""Runs that ended before their first record, and what is left behind by those that did not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fleetdeploy.cli.changing import resumable
from fleetdeploy.cli.main import main
from fleetdeploy.rollout.journal.writing import Journal

from ..resumes import EARLY, MIDDLE, Shell, converged

pytestmark = pytest.mark.simulation

GHOST = "20990101T000000Z-ab12"
"""Newer than all others."""


def ghost(shell: Shell) -> None:
    directory = shell.path / "state" / "runs" / GHOST
    directory.mkdir()
    (directory / "events.jsonl").touch()


def test_a_run_without_a_record_hides_none_that_was_killed(shell: Shell) -> None:
    """`resume` goes on with the one that has something half-done; by its name it is told that it began nothing."""
    shell.killed(MIDDLE, "deploy")
    ghost(shell)
    named = shell("resume", GHOST)
    assert (named.code, named.err) == (0, f"nothing to resume: run {GHOST} has no record: it began nothing\n")
    assert shell("resume").code == 0
    converged(shell)


def test_a_run_without_a_record_stops_no_sync(shell: Shell) -> None:
    """Which looks at what earlier runs did whenever it has work to do."""
    ghost(shell)
    assert shell("sync", "-i", "inventory.yml").code == 0
    converged(shell)


def test_a_run_without_a_record_is_not_listed(shell: Shell) -> None:
    """Nothing can be told of it; who names it is told so, and the newest run is another."""
    (run,) = shell.runs()
    ghost(shell)
    assert main(["runs", "list", "--state-dir", "state"]) == 0
    assert [line.split()[0] for line in shell.project.capture()[0].splitlines()] == ["RUN", run]
    shown = shell.shown(GHOST)
    assert (shown.code, shown.out) == (2, "")
    assert f"run {GHOST} has no record: it began nothing" in shown.err


@pytest.mark.parametrize("words", [("deploy",), ("run", "-i", "inventory.yml", "gpu1", "--", "true")])
def test_a_file_of_events_that_cannot_be_opened_leaves_no_run(shell: Shell, words: tuple[str, ...]) -> None:
    """It is said by the option's name, before a run has its directory."""
    before = shell.runs()
    result = shell(words[0], "--events", "nowhere/e.jsonl", *words[1:])
    assert result.code == 2
    assert "error: --events nowhere/e.jsonl: cannot be opened: No such file or directory" in result.err
    assert shell.runs() == before


@pytest.mark.parametrize("words", [("deploy",), ("run", "-i", "inventory.yml", "gpu1", "--", "true")])
def test_a_full_disk_for_events_is_a_refusal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Nothing was touched, exit 5, and the run's own journal has that end."""
    append = Journal._append

    def full(journal: Journal, line: bytes) -> None:
        if journal.path.name == "e.jsonl":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(journal, line)

    monkeypatch.setattr(Journal, "_append", full)
    result = shell(words[0], "--events", "e.jsonl", *words[1:])
    assert result.code == 5
    assert "the file of --events cannot be written: No space left on device" in result.err
    assert "name another file with --events" in result.err
    *_, end = shell.events()
    assert (end["kind"], end["data"]["exit_code"]) == ("run_finished", 5)


def test_hosts_are_left_behind_by_a_run_that_was_cut_off(shell: Shell) -> None:
    """Those of the newest that is not done with, once it had switched one over; the run that asks is not meant."""
    runs = Path("state/runs").absolute()
    assert resumable.left_behind(runs, now="") == frozenset(), "the first deploy ended"
    shell.killed(EARLY, "deploy")
    assert resumable.left_behind(runs, now="") == frozenset(), "nobody was switched over"
    shell.killed(MIDDLE, "deploy")
    ghost(shell)
    *_, killed, _ = shell.runs()
    assert resumable.left_behind(runs, now=GHOST) == {"gpu1", "gpu2"}
    assert resumable.left_behind(runs, now=killed) == frozenset(), "the run itself"
    assert shell("deploy").code == 0
    assert resumable.left_behind(runs, now="") == frozenset(), "it has been brought to its end"


def test_hosts_are_left_behind_by_a_run_that_was_interrupted(shell: Shell) -> None:
    """One that somebody stopped is cut off as one that was killed; one that failed came to its own end."""
    runs = Path("state/runs").absolute()
    assert shell.interrupted(EARLY, "deploy").code == 130
    assert resumable.left_behind(runs, now="") == {"gpu1", "gpu2"}
    shell.at(MIDDLE, lambda: setattr(shell.world.hosts["gpu2"], "reachable", False))
    assert shell("deploy").code == 4
    assert resumable.left_behind(runs, now="") == frozenset()
