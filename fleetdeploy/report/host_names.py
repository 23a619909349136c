"""Names of hosts in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

COLUMNS = 80


def shortened(names: Sequence[str], width: int) -> str:
    """The names, or the first of them and how many more there are, in ``width`` columns; one name at the least."""
    whole = ", ".join(names)
    if len(whole) <= width or len(names) < 2:
        return whole
    shown, used = 1, len(names[0])
    while shown < len(names) - 1:
        used += len(names[shown]) + 2
        if used + len(f" and {len(names) - shown - 1} more") > width:
            break
        shown += 1
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"


def heading(
    names: Sequence[str], *, before: str = "", after: str = "", width: int = COLUMNS, every_name: bool = False
) -> Iterator[str]:
    """``before``, the names and ``after`` in one line of ``width`` columns; with ``every_name`` in as many lines as all
    names need.
    """
    if every_name:
        yield from wrapped(names, before, "  ", after)
    else:
        yield before + shortened(names, width - len(before)) + after


def wrapped(names: Sequence[str], first: str, further: str, after: str = "") -> Iterator[str]:
    """All names, with ``first`` before them on the first line and ``further`` on every other."""
    yield from textwrap.wrap(
        ", ".join(names) + after,
        COLUMNS,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )
