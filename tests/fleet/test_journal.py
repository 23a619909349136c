"""A full disk on the controller (F11): the rollout stops before the next host, and what it did can be read."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.rollout.journal import Journal, OnReserve, open_run
from fleetdeploy.rollout.journal.reading import Records
from fleetdeploy.rollout.journal.record import JOURNAL, Record
from fleetdeploy.rollout.journal.recorded_run import RecordedRun, RunState
from fleetdeploy.rollout.journal.writing import RESERVE_BYTES
from tests.fleet.faults.means import rounds
from tests.fleet.onlooker import available, drained, everything, machines, most_out, serves, traffic
from tests.fleet.project import Project, Result

FULL = "the journal cannot be written: No space left on device"
RUN = "20260101T000000Z-ab12"


@contextmanager
def disk(place: Path, *, kib: int) -> Iterator[Path]:
    """A file system with that much room, mounted there while the block runs."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "small", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> None:
    """Use up all room that is left."""
    with (place / "filler").open("wb", buffering=0) as file:
        until_full(lambda: file.write(b"x" * 4096))


def until_full(write: Callable[[], object]) -> tuple[int, int]:
    """How many records a journal took, and how often it said that they are in its reserve."""
    taken = warned = 0
    while True:
        try:
            write()
        except OnReserve:
            warned += 1
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return taken, warned
        taken += 1


# The files themselves


def test_on_a_full_disk_the_end_of_a_run_is_recorded(tmp_path: Path) -> None:
    """The reserve takes thousands of records; then none is half-written, and every one that was taken can be read."""
    with disk(tmp_path / "disk", kib=RESERVE_BYTES // 1024 + 64) as place:
        journal = open_run(place, RUN)
        event = Event(Kind.STEP_PROGRESS, 1.0, RUN, "gpu1", "stage", "x" * 150)
        journal(event)
        fill(place)
        taken, warned = until_full(lambda: journal(event))
        journal.close()
        assert (warned, taken > 2000) == (1, True)
        run = RecordedRun.read(place / RUN)
        assert (run.records, run.torn, run.damage) == (taken + 1, False, None)


def test_a_line_that_a_full_disk_cut_is_closed_by_the_next_run(tmp_path: Path) -> None:
    """In a file that several runs append to, a part of a record stays on a line of its own."""
    with disk(tmp_path / "disk", kib=16) as place:
        events = place / "events.jsonl"
        first = Journal(events)
        until_full(lambda: first(Event(Kind.STEP_PROGRESS, 1.0, RUN, message="x" * 150)))
        first.close()
        assert not events.read_bytes().endswith(b"\n"), "the room was no multiple of a record"
        cut = events.read_bytes()
        (tmp_path / "events.jsonl").write_bytes(cut)
        second = Journal(tmp_path / "events.jsonl")
        second(Event(Kind.RUN_STARTED, 2.0, RUN))
        second.close()
        content = (tmp_path / "events.jsonl").read_bytes()
        assert content.startswith(cut + b'\n{"n": 1, ')
        assert content.endswith(b'"}\n')


# The rollout


def records(project: Project) -> list[Record]:
    """Those of the only run."""
    (directory,) = (project.state / "runs").iterdir()
    return list(Records(directory / JOURNAL, run=directory.name))


def begun_after(found: list[Record], at: int) -> set[str]:
    """Hosts with a first step of their play behind the ``at``-th record."""
    begun, late = set[str](), set[str]()
    for record in found:
        if record.kind == Kind.PLAY_STARTED:
            begun = set()
        if record.kind == Kind.STEP_STARTED:
            late |= {record.host} - begun if record.n > at else set()
            begun.add(record.host)
    return late


def safe(lab: Lab, result: Result, says: str = FULL) -> None:
    """The run failed, said why, and left every host on one proven version and in service."""
    assert result.code in {3, 4}, str(result)
    assert says in result.last_line, str(result)
    served = {host: available(lab, host) for host in machines(lab)}
    assert all(versions in ([1], [2]) for versions in served.values()), served
    for host, versions in served.items():
        serves(lab, versions[0], hosts=[host])
    assert result.code == (4 if [2] in served.values() else 3), str(result)
    assert traffic(lab) == {host: {"UP"} for host in machines(lab)}
    assert drained(lab) == []


@pytest.mark.fault("F11")
@pytest.mark.parametrize("kib", rounds([16, 20, 24], in_ci=1))
def test_a_disk_that_fills_in_the_middle_stops_before_the_next_host(lab: Lab, served: Project, kib: int) -> None:
    """The host at hand is finished or taken back, no other is begun, the end is recorded; with room it converges."""
    roomy, served.state = served.state, served.root / "small"
    served.want(version=2)
    with disk(served.state, kib=RESERVE_BYTES // 1024 + kib):
        with most_out(lab) as out:
            result = served.deploy(expect=None)
        safe(lab, result)
        assert max(map(len, out)) <= 1, out
        (directory,) = (served.state / "runs").iterdir()
        run = RecordedRun.read(directory)
        assert (run.state, run.exit_code, run.last_line) == (RunState.FINISHED, result.code, result.last_line)
        assert (run.torn, run.damage) == (False, None)
        lines = (directory / JOURNAL).read_bytes().splitlines(keepends=True)
        ends = [sum(map(len, lines[:count])) for count in range(1, len(lines) + 1)]
        room = kib * 1024 - (directory / "wanted.json").stat().st_blocks * 512
        fails = next(n for n, end in enumerate(ends, 1) if end > room)
        assert begun_after(records(served), fails) == set()
    served.state = roomy
    served.deploy()
    serves(lab, 2)
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"


@pytest.mark.long
@pytest.mark.fault("F11")
def test_a_full_disk_of_the_events_file_is_told_in_the_journal(lab: Lab, served: Project) -> None:
    """Where ``--events`` cannot be written the run stops as well, and its own journal holds all of it."""
    roomy, served.state = served.state, served.root / "another"
    served.want(version=2)
    with disk(served.root / "small", kib=12) as place:
        result = served.deploy("--events", str(place / "events.jsonl"), expect=None)
        full = "the file of --events cannot be written: No space left on device"
        safe(lab, result, f"{full} ({place}/events.jsonl)")
        assert records(served)[-1].message == result.last_line
    served.state = roomy
    served.deploy()
    serves(lab, 2)


@pytest.mark.long
@pytest.mark.fault("F11")
def test_a_disk_without_room_for_a_journal_is_refused_first(lab: Lab, served: Project) -> None:
    """A few KiB are not enough to record how a run ends: exit 5, nothing is touched, and nothing is left there."""
    before = everything(lab)
    served.want(version=2)
    with disk(served.root / "small", kib=24) as served.state:
        result = served.deploy(expect=5)
        assert "the journal cannot be made: No space left on device" in result.stderr
        assert "--state-dir" in result.stderr
        assert list((served.state / "runs").iterdir()) == []
    assert everything(lab) == before
