"""Reads journals, whatever they have become: each record is held against its hash, in bounded memory and time."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fleetdeploy.errors import InputError, Problem
from fleetdeploy.rollout.journal.record import BEGINS, Record, record_of

LINE_BYTES = 4 * 1024**2
"""No record is longer; an error of a host's with all its detail has some thousands."""
JOURNAL_BYTES = 256 * 1024**2
"""Some ten rollouts on two thousand hosts."""


def open_regular(path: Path) -> BinaryIO:
    """A regular file to be read. Raises OSError for everything else: a link, or a pipe that would keep us waiting."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return os.fdopen(descriptor, "rb")


class Records:
    """The records of one run's journal, in order, as far as they are what was written. To be gone through once.

    Afterwards ``torn`` says that the last line was never finished, as after a kill, and ``damage`` which record is not
    what was written: nothing from there on is believed. ``run`` is whose journal it has to be.
    """

    def __init__(self, path: Path, *, run: str) -> None:
        self.path = path
        self.run = run
        self.count = 0
        self.torn = False
        self.damage: Problem | None = None

    def __iter__(self) -> Iterator[Record]:
        """Raises InputError where the file cannot be read."""
        try:
            with open_regular(self.path) as file:
                yield from self._records(file)
        except OSError as error:
            raise InputError(
                f"record {self.count + 1} of the journal cannot be read: {error.strerror}",
                where=str(self.path),
                hint="it has to be a file that this user may read",
            ) from error

    def _records(self, file: BinaryIO) -> Iterator[Record]:
        prev, left = "", JOURNAL_BYTES
        while line := file.readline(LINE_BYTES + 1):
            left -= len(line)
            whole = line.endswith(b"\n")
            try:
                if len(line) > LINE_BYTES or left < 0:
                    raise ValueError(f"longer than {LINE_BYTES} bytes" if left >= 0 else "the journal is too long")
                if not whole:
                    if not self.count and line[: len(BEGINS)] != BEGINS[: len(line)]:
                        raise ValueError("it is no beginning of a journal")
                    self.torn = True
                    return
                record, prev = record_of(line[:-1], n=self.count + 1, prev=prev)
                if record.run != self.run:
                    raise ValueError(f"it is of run {record.run}")
            except ValueError as error:
                self.damage = self._damaged(str(error))
                return
            self.count += 1
            yield record

    def _damaged(self, why: str) -> Problem:
        before = f"records 1 to {self.count} are used" if self.count else "no record is used"
        hint = f"{before}, nothing from there on is believed; see what serves with `fleetdeploy status`"
        return Problem(f"damaged at record {self.count + 1}: {why}", where=str(self.path), hint=hint)
