"""What a model server's log says about a failure, without what it says all day long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

LAST = 5
"""Rows that are shown of a log in which nothing stands out."""
_LEVEL = re.compile(r"(?:\d{4}-\d\d-\d\d [\d:.]+: (?P<tensorflow>[IWEF])|(?P<glog>[IWEF])\d{4} [\d:.]+) ")
"""As TensorFlow writes a row, and as gRPC does."""


def telling(rows: Sequence[str], *, most: int) -> list[str]:
    """The last ``most`` rows that are warnings, errors or the end of the process, with those that belong to them; of a
    log without any, its last LAST.

    A server that does not like its command line says why and then lists its flags, one a row, behind a tab.
    """
    said = [row for row in rows if not row.startswith("\t--")]
    return list(_standing_out(said))[-most:] or said[-LAST:]


def _standing_out(rows: Sequence[str]) -> Iterator[str]:
    shown = False
    for row in rows:
        found = _LEVEL.match(row)
        if found:
            shown = (found["tensorflow"] or found["glog"]) != "I"
        if shown:
            yield row
