"""How a journal is written, what a full disk does to it, and that no rollout goes on without one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from simulation.clock import VirtualClock
from simulation.controller import Run, deploy, plays
from simulation.model_server import Quality
from simulation.world import World, converged

from fleetdeploy.domain.events import Event, Kind, Sink
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.errors import InputError, PreflightRefused, RolloutFailed
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.journal import Journal, OnReserve, as_json, open_run, writing

from .fleets import NEW_IMAGE, V1, V2, new, settled, spoil, untrue

FULL = OSError(errno.ENOSPC, "No space left on device")
SAYS = "the journal cannot be written: No space left on device"
STARTED = Event(Kind.STEP_STARTED, 1.5, "r1", host="gpu1", task="drain", message="drain it", data={"service": "a"})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# What is written


def test_a_record_is_a_private_line_that_a_person_can_read(tmp_path: Path) -> None:
    """Number, time and kind come first, the chain last; empty fields are left out, and nobody else may read it."""
    journal = open_run(tmp_path, "r1")
    journal(STARTED)
    journal(Event(Kind.RUN_FINISHED, 2.0, "r1"))
    journal.close()
    first, second = lines(journal.path)
    assert list(first) == ["n", "time_s", "kind", "run", "host", "task", "message", "data", "prev", "hash"]
    assert list(second) == ["n", "time_s", "kind", "run", "prev", "hash"]
    assert (first["n"], first["prev"], second["n"], second["prev"]) == (1, "", 2, first["hash"])
    assert {name: first[name] for name in json.loads(as_json(STARTED))} == json.loads(as_json(STARTED))
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


def test_a_hash_can_be_checked_without_us(tmp_path: Path) -> None:
    """It is the SHA-256, half of it, of the line's own bytes before it."""
    journal = open_run(tmp_path, "r1")
    journal(STARTED)
    body, _, rest = journal.path.read_text().partition(', "hash"')
    assert rest == f': "{hashlib.sha256(body.encode()).hexdigest()[:32]}"}}\n'
    journal.close()


def test_names_and_control_characters_stay_on_their_line(tmp_path: Path) -> None:
    """Whatever a message holds, a record is one line of ASCII: no terminal is moved, no reader sees two lines."""
    journal = open_run(tmp_path, "r1")
    journal(Event(Kind.STEP_PROGRESS, 1.0, "r1", message="a\nb\u2028c\x9b1mü\udc80"))
    journal.close()
    assert journal.path.read_bytes().isascii()
    assert journal.path.read_bytes().count(b"\n") == 1


