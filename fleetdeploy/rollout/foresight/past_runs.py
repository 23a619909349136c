"""The journals of earlier runs, as far as they can be read: a plan is no worse for one that cannot."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleetdeploy.domain.events import Kind
from fleetdeploy.rollout.foresight.durations import Durations, from_events, succeeded
from fleetdeploy.rollout.journal.reading import open_regular
from fleetdeploy.rollout.journal.record import JOURNAL, fields_of
from fleetdeploy.rollout.journal.writing import KEPT_RUNS

RUNS = 20
"""How many runs in which something was done are looked at."""
RUN_BYTES = 16 * 1024**2
"""Of one journal: that of a rollout on two thousand hosts."""
ALL_BYTES = 64 * 1024**2
_END_BYTES = 16 * 1024
_LINE_BYTES = 64 * 1024
_STEP, _END = (json.dumps(kind.value).encode() for kind in (Kind.STEP_FINISHED, Kind.RUN_FINISHED))

Events = tuple[Mapping[str, object], ...]


def durations_of(runs: Path) -> Durations:
    """What the newest runs below ``runs`` took that did something and went well. Nothing that is there is an error."""
    return from_events(_newest(runs))


def _newest(runs: Path) -> Iterator[Events]:
    """The finished steps of each run, newest first. Run ids begin with their time, so that names sort by age."""
    try:
        directories = sorted(runs.iterdir(), reverse=True)[:KEPT_RUNS]
    except OSError:
        return
    found, left = 0, ALL_BYTES
    for directory in directories:
        if found == RUNS or left <= 0:
            return
        content = _read(directory / JOURNAL, min(RUN_BYTES, left))
        left -= len(content)
        # Most runs of a cron job do nothing: they are told apart before any line is parsed.
        events = tuple(_events(content)) if _STEP in content else ()
        if succeeded(events):
            found += 1
            yield events


def _read(path: Path, most: int) -> bytes:
    """The beginning of a regular file, and its end where it is longer; empty when it cannot be read."""
    try:
        with open_regular(path) as file:
            content = file.read(most)
            size = os.fstat(file.fileno()).st_size
            if size > most:
                file.seek(max(most, size - _END_BYTES))
                content += b"\n" + file.read(_END_BYTES)
            return content
    except OSError:
        return b""


def _events(content: bytes) -> Iterator[Mapping[str, object]]:
    """The lines that tell of a finished step or of the run's end. Damaged ones and those of others are left out."""
    for line in content.split(b"\n"):
        if len(line) > _LINE_BYTES or not (_STEP in line or _END in line):
            continue
        event = fields_of(line)
        if event is not None:
            yield event
