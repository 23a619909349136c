"""Where work code tells what happens: first to the journal, then to those who show it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from fleetdeploy.domain.events import Event, Kind, Sink
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.errors import FleetdeployError, PreflightRefused, RolloutFailed
from fleetdeploy.rollout.journal.writing import OfEvents, OnReserve

ANNOUNCING = frozenset(
    {
        Kind.RUN_STARTED,
        Kind.PLAN_MADE,
        Kind.LEASES_TAKING,
        Kind.PLAY_STARTED,
        Kind.WAVE_STARTED,
        Kind.STEP_STARTED,
        Kind.WATCH_ARMING,
        Kind.SOAK_STARTED,
    }
)
"""What is told before it is done."""
UNTOUCHED = frozenset({Kind.RUN_STARTED, Kind.PLAN_MADE, Kind.LEASES_TAKING})
"""Who is stopped at one of these has touched nothing."""
RETURNING = frozenset({Kind.STEP_FAILED, Kind.REVERT_STARTED})
"""After these a host is only got back into a safe state."""

FLEETING = frozenset({Kind.COPY_PROGRESSED})
"""What is only shown: it comes often, says nothing about the end, and a journal's record costs a sync."""


class Emitter:
    """Thread-safe; one event at a time.

    Once a journal cannot be written, every event that announces what the rollout would do next raises RolloutFailed,
    before the act, or PreflightRefused where nothing has been touched; ``failure`` says why, and ends the run. What
    tells of something that has happened never raises, nor does anything about a host that failed or is taken back:
    getting hosts back into a safe state goes on without a journal. A view that fails, such as a terminal that went
    away, is only dropped. Secrets are taken out here, before anybody is told anything. Behind the run's end journals
    alone are told, and only who was told of it: a look that
    nobody waits for any longer may still come to its own.
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
        self.failure = ""
        self._hint = ""
        self._redactor = redactor or Redactor()
        self._clock = clock
        self._journals = list(journals)
        self._views = list(views)
        self._returning: set[str] = set()
        self._ended = False
        self._lock = threading.Lock()

    def __call__(self, kind: Kind, message: str = "", *, host: str = "", task: str = "", **data: object) -> None:
        clean = {name: self._redactor.value(value) for name, value in data.items()}
        text = self._redactor.text(message)
        event = Event(kind, self._clock.now_s(), self.run, host=host, task=task, message=text, data=clean)
        with self._lock:
            if self._ended and kind is not Kind.NOTIFIED:
                return
            self._ended = self._ended or kind is Kind.RUN_FINISHED
            error = self._feed(self._journals, event) if kind not in FLEETING else None
            if kind is not Kind.NOTIFIED:
                self._feed(self._views, event)
            if error is not None and not self.failure:
                self.failure = self._redactor.text(_cannot_be_written(error))
                self._hint = _elsewhere(error)
            if kind in RETURNING and host:
                self._returning.add(host)
            stops = bool(self.failure) and kind in ANNOUNCING and host not in self._returning
        if stops:
            refused: type[FleetdeployError] = PreflightRefused if kind in UNTOUCHED else RolloutFailed
            raise refused(self.failure, hint=self._hint) from error

    @staticmethod
    def _feed(sinks: list[Sink], event: Event) -> OSError | None:
        failure: OSError | None = None
        for sink in list(sinks):
            try:
                sink(event)
            except OnReserve as error:
                failure = error
            except OSError as error:
                sinks.remove(sink)
                failure = error
        return failure


def _cannot_be_written(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    what = "the file of --events" if isinstance(error, OfEvents) else "the journal"
    return f"{what} cannot be written: {error.strerror or error}{where}"


def _elsewhere(error: OSError) -> str:
    other = "file with --events" if isinstance(error, OfEvents) else "--state-dir"
    return f"free space there, or name another {other}; then run again"
