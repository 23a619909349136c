"""Where work code tells what happens. Sinks are called in order, one event at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from fleetdeploy.domain.events import Event, Kind, Sink
from fleetdeploy.domain.protocols import Clock


class Emitter:
    """Thread-safe. The journal comes first among the sinks, so that nothing is shown that was not recorded."""

    def __init__(self, run: str, clock: Clock, sinks: Sequence[Sink]) -> None:
        self.run = run
        self._clock = clock
        self._sinks = tuple(sinks)
        self._lock = threading.Lock()

    def __call__(self, kind: Kind, message: str = "", *, host: str = "", task: str = "", **data: object) -> None:
        event = Event(kind, self._clock.now_s(), self.run, host=host, task=task, message=message, data=data)
        with self._lock:
            for sink in self._sinks:
                sink(event)