def test_a_record_is_synced_before_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file after each record, and every directory that was made for it, before the first one."""
    synced = list[tuple[str, int]]()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((str(place.relative_to(tmp_path)), place.stat().st_size if place.is_file() else -1))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    journal = open_run(tmp_path / "state" / "runs", "r1")
    assert {place for place, _ in synced} == {"state/runs/r1", "state/runs", "state", "."}
    del synced[:]
    for _ in range(2):
        journal(STARTED)
        assert synced.pop() == ("state/runs/r1/events.jsonl", journal.path.stat().st_size)
    journal.close()


def test_a_file_that_is_there_is_never_a_run_s_journal(tmp_path: Path) -> None:
    """A run writes what it made itself: neither a file, nor a directory of that name, nor a link is taken over."""
    (tmp_path / "r1").mkdir()
    kept = tmp_path / "r1" / "events.jsonl"
    kept.write_bytes(b"{")
    with pytest.raises(InputError, match="File exists"):
        open_run(tmp_path, "r1")
    with pytest.raises(InputError, match="File exists"):
        Journal(kept, own=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="File exists"):
        Journal(tmp_path / "link", own=True)
    assert kept.read_bytes() == b"{"
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_never_removes_its_own_journal(tmp_path: Path) -> None:
    """A controller whose clock was set back keeps the journal of the run at hand, whatever is newer by name."""
    for number in range(4):
        (tmp_path / f"2026010{number}T000000Z-aa").mkdir()
        os.utime(tmp_path / f"2026010{number}T000000Z-aa", (0, 0))
    journal = open_run(tmp_path, "19700101T000000Z-aa", keep=1)
    journal(STARTED)
    journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["19700101T000000Z-aa"]


def test_the_events_of_several_runs_are_chains_of_their_own(tmp_path: Path) -> None:
    """Each run that appends to a file begins at record 1, and closes the line that a killed one left."""
    path = tmp_path / "events.jsonl"
    for run in ("r1", "r2"):
        journal = Journal(path)
        for time_s in (1.0, 2.0):
            journal(Event(Kind.SOAK_STARTED, time_s, run))
        journal.close()
    path.write_bytes(path.read_bytes() + b'{"n": 1, "ti')
    journal = Journal(path)
    assert path.read_bytes().endswith(b'"ti'), "a run that does nothing changes nothing"
    for time_s in (1.0, 2.0):
        journal(Event(Kind.SOAK_STARTED, time_s, "r3"))
    journal.close()
    *whole, torn, first, second = path.read_text().splitlines()
    assert torn == '{"n": 1, "ti'
    found = [json.loads(line) for line in (*whole, first, second)]
    assert [(item["run"], item["n"]) for item in found] == [(f"r{run}", n) for run in (1, 2, 3) for n in (1, 2)]
    assert [item["prev"] == "" for item in found] == [True, False] * 3


def test_only_a_file_can_be_appended_to(tmp_path: Path) -> None:
    """A pipe would let the rollout wait for its reader; it is refused at once, and so is a directory."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        Journal(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot be opened"):
        Journal(tmp_path)


# A full disk


WRITE = os.write


class Disk:
    """Stands in for ``os.write``: ``room`` bytes, and more once the reserve is given back; a write may be cut short."""

    def __init__(self, room: int, *, reserve: int, number: int = errno.ENOSPC) -> None:
        self.room, self.reserve, self.number = room, reserve, number

    def __call__(self, descriptor: int, data: Any) -> int:
        if self.room <= 0:
            raise OSError(self.number, os.strerror(self.number))
        count = WRITE(descriptor, bytes(data)[: self.room])
        self.room -= count
        return count


@pytest.fixture
def on_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Journal, Disk]]]:
    """A run's journal on a disk with that many bytes beside the reserve."""
    opened = list[Journal]()

    def on(room: int, **disk: int) -> tuple[Journal, Disk]:
        journal, full = open_run(tmp_path, f"r{len(opened) + 1}"), Disk(room, **disk)
        opened.append(journal)
        assert journal._reserve is not None
        close = journal._reserve.close

        def give_back() -> None:
            close()
            full.room += full.reserve

        monkeypatch.setattr(journal._reserve, "close", give_back, raising=False)
        monkeypatch.setattr(os, "write", full)
        return journal, full

    yield on
    for journal in opened:
        journal.close()


def test_the_reserve_takes_what_the_disk_does_not(on_full_disk: Callable[..., tuple[Journal, Disk]]) -> None:
    """The record that met the full disk is written all the same, and told once; those behind follow it."""
    size = len(as_json(STARTED)) + 120
    for room in (0, 1, size, 2 * size - 1):
        journal, _ = on_full_disk(room, reserve=10 * size)
        raised = []
        for number in range(6):
            try:
                journal(STARTED)
            except OnReserve as error:
                raised.append((number, error.errno, error.filename))
        assert [item[1:] for item in raised] == [(errno.ENOSPC, str(journal.path))]
        assert [item["n"] for item in lines(journal.path)] == [1, 2, 3, 4, 5, 6]


def tell_again(journal: Journal, times: int) -> None:
    for _ in range(times):
        journal(STARTED)


def test_beyond_the_reserve_only_whole_records_are_left(on_full_disk: Callable[..., tuple[Journal, Disk]]) -> None:
    """A record that finds no room at all leaves no part of it, and those before it are as they were."""
    journal, _ = on_full_disk(0, reserve=600)
    with pytest.raises(OnReserve):
        journal(STARTED)
    with pytest.raises(OSError, match="No space left") as caught:
        tell_again(journal, 9)
    assert not isinstance(caught.value, OnReserve)
    found = lines(journal.path)
    assert len(found) in {2, 3}
    assert [item["n"] for item in found] == list(range(1, len(found) + 1))


