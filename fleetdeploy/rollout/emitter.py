"""Where work code tells what happens: first to the journal, then to those who show it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from fleetdeploy.domain.events import Event, Kind, Sink
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.errors import FleetdeployError


class Emitter:
    """Thread-safe; one event at a time.

    A journal that cannot be written stops the act that was about to begin, by FleetdeployError, once: what is needed to
    get hosts back into a safe state goes on without it. A view that fails, such as a terminal that went away, is only
    dropped. Secrets are taken out here, before anybody is told anything.
    """

    def __init__(
        self,
        run: str,
        clock: Clock,
        *,
        journals: Sequence[Sink] = (),
        views: Sequence[Sink] = (),
        redactor: Redactor | None = None,
    ) -> None:
        self.run = run
        self._redactor = redactor or Redactor()
        self._clock = clock
        self._journals = list(journals)
        self._views = list(views)
        self._lock = threading.Lock()

    def __call__(self, kind: Kind, message: str = "", *, host: str = "", task: str = "", **data: object) -> None:
        clean = {name: self._redactor.value(value) for name, value in data.items()}
        text = self._redactor.text(message)
        event = Event(kind, self._clock.now_s(), self.run, host=host, task=task, message=text, data=clean)
        with self._lock:
            failure = self._feed(self._journals, event)
            self._feed(self._views, event)
        if failure is not None:
            raise FleetdeployError(
                f"the journal cannot be written: {failure}",
                hint="free space for the state directory, or name another one with --state-dir; then run again",
            ) from failure

    @staticmethod
    def _feed(sinks: list[Sink], event: Event) -> OSError | None:
        failure = None
        for sink in list(sinks):
            try:
                sink(event)
            except OSError as error:
                sinks.remove(sink)
                failure = error
        return failure
