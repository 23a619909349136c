"""Whether a run may begin: who is in service, and what stands in the way of a play."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from fleetdeploy.domain.plan import Plan
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import HostError, HostKeyRefused, PreflightRefused
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.course import has_traffic_work
from fleetdeploy.rollout.in_service import Standing, never_served, standing


def before_the_run(plan: Plan, fleet: Fleet, plays: Sequence[BoundPlay]) -> Standing:
    """Who is in service before anything is touched; of a fleet with nothing to do no balancer is asked.

    Raises PreflightRefused when a balancer cannot be asked, and HostKeyRefused when its host shows another key.
    """
    if not plan.changed_hosts:
        return Standing(frozenset(plan.unreachable))
    try:
        return standing(plan, fleet, {name: host for bound in plays for name, host in bound.everyone.items()})
    except HostKeyRefused:
        raise
    except HostError as error:
        raise PreflightRefused(
            f"nobody can say which hosts are in service: {error.message}",
            where=error.where,
            hint=error.hint or "nothing was touched; mend the balancer first",
            detail=error.detail,
        ) from error


def refusals(plan: Plan, bound: BoundPlay, now: Standing) -> Iterator[PreflightRefused]:
    """Why the play must not begin: hosts that are not ours to put back, and capacity that is not there."""
    working = [name for name in bound.hosts if has_traffic_work(plan, name, bound)]
    yield from _withheld(bound, sorted(now.withheld & set(working)))
    # Hosts that the play itself brings back come first.
    stay = (now.out & set(bound.everyone)) - set(working)
    serving = set(bound.hosts) - now.out - never_served(plan, bound.hosts)
    yield from _no_room(bound, sorted(serving & set(working)), stay)


def _withheld(bound: BoundPlay, held: Sequence[str]) -> Iterator[PreflightRefused]:
    """A host that a person keeps out of the balancer would be put back behind that person's back."""
    if held:
        yield PreflightRefused(
            f"{', '.join(held)} drained or in maintenance in the balancer, and not by fleetdeploy",
            where=str(bound.play.origin),
            hint="put it back (HAProxy: set server POOL/SERVER state ready), or leave it out with --limit",
        )


def _no_room(bound: BoundPlay, taken: Sequence[str], stay: AbstractSet[str]) -> Iterator[PreflightRefused]:
    """What is ``taken`` out while hosts ``stay`` out has to leave what the play asks for."""
    if taken and len(stay) >= bound.max_unavailable:
        why = f"{', '.join(sorted(stay))} out of service already, and " if stay else ""
        yield PreflightRefused(
            f"{why}max_unavailable is {bound.max_unavailable}: {taken[0]} cannot be taken out"
            + (" as well" if stay else ""),
            where=str(bound.play.origin),
            hint="bring them back first; --limit does not help, they count all the same"
            if stay
            else "allow at least 1",
        )
    floor = bound.floor
    denied = ((name, why) for name in taken if (why := floor.denies(name, out=stay)))
    for name, why in islice(denied, 1):
        also = f", with {', '.join(sorted(stay))} out of service already" if stay else ""
        yield PreflightRefused(
            f"{name} cannot be taken out{also}: {why}",
            where=str(bound.play.origin),
            hint="bring those back first, or let fewer be enough; --limit does not help, all hosts count",
        )
