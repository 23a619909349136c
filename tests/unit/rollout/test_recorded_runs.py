"""How runs are found among many: all of them, those that did something, and one by its id."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.errors import InputError
from fleetdeploy.rollout.journal.record import JOURNAL
from fleetdeploy.rollout.journal.recorded_run import RecordedRun
from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns

from .stories import END, STORY, record, write

QUIET = (*STORY[:2], record(Kind.RUN_FINISHED, message="OK: 3 hosts, nothing to do", exit_code=0))
"""A timer's run that found nothing to do."""


def test_runs_are_listed_newest_first_among_whatever_else_is_there(tmp_path: Path) -> None:
    """Directories without a journal and files of others are passed over; damaged and torn runs are listed as such."""
    for number in range(1, 5):
        write(tmp_path, *STORY, *[END] * (number % 2), run=f"2026010{number}T000000Z-aa")
    path = tmp_path / "20260102T000000Z-aa" / JOURNAL
    path.write_bytes(path.read_bytes() + b'{"n"')
    path = tmp_path / "20260103T000000Z-aa" / JOURNAL
    path.write_bytes(path.read_bytes().replace(b"ranking", b"RANKING", 1))
    (tmp_path / "20260105T000000Z-aa").mkdir()
    (tmp_path / "a file").write_text("")
    (tmp_path / "20260106T000000Z-aa").symlink_to("nowhere")
    found = list(RecordedRuns.list(tmp_path))
    assert [(run.id[7], run.state.value, run.torn, run.damage is None) for run in found] == [
        ("4", "unfinished", False, True), ("3", "unknown", False, False),
        ("2", "unfinished", True, True), ("1", "finished", False, True),
    ]  # fmt: skip
    assert list(RecordedRuns.list(tmp_path / "missing")) == []
    assert list(RecordedRuns.list(tmp_path / "a file")) == []


def test_a_run_is_found_by_its_id_or_the_beginning_of_it(tmp_path: Path) -> None:
    """A beginning that several have, none has or that is empty is an error with the next thing to type."""
    for run in ("20260101T000000Z-aa", "20260101T000000Z-aabb", "20260202T000000Z-cc"):
        write(tmp_path, *STORY, run=run)
    assert RecordedRuns.find(tmp_path, "20260101T000000Z-aa").id == "20260101T000000Z-aa"
    assert RecordedRuns.find(tmp_path, "202602").id == "20260202T000000Z-cc"
    with pytest.raises(InputError, match="2 runs begin with '202601': 20260101T000000Z-aabb, 20260101T000000Z-aa"):
        RecordedRuns.find(tmp_path, "202601")
    with pytest.raises(InputError, match="there is no run '20260202T000000Z-dd'") as caught:
        RecordedRuns.find(tmp_path, "20260202T000000Z-dd")
    assert "did you mean '20260202T000000Z-cc'?" in caught.value.hint
    with pytest.raises(InputError, match="there is no run ''"):
        RecordedRuns.find(tmp_path, "")
    with pytest.raises(InputError, match=r"there is no run '\.\./x'"):
        RecordedRuns.find(tmp_path, "../x")
    with pytest.raises(InputError) as caught:
        RecordedRuns.find(tmp_path / "none", "2026")
    assert "no run has been recorded below" in caught.value.hint


# Those that did something


def ended(code: object) -> tuple[Event, ...]:
    return (*STORY[:2], record(Kind.RUN_FINISHED, message="the end", exit_code=code))


@pytest.mark.parametrize("code", [0, 6, 8, 10])
def test_a_run_without_a_step_that_ended_quietly_did_nothing(tmp_path: Path, code: int) -> None:
    """Converged, locked, without some hosts or held back: it is passed over and counted for the next that is told."""
    first = write(tmp_path, *STORY, END, run="20260101T000000Z-aa")
    for number in (2, 3):
        write(tmp_path, *ended(code), run=f"2026010{number}T000000Z-aa")
    assert [(run.id, newer) for run, newer in RecordedRuns.eventful(tmp_path)] == [(first.name, 2)]


@pytest.mark.parametrize(
    "events",
    [(*STORY, END), STORY, STORY[:2], ended(1), ended(3), ended(True), ended("0"), ended([0]), ended(None)],
)  # fmt: skip
def test_a_run_that_did_something_or_whose_end_is_not_known_is_told(tmp_path: Path, events: tuple[Event, ...]) -> None:
    """A step that was begun, a failure, no end, and one that makes no sense."""
    write(tmp_path, *events)
    assert len(list(RecordedRuns.eventful(tmp_path))) == 1


def test_a_quiet_end_that_is_not_whole_is_none(tmp_path: Path) -> None:
    """A last line that was cut off tells of no end."""
    path = write(tmp_path, *QUIET) / JOURNAL
    path.write_bytes(path.read_bytes()[:-1])
    assert len(list(RecordedRuns.eventful(tmp_path))) == 1


def test_runs_without_a_record_count_as_nobody(tmp_path: Path) -> None:
    """One that was killed before its first record is neither told nor counted, whatever else lies there as well."""
    first = write(tmp_path, *STORY, END, run="20260101T000000Z-aa")
    blank = write(tmp_path, *QUIET, run="20260102T000000Z-aa") / JOURNAL
    blank.write_bytes(b"")
    (tmp_path / "20260103T000000Z-aa").symlink_to("nowhere")
    assert [(run.id, newer) for run, newer in RecordedRuns.eventful(tmp_path)] == [(first.name, 0)]


def test_quiet_runs_are_passed_over_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two days of a timer are some six hundred journals with a record of every host."""
    first = write(tmp_path, *STORY, END, run="20260101T000000Z-aa")
    for number in range(2, 9):
        write(tmp_path, *QUIET, run=f"2026010{number}T000000Z-aa")
    read, opened = RecordedRun.read, list[str]()
    monkeypatch.setattr(RecordedRun, "read", lambda directory: opened.append(directory.name) or read(directory))
    assert [newer for _, newer in RecordedRuns.eventful(tmp_path)] == [7]
    assert opened == [first.name]
