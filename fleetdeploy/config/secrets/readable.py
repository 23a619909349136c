"""Files that hold secrets are their owner's alone."""

from __future__ import annotations

import stat
from pathlib import Path

from fleetdeploy.errors import InputError

_OTHERS = stat.S_IRGRP | stat.S_IROTH


def refuse_readable(path: Path) -> None:
    """Raise InputError for a file that its group, or everybody, can read; OSError where it cannot be looked at."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise InputError(
            f"can be read by other users: {path} has mode {mode:04o}", where=str(path), hint=f"chmod 600 {path}"
        )
