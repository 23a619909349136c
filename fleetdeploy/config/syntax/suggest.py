"""Nearest names, for messages about names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from fleetdeploy.config.syntax.text_file import exists

_LONGEST = 253


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known name most like ``name``, or an empty string when none is like it."""
    if len(name) > _LONGEST:
        return ""  # a mistake of another kind, and long to compare
    by_lower = {item.lower(): item for item in known}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else ""


def hint_for(name: str, known: Iterable[str], *, what: str, most: int = 12) -> str:
    """``did you mean 'x'?``, and the list of known names while it is short enough to read."""
    names = sorted(set(known))
    close = nearest(name, names)
    listed = f"{what}: {', '.join(names)}" if names and len(names) <= most else ""
    if not close:
        return listed
    return f"did you mean {close!r}? {listed}".rstrip()


def missing_part(path: Path) -> tuple[Path, str]:
    """Of a path that does not exist: the first part of it that is missing, and a hint at what is there instead."""
    missing = path
    while not exists(missing.parent) and missing.parent != missing:
        missing = missing.parent
    try:
        beside = [child.name for child in missing.parent.iterdir() if not child.name.startswith(".")]
    except NotADirectoryError:
        return missing, f"{missing.parent} is a file, and no directory"
    except (OSError, ValueError):
        beside = []
    if close := nearest(missing.name, beside):
        meant = missing.parent / close
        whole = meant / path.relative_to(missing)
        return missing, f"did you mean {whole if exists(whole) else meant}?"
    parent, there = (
        missing.parent,
        f"look into {missing.parent}" if beside else f"check the path: {missing.parent} is empty",
    )
    if parent == Path():
        parent, there = Path.cwd(), f"it was looked for from {Path.cwd()}"
    return missing, hint_for(missing.name, beside, what=f"in {parent}") or there
