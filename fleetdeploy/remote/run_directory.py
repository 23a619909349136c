"""The private directory of one run under the system's temporary directory, and the removal of those of killed runs.

A run keeps the file ``owner`` in its directory locked for as long as it lives. The kernel drops that lock however the
run ends, so a lock that can be had means that the owner is gone, in whatever namespace its pid was counted.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

PREFIX = "fleetdeploy-"
OWNER = "owner"


@dataclass(frozen=True)
class RunDirectory:
    """A directory that only its user can enter. Its path is short, as that of a UNIX socket in it must be."""

    path: Path
    lock: int

    @classmethod
    def make(cls) -> RunDirectory:
        """Make one, after removing what runs of the same user left that were killed."""
        sweep(Path(tempfile.gettempdir()))
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        # Under its name only once it is locked: a file of that name without a lock says that its run is over.
        fresh = path / f".{OWNER}"
        lock = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.write(lock, f"{os.getpid()}\n".encode())
        fresh.rename(path / OWNER)
        return cls(path, lock)

    def remove(self) -> None:
        """Remove it with all that is in it; once more does nothing."""
        if self.path.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self.lock)


def sweep(parent: Path) -> None:
    """Remove the directories of runs that are over. Those of other users, and those that are no run's, stay."""
    for path in parent.glob(f"{PREFIX}*"):
        try:
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or not _is_over(path / OWNER):
                continue
        except OSError:
            continue  # removed meanwhile, by its own run or by another sweep
        shutil.rmtree(path, ignore_errors=True)


def _is_over(owner: Path) -> bool:
    number = os.open(owner, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(number)
    return True
