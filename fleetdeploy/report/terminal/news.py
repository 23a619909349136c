"""The calm view of a run that nobody watches: nothing, until there is news."""

from __future__ import annotations

from rich.console import Console

from fleetdeploy.domain.events import Kind
from fleetdeploy.report.story.parts import Told
from fleetdeploy.report.terminal.lines import Lines

NEWS = frozenset({
    Kind.STEP_STARTED, Kind.STEP_FINISHED, Kind.STEP_FAILED, Kind.WATCH_ENDED, Kind.LEASE_LOST, Kind.REVERT_STARTED,
    Kind.ROLLOUT_STOPPED, Kind.DEBT_MADE, Kind.DEBT_SETTLED,
})  # fmt: skip


class News(Lines):
    """As :class:`Lines`, from the first event on that is news; what came before it is shown with it."""

    def __init__(self, out: Console, *, quiet: bool = False) -> None:
        super().__init__(out, quiet=quiet)
        self._held: list[Told] | None = []

    def __call__(self, event: Told) -> None:
        if self._held is None:
            super().__call__(event)
            return
        self._held.append(event)
        if event.kind in NEWS:
            held, self._held = self._held, None
            for item in held:
                super().__call__(item)
