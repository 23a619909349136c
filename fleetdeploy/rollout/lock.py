"""One run at a time on a host, of all runs that one user starts on this machine.

What is locked are the hosts, not the inventory file: the same hosts may be named in several ways. All locks are byte
ranges of one file, so a fleet of thousands costs one descriptor, and the kernel releases them when their holder ends,
however it ends (fcntl(2), "Open file description locks").
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.errors import InputError, LockHeld

_POLL_S = 0.2
_FLOCK = "hhqqi0q"
"""struct flock of Linux on 64 bits: type, whence, start, length, pid."""


@contextmanager
def hold(directory: Path, hosts: Collection[Host], run: str, clock: Clock, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the locks of ``hosts``, all or none. Raises LockHeld, with the owner, after ``wait_s`` seconds."""
    wanted = {_place(host): host.name for host in hosts}
    descriptor = _open(directory)
    owner = directory / f"{run}.json"
    try:
        _take_all(descriptor, directory, wanted, clock, wait_s)
        _forget_ended(directory, wanted)
        owner.write_text(json.dumps({**_owner(run, clock), "places": sorted(wanted)}), encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        os.close(descriptor)


def _open(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Not inherited by rsync and ssh: a child that outlives us must not keep the fleet locked.
        return os.open(directory / "hosts.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InputError(
            f"the lock cannot be opened: {error.strerror}", where=str(directory), hint="set XDG_STATE_HOME"
        ) from error


def _place(host: Host) -> int:
    """Where in the file a host's byte is: by its address, which is what two names of one host share."""
    name = f"{host.connection.address.lower()}:{host.connection.port or 22}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def _take_all(descriptor: int, directory: Path, wanted: dict[int, str], clock: Clock, wait_s: float) -> None:
    end = clock.monotonic_s() + wait_s
    while True:
        # In one order for everybody; and whoever does not get them all lets go of those it has.
        busy = next((place for place in sorted(wanted) if not _take(descriptor, place)), None)
        if busy is None:
            return
        for place in wanted:
            _set(descriptor, place, fcntl.F_UNLCK)
        if clock.monotonic_s() >= end:
            raise LockHeld(
                f"another run works on {wanted[busy]}: {_describe(directory, busy)}",
                hint="wait for it to end, or pass --wait-lock TIME",
            )
        clock.wait(_POLL_S)


def _take(descriptor: int, place: int) -> bool:
    try:
        _set(descriptor, place, fcntl.F_WRLCK)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _set(descriptor: int, place: int, kind: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, place, 1, 0))


def _owner(run: str, clock: Clock) -> dict[str, object]:
    since = datetime.fromtimestamp(clock.now_s(), tz=timezone.utc)
    return {"run": run, "user": getpass.getuser(), "pid": os.getpid(), "since": since.isoformat(timespec="seconds")}


def _forget_ended(directory: Path, held: Collection[int]) -> None:
    """Remove notes of runs that were killed: whoever wrote one for a place that is held here now has ended.

    Their process numbers are given to others sooner or later, and the notes would then name the wrong run.
    """
    for note in directory.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if not set(held).isdisjoint(json.loads(note.read_text(encoding="utf-8"))["places"]):
                note.unlink()


def _describe(directory: Path, place: int) -> str:
    """Who holds a place, by the notes that runs leave beside the lock. A note of a run that is gone says nothing."""
    for note in directory.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            owner = json.loads(note.read_text(encoding="utf-8"))
            if place in owner["places"]:
                os.kill(owner["pid"], 0)
                return f"run {owner['run']} of {owner['user']}, pid {owner['pid']}, since {owner['since']}"
    return "its owner has just taken it"
