"""The journal of one run, told record by record, and how it is written and read back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.rollout.journal import open_run, reading
from fleetdeploy.rollout.journal.record import JOURNAL, Record
from fleetdeploy.rollout.journal.recorded_run import RecordedRun

RUN = "20260101T000000Z-ab12"


def record(kind: Kind, host: str = "", task: str = "", message: str = "", **data: object) -> Event:
    return Event(kind, 100.0, RUN, host, task, message, data)


STORY = (
    record(Kind.RUN_STARTED, message="fleetdeploy deploy", hosts=["gpu1", "gpu2", "gpu3"]),
    record(Kind.HOST_OBSERVED, "gpu1"),
    record(Kind.PLAN_MADE, changed=["gpu1", "gpu2"]),
    record(Kind.PLAY_STARTED, message="Switch over", hosts=["gpu1", "gpu2"]),
    record(Kind.WAVE_STARTED, wave=1, waves=2, hosts=["gpu1"]),
    record(Kind.STEP_STARTED, "gpu1", "drain", "drain it", service="ranking"),
    record(Kind.STEP_PROGRESS, "gpu1", "drain", "one request left"),
    record(Kind.STEP_FINISHED, "gpu1", "drain", "drain it", service="ranking", seconds=2.0),
    record(Kind.STEP_STARTED, "gpu1", "activate", "reload", service="ranking"),
    record(Kind.STEP_FINISHED, "gpu1", "activate", "reload", service="ranking"),
    record(Kind.HOST_FINISHED, "gpu1", state="changed"),
    record(Kind.WAVE_STARTED, wave=2, waves=2, hosts=["gpu2"]),
    record(Kind.STEP_STARTED, "gpu2", "drain", "drain it", service="ranking"),
)
END = record(Kind.RUN_FINISHED, message="OK: 1 of 3 hosts changed", exit_code=0)


def write(runs: Path, *events: Event, run: str = RUN) -> Path:
    """The directory of a run with these events."""
    journal = open_run(runs, run)
    for at, event in enumerate(events):
        journal(Event(event.kind, 100.0 + at, run, event.host, event.task, event.message, event.data))
    journal.close()
    return journal.path.parent


@cache
def written() -> bytes:
    """The journal of the story and its end."""
    with tempfile.TemporaryDirectory() as place:
        return (write(Path(place), *STORY, END) / JOURNAL).read_bytes()


@contextmanager
def holding(content: bytes) -> Iterator[Path]:
    """The directory of a run whose journal has this content."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / RUN
        directory.mkdir()
        (directory / JOURNAL).write_bytes(content)
        yield directory


def read(content: bytes) -> RecordedRun:
    with holding(content) as directory:
        return RecordedRun.read(directory)


def believed(content: bytes) -> list[Record]:
    with holding(content) as directory:
        return list(reading.Records(directory / JOURNAL, run=RUN))
