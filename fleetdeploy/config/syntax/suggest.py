"""Nearest names, for messages about names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known name most like ``name``, or an empty string when none is like it."""
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
