"""What a host's outcome says: over several plays, and about whether the host serves."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState
from fleetdeploy.domain.plan import Activation, HostPlan
from fleetdeploy.errors import HostError, LeaseLost
from fleetdeploy.planning.waves import FailureBudget
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.work import Work


def serves(outcome: HostOutcome, bound: BoundPlay, done: Sequence[Work]) -> bool | None:
    """Whether a host is in service after its part in a play, in which ``done`` was begun; None where that changed
    nothing about it.
    """
    if outcome.mixed or outcome.state is HostState.UNREACHABLE:
        return False
    if outcome.state is HostState.FAILED:
        return None if outcome.untouched or not bound.touches_traffic else False
    changed = outcome.state in {HostState.CHANGED, HostState.REVERTED}
    return True if changed and any(work.call.task.touches_traffic for work in done) else None


def not_seen(name: str, error: HostError) -> HostOutcome:
    """A host that could not be looked at when its turn came."""
    lost = isinstance(error, LeaseLost)
    state = HostState.FAILED if lost else HostState.UNREACHABLE
    return HostOutcome(name, state, error.message, hint=error.hint, mixed=lost)


def merge(before: HostOutcome | None, now: HostOutcome) -> HostOutcome:
    """One host's outcome over several plays: a failure stays, a change is not hidden by a later play without one.

    A host that was only prepared when the rollout passed it over was skipped.
    """
    if before is None:
        return now
    if before.state in FAILURES:
        return before
    if now.state in FAILURES:
        activated = before.activated or now.activated
        return replace(now, untouched=before.untouched and now.untouched, activated=activated)
    skipped = now.state is HostState.SKIPPED and not before.activated
    return HostOutcome(
        now.host,
        before.state if before.state is HostState.CHANGED and not skipped else now.state,
        now.reason,
        now.detail,
        now.hint,
        untouched=before.untouched and now.untouched,
        activated=before.activated or now.activated,
        mixed=now.mixed,
        steps_changed=before.steps_changed + now.steps_changed,
        steps_ok=before.steps_ok + now.steps_ok,
    )


def closed(
    outcome: HostOutcome | None, name: str, *, why: str, planned: HostPlan | None, put_back: bool = False
) -> HostOutcome:
    """A host's outcome at the end of a run that ended early, and ``why`` it did, "" for one that did not: hosts that it
    never came to, or only put files on, were skipped. By what was ``planned`` as the run began one that needed nothing
    is fine, whether the run came to it or not; so is one that had nothing to be switched over, once it has its files
    and was ``put_back`` into its balancer. One that lacked neither, but was to be tidied up, was skipped as it serves,
    or failed at that.
    """
    found = outcome or HostOutcome(name, HostState.OK)
    services = planned.services if planned else ()
    switches = any(item.activation is not Activation.NOTHING for item in services)
    out = any(item.undrain for item in services) and not put_back
    lacks_nothing = bool(services) and not switches and not out
    if found.state is HostState.FAILED:
        return replace(found, as_wanted=lacks_nothing and not found.mixed)
    if not why:
        return found
    if found.state is HostState.OK and planned is not None and planned.changed:
        found = replace(found, state=HostState.SKIPPED, reason=why)
    elif found.state is HostState.CHANGED and not found.activated and (switches or out):
        found = replace(found, state=HostState.SKIPPED, reason=f"prepared, not switched over: {why}")
    elif found.state is HostState.SKIPPED and put_back and not switches:
        found = replace(found, state=HostState.CHANGED, reason="")
    return replace(found, as_wanted=found.state is HostState.SKIPPED and lacks_nothing)


class Failures:
    """The hosts of one play that failed, counted as they come in: the budget is the whole play's. Thread-safe."""

    def __init__(self, budget: FailureBudget, failed: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._budget = budget
        self._failed = set(failed)

    def add(self, host: str) -> tuple[int, bool]:
        """How many have failed with this one, and whether that is too many."""
        with self._lock:
            self._failed.add(host)
            return len(self._failed), self._budget.spent(len(self._failed))
