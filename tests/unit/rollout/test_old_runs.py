"""Which runs are forgotten, and which are not, where there are too many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.rollout.journal import open_run, writing

BEGAN, ENDED = Event(Kind.PLAY_STARTED, 1.0, "r"), Event(Kind.RUN_FINISHED, 2.0, "r", message="OK")
STARTED = Event(Kind.RUN_STARTED, 0.0, "r", message='deploy -e kind="play_started"')


def run(runs: Path, number: int, *events: Event, wanted: bool = False, old: bool = False, keep: int = 99) -> str:
    """A run that wrote these events, and kept what it was for; its name."""
    name = f"20260101T{number:06}Z-aa"
    journal = open_run(runs, name, keep=keep)
    for event in (STARTED, *events):
        journal(event)
    journal.close()
    if wanted:
        (runs / name / "wanted.json").write_text("{}")
    if old:
        os.utime(runs / name / "events.jsonl", (0, 0))
    return name


def left(runs: Path) -> list[str]:
    return sorted(path.name for path in runs.iterdir())


def test_runs_that_were_turned_away_go_first(tmp_path: Path) -> None:
    """A cron job that is refused for days pushes out no run that changed something."""
    real = run(tmp_path, 1, BEGAN, ENDED, wanted=True)
    for number in range(2, 6):
        newest = run(tmp_path, number, ENDED, keep=3)
    assert left(tmp_path) == [real, "20260101T000004Z-aa", newest]


def test_what_is_unfinished_is_never_forgotten(tmp_path: Path) -> None:
    """A run that began a play and has no end is what `resume` is for, however old it is and whatever it kept."""
    killed = [run(tmp_path, number, BEGAN, wanted=number == 1, old=True) for number in (1, 2)]
    for number in range(3, 8):
        newest = run(tmp_path, number, BEGAN, ENDED, wanted=True, keep=1)
    assert left(tmp_path) == [*killed, newest]


def test_a_run_that_waits_is_not_forgotten(tmp_path: Path) -> None:
    """Another run that has begun nothing yet keeps its journal, until it has been silent for a day."""
    waiting, dead = run(tmp_path, 1), run(tmp_path, 2, old=True)
    newest = run(tmp_path, 3, BEGAN, ENDED, wanted=True, keep=1)
    assert dead not in left(tmp_path)
    assert left(tmp_path) == [waiting, newest]


def test_the_oldest_of_those_that_ended_goes(tmp_path: Path) -> None:
    """Where all changed something, the newest are kept."""
    for number in range(6):
        run(tmp_path, number, BEGAN, ENDED, wanted=True, keep=3)
    assert [name[9:15] for name in left(tmp_path)] == ["000003", "000004", "000005"]


def test_only_journals_that_go_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hundreds of runs a new one reads one journal of them and no more."""
    for number in range(30):
        run(tmp_path, number, BEGAN, ENDED, wanted=True)
    read: list[Path] = []
    real = writing._may_go

    def counted(directory: Path, *, idle: bool) -> bool:
        read.append(directory)
        return real(directory, idle=idle)

    monkeypatch.setattr(writing, "_may_go", counted)
    run(tmp_path, 30, keep=30)
    assert [path.name[9:15] for path in read] == ["000000"]
