"""Writes journals: whole records, synced before anything else is done, also when the disk is full."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import IO

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.errors import FleetdeployError, InputError, PreflightRefused
from fleetdeploy.rollout.journal.record import JOURNAL, fields_of, line_of

KEPT_RUNS = 500
"""About two days of a cron job that runs every five minutes."""

WAITS_S = 24 * 3600.0
"""A run that has begun nothing, and written nothing for so long, waits for nobody any more: it was killed."""

RESERVE_BYTES = 1024**2
"""Some three thousand records: what taking back the hosts at hand, and the end of a run, have to tell."""

_LAST = 5
"""Among so many last records of a journal is the end of its run."""
_BEGAN = f'"{Kind.PLAY_STARTED.value}"'.encode()

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class OnReserve(OSError):
    """The disk is full. The record is written, in room that was kept for the end of the run; it must end now."""


def open_run(runs: Path, run: str, *, keep: int = KEPT_RUNS) -> Journal:
    """The journal of a new run in its own directory below ``runs``, of which ``keep`` are kept.

    Those that began no play are removed first, then the oldest; one that began a play and has no end never is.

    Run ids begin with their time, so that names sort by age. Raises InputError, or PreflightRefused on a full disk.
    """
    directory = runs / run
    try:
        made = [path for path in (directory, *directory.parents) if not path.exists()]
        directory.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise _cannot_be_made(error, runs) from error
    try:
        _forget([path for path in runs.iterdir() if path.is_dir() and path != directory], keep=keep - 1)
        journal = Journal(directory / JOURNAL, own=True)
        for path in (directory, *(path.parent for path in made)):
            sync_directory(path)
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise _cannot_be_made(error, runs) from error
    return journal


def _forget(others: Iterable[Path], *, keep: int) -> None:
    """Remove what is too much, oldest first. Of all these journals only those are read that are about to go.

    Who was to change something kept beside its journal what for; who was turned away, or had nothing to do, did not.
    """
    aged = sorted(others)
    excess = len(aged) - max(0, keep)
    if excess <= 0:
        return
    gone = set(islice((path for path in aged if _is_bare(path) and _may_go(path, idle=True)), excess))
    ended = (path for path in aged if path not in gone and _may_go(path, idle=False))
    for path in (*gone, *islice(ended, excess - len(gone))):
        shutil.rmtree(path, ignore_errors=True)


def _is_bare(directory: Path) -> bool:
    with suppress(OSError):
        return sum(1 for _ in directory.iterdir()) <= 1
    return False


def _may_go(directory: Path, *, idle: bool) -> bool:
    """Whether nobody needs the run any more: it ended, or began nothing and was killed. ``idle`` asks that it began
    nothing in any case.
    """
    path = directory / JOURNAL
    try:
        quiet_s = time.time() - (path if path.exists() else directory).stat().st_mtime
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError:
        return False
    ended = any((fields_of(line) or {}).get("kind") == Kind.RUN_FINISHED for line in lines[-_LAST:])
    if ended and not idle:
        return True
    began = any(_BEGAN in line and (fields_of(line) or {}).get("kind") == Kind.PLAY_STARTED for line in lines)
    return not began and (ended or quiet_s > WAITS_S)


class OfEvents(OSError):
    """The file that ``--events`` names cannot be written; the run's own journal may well be."""


class Journal:
    """A file of JSON lines (:mod:`.record`), mode 0600. A record is on the disk when the call returns.

    A journal that is a run's ``own`` is made anew and has room kept for the end of a run whose disk is full: the first
    record that needs it raises OnReserve, those behind go on. Any other file is appended to by one run after the other;
    each begins a chain of its own, and what is wrong with it names ``--events``. Another write that fails raises
    OSError; nothing can be written after it.
    """

    def __init__(self, path: Path, *, own: bool = False) -> None:
        self.path = path
        self._own = own
        self._n, self._prev, self._size = 0, "", 0
        try:
            # Neither a named pipe without a reader nor a terminal shall keep us waiting.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
            self._descriptor = os.open(path, flags | (os.O_EXCL if own else 0), 0o600)
        except OSError as error:
            hint = "its directory must exist and be writable"
            raise self._refused(f"cannot be opened: {error.strerror}", hint) from error
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise self._refused("is no regular file", "name a file")
        self._reserve: IO[bytes] | None = None
        if own:
            try:
                self._reserve = _room_for_the_end(path.parent)
            except OSError:
                os.close(self._descriptor)
                raise

    def _refused(self, why: str, hint: str) -> InputError:
        if self._own:
            return InputError(f"the journal {why}", where=str(self.path), hint=hint)
        return InputError(why, where=f"--events {self.path}", hint=hint)

    def __call__(self, event: Event) -> None:
        line, shown = line_of(event, n=self._n + 1, prev=self._prev)
        try:
            self._append(line)
        except OSError as error:
            error.filename = str(self.path)
            if not self._own:
                raise OfEvents(error.errno, error.strerror, error.filename) from error
            if error.errno not in _FULL or self._reserve is None:
                raise
            self._reserve.close()
            self._reserve = None
            self._append(line)
            self._n, self._prev = self._n + 1, shown
            raise OnReserve(error.errno, error.strerror, str(self.path)) from error
        self._n, self._prev = self._n + 1, shown

    def _append(self, line: bytes) -> None:
        """The whole line, synced. In a file of one's own nothing is left of one that could not be written."""
        # Another run may have been killed while it wrote its last line.
        rest = memoryview(line if self._own or self._n or self._ends_well() else b"\n" + line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            if self._own:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)

    def _ends_well(self) -> bool:
        size = os.fstat(self._descriptor).st_size
        return size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n"

    def close(self) -> None:
        os.close(self._descriptor)
        if self._reserve is not None:
            self._reserve.close()


def _room_for_the_end(directory: Path) -> IO[bytes]:
    """Blocks in a file without a name, which a kill frees as well."""
    with ExitStack() as undo:
        file = undo.enter_context(tempfile.TemporaryFile(dir=directory, buffering=0))
        os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        undo.pop_all()
        return file


def sync_directory(path: Path) -> None:
    """So that what was made in it is there after a power cut. Some file systems know no such call."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _cannot_be_made(error: OSError, runs: Path) -> FleetdeployError:
    message = f"the journal cannot be made: {error.strerror}"
    if error.errno in _FULL:
        return PreflightRefused(message, where=str(runs), hint="free some space, or name another --state-dir")
    return InputError(message, where=str(runs), hint="name another --state-dir")
