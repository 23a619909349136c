"""How a journal is written, and what a full disk does to it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.errors import InputError, PreflightRefused
from fleetdeploy.rollout.journal import Journal, OfEvents, OnReserve, as_json, open_run, writing

FULL = OSError(errno.ENOSPC, "No space left on device")
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


def test_what_is_wrong_with_a_file_of_events_names_the_option(tmp_path: Path) -> None:
    """Who wrote ``--events`` is told of that, not of a journal: when it is opened, and when it cannot be written."""
    for path, why in ((tmp_path / "nowhere" / "e.jsonl", "cannot be opened: No such file"), (tmp_path, "cannot be")):
        with pytest.raises(InputError, match=f"^--events {path}: {why}"):
            Journal(path)
    journal = Journal(tmp_path / "e.jsonl")
    os.dup2(os.open("/dev/full", os.O_RDWR | os.O_CLOEXEC), journal._descriptor)
    with pytest.raises(OfEvents) as caught:
        journal(Event(Kind.SOAK_STARTED, 1.0, "r1"))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "e.jsonl"))
    journal.close()


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
