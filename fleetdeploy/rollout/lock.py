"""One run at a time from this controller: an flock that the kernel releases when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from fleetdeploy.domain.protocols import Clock
from fleetdeploy.errors import LockHeld


@contextmanager
def hold(directory: Path, sources: Sequence[Path], run: str, clock: Clock, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of the fleet that ``sources`` describe. Raises LockHeld with its owner after ``wait_s``."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256("\n".join(sorted(str(path.resolve()) for path in sources)).encode()).hexdigest()[:16]
    # Not inherited by rsync and ssh: a child that outlives us must not keep the fleet locked.
    descriptor = os.open(directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, clock, wait_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_owner(run, clock)).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, clock: Clock, wait_s: float) -> None:
    end = clock.monotonic_s() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if clock.monotonic_s() >= end:
                raise LockHeld(
                    f"another run holds this fleet's lock: {_describe(descriptor)}",
                    hint="wait for it to end, or pass --wait-lock SECONDS",
                ) from None
            clock.wait(0.2)


def _owner(run: str, clock: Clock) -> dict[str, object]:
    since = datetime.fromtimestamp(clock.now_s(), tz=timezone.utc)
    return {"run": run, "user": getpass.getuser(), "pid": os.getpid(), "since": since.isoformat(timespec="seconds")}


def _describe(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        return f"run {owner['run']} of {owner['user']}, pid {owner['pid']}, since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        return "its owner has just taken it"
