"""What a host's history of releases keeps, as ``files.sh`` has it."""

from __future__ import annotations

from collections.abc import Sequence

from fleetdeploy.domain.observed import ProvenRelease

MOST = 50


def remembered(before: Sequence[ProvenRelease], line: ProvenRelease, left: str = "") -> list[ProvenRelease]:
    """``line`` is the last one, and the one whose id is ``left`` is gone; the same one twice in a row is one."""
    if before and before[-1] == line:
        return list(before)
    lines = [item for item in before if item.id != left]
    if not lines or lines[-1] != line:
        lines.append(line)
    while len(lines) > MOST:
        del lines[_spare(lines)]
    return lines


def _spare(lines: Sequence[ProvenRelease]) -> int:
    """The place of the oldest line that is said again before any content is there for the first time."""
    contents = [item.content_hash for item in lines]
    firsts = {contents.index(content) for content in contents}
    for at, item in enumerate(lines):
        for later in range(at + 1, len(lines)):
            if at in firsts or later in firsts:
                break
            if (lines[later].content_hash, lines[later].took_back) == (item.content_hash, item.took_back):
                return at
    return 0
