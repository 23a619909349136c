"""What an earlier run has drained and this one has only begun to drain again: it stays as it was found.

Nobody has proven what is there: the earlier run may have died behind its activation, and the record is of what was
before that. Where this run activated something and took it back, the record holds again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fleetdeploy.domain.observed import ObservedHost, ObservedService, Present
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import HostError
from fleetdeploy.rollout.work import Work
from fleetdeploy.tasks.drain import found_drained


@dataclass(frozen=True)
class LeftDrained:
    """``told`` is what the host's outcome has to say of it, empty where nothing was left so. With ``error`` nobody
    knows whether this run has taken the host out.
    """

    told: str = ""
    error: HostError | None = None


def leave_drained(
    done: list[Work], look: Callable[[Sequence[ServiceWish]], ObservedHost], *, services: int
) -> LeftDrained:
    """Strike from what a run has ``done`` on a host the drains that took nothing out, so that no way back undoes them.

    ``services`` is how many the host has. It is looked at again only where an earlier run's marker was met.
    """
    activated = {work.plan.desired.name for work in done if work.name == "activate"}
    begun = [work.plan for work in done if work.name == "drain" and work.plan.desired.name not in activated]
    met = {plan.desired.name: plan for plan in begun if found_drained(plan.observed, None)}
    if not met:
        return LeftDrained()
    now: dict[str, ObservedService] = {}
    error: HostError | None = None
    try:
        now.update(look([plan.desired.wish for plan in met.values()]).services)
    except HostError as failed:
        error = failed
    left = {name: plan for name, plan in met.items() if found_drained(plan.observed, now.get(name))}
    done[:] = [work for work in done if work.name != "drain" or work.plan.desired.name not in left]
    told = "".join(_told(name, plan.observed, alone=services == 1) for name, plan in left.items())
    return LeftDrained(told, error)


def _told(name: str, before: ObservedService, *, alone: bool) -> str:
    assert isinstance(before.drained_by, Present)
    what = "it stays" if alone else f"service {name!r} stays"
    return f"; {what} drained as run {before.drained_by.value} left it: nobody has proven what is there"
