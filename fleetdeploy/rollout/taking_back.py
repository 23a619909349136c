"""``on_failure: revert_all``: the hosts that a run finished go back to what they served before it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState
from fleetdeploy.errors import FleetdeployError, InMaintenance, Unreachable
from fleetdeploy.rollout.capacity.capacity import Capacity
from fleetdeploy.rollout.capacity.lookout import Lookout
from fleetdeploy.rollout.debt.owing import Owing
from fleetdeploy.rollout.finished import Finished
from fleetdeploy.rollout.host.acting import as_bug
from fleetdeploy.rollout.host.host_run import KEPT_OUT
from fleetdeploy.rollout.side_by_side import side_by_side


@dataclass(frozen=True)
class TakingBack:
    """As many hosts of a play side by side as its ``capacity`` leaves room for; no canary comes first.

    A host for which there is no room any longer, or for which ``check`` raises, is not taken out: it goes on serving
    what it serves now, and its outcome says why. One that does not come back is out for the rest; ``new`` ones go back
    to serving nothing. ``why`` is what made it necessary; by ``owing`` it is remembered who is behind the others again.
    """

    capacity: Capacity
    lookout: Lookout
    new: Collection[str]
    check: Callable[[], None]
    why: str
    owing: Owing | None = None

    def all(
        self, items: Sequence[Finished], outcomes: Mapping[str, HostOutcome], *, forks: int
    ) -> Mapping[str, HostOutcome]:
        """Undo the ``items``, the first one first; how it ended for each host. ``outcomes`` are those so far."""
        found = side_by_side(lambda item: self._back(item, outcomes[item.name]), items, forks=forks)
        return {outcome.host: outcome for outcome in found}

    def _back(self, item: Finished, before: HostOutcome) -> HostOutcome:
        failed = before.state in FAILURES  # in a play behind the one that switched it over
        try:
            self.capacity.take(item.name, partial(self._look, item.name))
        except FleetdeployError as error:
            reason = f"{before.reason}; " if failed else ""
            reason += f"not taken back: {error.message}"
            outcome = replace(before, reason=reason, hint=error.hint, taken_back=not failed)
        else:
            outcome = replace(self._undone(item, before.reason if failed else self.why), taken_back=not failed)
            if self.owing and item.kept_out and outcome.state is HostState.REVERTED:
                self.owing.owe_again(item.run.host, outcome.reason)
            serves = not outcome.mixed and not item.kept_out and item.name not in self.new
            self.capacity.settle(item.name, serves=serves)
        data = {"state": outcome.state.value, "hint": outcome.hint}
        item.run.emit(Kind.HOST_FINISHED, outcome.reason, host=item.name, **data)
        return outcome

    def _look(self, host: str) -> None:
        self.check()
        self.lookout.check_ours(host)

    def _undone(self, item: Finished, why: str) -> HostOutcome:
        try:
            item.run.emit(Kind.REVERT_STARTED, why, host=item.name)
            item.undo()
        except FleetdeployError as error:
            return _failed(item.name, error)
        except Exception as error:  # noqa: BLE001  others may be waiting for this one's place
            return _failed(item.name, as_bug(error))
        why = f"{why}{KEPT_OUT if item.kept_out else ''}"
        return HostOutcome(item.name, HostState.REVERTED, why, untouched=False)


def _failed(host: str, error: FleetdeployError) -> HostOutcome:
    """One that went away is told like any other that did, so that it is kept out and remembered."""
    told = (f"the revert failed: {error.message}", error.detail, error.hint)
    state = HostState.UNREACHABLE if isinstance(error, Unreachable) else HostState.FAILED
    held = error.how if isinstance(error, InMaintenance) else ""
    return HostOutcome(host, state, *told, untouched=False, mixed=True, withheld=held)
