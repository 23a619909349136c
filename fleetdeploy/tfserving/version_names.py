"""Which directories under a model's source are versions, by TF Serving's naming rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")


def is_version(name: str) -> bool:
    """Whether a name is a plain positive number: no sign, no leading zero, nothing behind it."""
    return bool(_NUMBER.fullmatch(name))


def versions_in(source: Path) -> tuple[int, ...]:
    """The version numbers under a directory, ascending. Raises OSError when it cannot be listed."""
    return tuple(sorted(int(child.name) for child in source.iterdir() if is_version(child.name) and child.is_dir()))
