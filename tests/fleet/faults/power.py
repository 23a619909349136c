"""Loss of power as a disk sees it: what was not flushed to the file behind a mounted file system is gone."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE_BYTES = 128 * 1024 * 1024


class CrashDisk:
    """An ext4 file system in a file. ``place`` is where it is mounted; a copy of the file at any moment is what a
    machine would find after its power was cut at that moment.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._image = directory / "disk.img"
        self._count = itertools.count(1)
        self.place = directory / "disk"
        with self._image.open("wb") as file:
            file.truncate(SIZE_BYTES)
        # ext4 would commit every five seconds by itself: on a slow machine that would do our flushing for us.
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._image))
        self.place.mkdir()
        _run("mount", "-o", "loop,commit=300", str(self._image), str(self.place))

    def lose_power(self, *, then: Callable[[], None]) -> None:
        """The power goes, and what used the disk ends in ``then``; it comes back with what had been flushed."""
        found = self._directory / "found.img"
        shutil.copyfile(self._image, found)
        then()
        _run("umount", "--lazy", str(self.place))
        found.replace(self._image)
        _run("mount", "-o", "loop,commit=300", str(self._image), str(self.place))

    def close(self) -> None:
        _run("umount", "--lazy", str(self.place))

    @contextmanager
    def after_power_loss(self) -> Iterator[Path]:
        """What lies on the disk if the power goes now: the same file system, mounted somewhere else to be looked at."""
        name = f"crash-{next(self._count)}"
        copy, seen = self._directory / f"{name}.img", self._directory / name
        shutil.copyfile(self._image, copy)
        seen.mkdir()
        _run("mount", "-o", "loop", str(copy), str(seen))
        try:
            yield seen
        finally:
            _run("umount", str(seen))
            copy.unlink()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=60, capture_output=True)