def test_another_error_leaves_the_reserve_alone(on_full_disk: Callable[..., tuple[Journal, Disk]]) -> None:
    """A disk that is broken is not a full one: the error is raised as it is."""
    journal, _ = on_full_disk(10, reserve=4096, number=errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as caught:
        journal(STARTED)
    assert not isinstance(caught.value, OnReserve)
    assert journal.path.read_bytes() == b""


def test_a_disk_without_room_for_the_end_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose end might not be recorded does not begin: exit 5, and nothing of it is left."""

    def full(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(PreflightRefused, match="the journal cannot be made: No space left"):
        open_run(tmp_path, "r1")
    assert list(tmp_path.iterdir()) == []


def test_the_reserve_has_no_name(tmp_path: Path) -> None:
    """A killed run leaves its journal and nothing else, and the room is free again."""
    journal = open_run(tmp_path, "r1")
    assert journal._reserve is not None
    assert os.fstat(journal._reserve.fileno()).st_blocks * 512 >= writing.RESERVE_BYTES
    assert [path.name for path in journal.path.parent.iterdir()] == ["events.jsonl"]
    journal.close()


# What the rollout makes of it


class Breaks:
    """A sink that cannot be written from its ``at``-th record on, and keeps the others."""

    def __init__(self, at: int, error: OSError = FULL, *, once: bool = False) -> None:
        self.at, self.error, self.once = at, error, once
        self.asked, self.kept = 0, list[Event]()

    def __call__(self, event: Event) -> None:
        self.asked += 1
        if self.asked == self.at or (self.asked > self.at and not self.once):
            raise self.error
        self.kept.append(event)


def emitter(*journals: Sink) -> Emitter:
    return Emitter("r1", VirtualClock(), journals=journals)


@pytest.mark.parametrize(
    "kind",
    [Kind.RUN_STARTED, Kind.PLAN_MADE, Kind.PLAY_STARTED, Kind.WAVE_STARTED, Kind.STEP_STARTED, Kind.SOAK_STARTED],
)
def test_what_is_announced_is_not_done_without_a_journal(kind: Kind) -> None:
    """Every announcement raises, on whatever host, and not only the first one."""
    emit = emitter(Breaks(1))
    for host in ("gpu1", "gpu2"):
        with pytest.raises(RolloutFailed, match=SAYS) as caught:
            emit(kind, host=host)
        assert caught.value.exit_code == 3
        assert "--state-dir" in caught.value.hint


@pytest.mark.parametrize("kind", [Kind.STEP_FINISHED, Kind.STEP_PROGRESS, Kind.HOST_FINISHED, Kind.RUN_FINISHED])
def test_what_has_happened_is_told_without_raising(kind: Kind) -> None:
    """The end of an act that cannot be recorded changes nothing about it; what comes next is stopped."""
    emit = emitter(Breaks(1))
    emit(kind, host="gpu1")
    assert emit.failure == SAYS
    with pytest.raises(RolloutFailed):
        emit(Kind.STEP_STARTED, host="gpu2")


@pytest.mark.parametrize("way", [Kind.STEP_FAILED, Kind.REVERT_STARTED])
def test_a_host_on_its_way_back_is_not_stopped(way: Kind) -> None:
    """What failed or is taken back goes on without a journal, another host does not."""
    emit = emitter(Breaks(1))
    emit(way, host="gpu1")
    emit(Kind.STEP_STARTED, host="gpu1")
    with pytest.raises(RolloutFailed):
        emit(Kind.STEP_STARTED, host="gpu2")


def test_the_first_failure_is_the_one_that_is_told() -> None:
    """It names the file, so that somebody knows where to free space; secrets stay out of it."""
    error = OSError(errno.ENOSPC, "No space left on device", "/state/events.jsonl")
    emit = emitter(Breaks(1, error), Breaks(2, OSError(errno.EIO, "Input/output error")))
    for _ in range(3):
        emit(Kind.STEP_PROGRESS)
    assert emit.failure == "the journal cannot be written: No space left on device (/state/events.jsonl)"


@pytest.mark.parametrize("order", [1, -1])
def test_one_of_two_journals_goes_on(order: int) -> None:
    """Where the journal fails and ``--events`` does not, or the other way round, the one that works tells it all."""
    broken, works = Breaks(2), Breaks(99)
    emit = emitter(*[broken, works][::order])
    emit(Kind.RUN_STARTED)
    emit(Kind.STEP_FINISHED, host="gpu1")
    with pytest.raises(RolloutFailed):
        emit(Kind.STEP_STARTED, host="gpu1")
    emit(Kind.REVERT_STARTED, host="gpu1")
    assert [event.kind for event in works.kept] == [
        Kind.RUN_STARTED, Kind.STEP_FINISHED, Kind.STEP_STARTED, Kind.REVERT_STARTED
    ]  # fmt: skip
    assert broken.asked == 2, "nothing is put behind a hole"


def test_on_its_reserve_a_journal_goes_on() -> None:
    """One that wrote the record all the same gets those behind it, while the rollout stops."""
    journal = Breaks(1, OnReserve(errno.ENOSPC, "No space left on device"), once=True)
    emit = emitter(journal)
    emit(Kind.STEP_FINISHED, host="gpu1")
    with pytest.raises(RolloutFailed):
        emit(Kind.STEP_STARTED, host="gpu1")
    assert [event.kind for event in journal.kept] == [Kind.STEP_STARTED]


THREE = ("gpu1", "gpu2", "gpu3")


def broken_version(*names: str) -> World:
    world = settled(*names)
    spoil(world, 2, Quality.NO_VARIABLES)
    return world


SCENES: dict[str, tuple[Callable[..., World], DesiredService, dict[str, Any]]] = {
    "first deploy": (new, V1, {}),
    "reload": (settled, V2, {}),
    "replacement": (settled, NEW_IMAGE, {}),
    "a version that is taken back": (broken_version, V2, {}),
    "failures that may be many": (settled, V2, {"max_fail_percentage": 100}),
    "everything is taken back": (settled, V2, {"on_failure": OnFailure.REVERT_ALL}),
    "what is there stays": (settled, V2, {"on_failure": OnFailure.STOP}),
}


def begun_after(events: Sequence[Event], at: int) -> set[str]:
    """Hosts with a first step of their play behind the ``at``-th event."""
    begun, late = set[str](), set[str]()
    for number, event in enumerate(events, 1):
        if event.kind is Kind.PLAY_STARTED:
            begun = set()
        if event.kind is Kind.STEP_STARTED and number > at and event.host not in begun:
            late.add(event.host)
        if event.kind in {Kind.STEP_STARTED, Kind.REVERT_STARTED}:
            begun.add(event.host)
    return late


def judged(run: Run, world: World, before: Any, wanted: DesiredService, at: int) -> list[str]:
    """What is wrong with a run whose journal broke at its ``at``-th record."""
    found = untrue(world, before, wanted, run)
    if late := begun_after(run.events, at):
        found.append(f"begun after the failure: {late}")
    if run.code not in {0, 3, 4}:
        found.append(f"exit {run.code}")
    own = any(event.kind is Kind.ROLLOUT_STOPPED for event in run.events)
    if run.code and not own and SAYS not in run.last_line:
        found.append("the last line does not say what is the matter")
    return found


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("scene", "which"),
    [
        *((scene, "the journal") for scene in SCENES), ("reload", "--events"),
        *((scene, "both") for scene in ("a version that is taken back", "everything is taken back")),
        *((scene, "on its reserve") for scene in ("replacement", "a version that is taken back")),
    ],
)  # fmt: skip
def test_a_journal_that_breaks_at_any_record_stops_the_run_safely(scene: str, which: str) -> None:
    """Whichever record cannot be written: no host is begun after it, all end safe and truly told, and it converges."""
    start, wanted, keys = SCENES[scene]
    spoiled = scene == "a version that is taken back"
    count = len(deploy(start(*THREE), wanted, run_plays=plays(THREE, **keys)).events)
    assert count > (20 if spoiled else 60)
    wrong = []
    for at in range(1, count + 1):
        world = start(*THREE)
        before = world.serves_all()
        works = Breaks(999)
        sinks = {
            "the journal": [Breaks(at), works],
            "--events": [works, Breaks(at)],
            "both": [Breaks(at), Breaks(at + 3)],
            "on its reserve": [Breaks(at, OnReserve(errno.ENOSPC, "No space left on device"), once=True), works],
        }[which]
        run = deploy(world, wanted, sinks=sinks, run_plays=plays(THREE, **keys))
        found = judged(run, world, before, wanted, at)
        if which != "both" and works.kept != run.events:
            found.append("the sink that works was not told everything")
        again = deploy(world, wanted)
        found += converged(world, V1 if spoiled else wanted)
        if found or again.code != (3 if spoiled else 0):
            wrong.append((at, run.events[at - 1].kind.value, run.code, run.last_line, again.last_line, found))
    assert wrong == []


@pytest.mark.simulation
def test_a_journal_that_breaks_between_waves_takes_everything_back_where_that_is_wished() -> None:
    """With ``revert_all`` the hosts that were switched over go back, also where no host was at work: exit 3."""
    world = settled(*THREE)
    before = world.serves_all()

    def full(event: Event) -> None:
        if event.kind is Kind.WAVE_STARTED and event.data["wave"] == 2:
            raise FULL

    run = deploy(world, V2, sinks=[full], run_plays=plays(THREE, on_failure=OnFailure.REVERT_ALL))
    assert run.outcome is not None
    assert [item.state.value for item in run.outcome.hosts.values()] == ["reverted", "skipped", "skipped"]
    assert (run.code, world.serves_all() == before) == (3, True)
    assert SAYS in run.last_line
    assert untrue(world, before, V2, run) == []


@pytest.mark.simulation
@pytest.mark.parametrize("task", ["drain", "activate", "verify", "undrain"])
def test_the_last_host_of_all_says_what_is_the_matter(task: str) -> None:
    """Where nothing is left to do behind it, the last line still says that it was the journal."""
    world = settled("gpu1")
    before = world.serves_all()

    def full(event: Event) -> None:
        if event.kind is Kind.STEP_STARTED and event.task == task:
            raise FULL

    run = deploy(world, V2, sinks=[full], run_plays=plays(("gpu1",))[:-1])
    assert run.code == 3
    assert run.last_line.startswith(f"FAILED: {SAYS}; every host")
    assert untrue(world, before, V2, run) == []


@pytest.mark.simulation
def test_threads_that_wait_for_the_journal_do_not_begin_without_it() -> None:
    """Hosts that were about to begin side by side when it broke begin nothing either."""
    names = tuple(f"gpu{number}" for number in range(1, 9))
    for at in range(20, 40, 3):
        world = settled(*names)
        before = world.serves_all()
        journal = Breaks(at)
        run = deploy(world, V2, sinks=[journal], threads=True)
        done = {(event.host, event.task) for event in run.events if event.kind is Kind.STEP_FINISHED}
        known = {(event.host, event.task) for event in journal.kept if event.kind is Kind.STEP_STARTED}
        unknown = {step for step in done - known if step not in returned(run)}
        assert unknown == set()
        assert untrue(world, before, V2, run) == []
        assert run.code == 3


def returned(run: Run) -> set[tuple[str, str]]:
    """Steps of hosts on their way back."""
    back, found = set[str](), set[tuple[str, str]]()
    for event in run.events:
        if event.kind is Kind.REVERT_STARTED:
            back.add(event.host)
        if event.host in back:
            found.add((event.host, event.task))
    return found
