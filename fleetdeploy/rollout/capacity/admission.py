"""Whether a run may begin: who is in service, and what stands in the way of a play."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice

from fleetdeploy.domain.plan import Plan
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import HostError, HostKeyRefused, PreflightRefused
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity.in_service import Standing, never_served, pools_of, standing, unmarked_pools
from fleetdeploy.rollout.course import has_traffic_work, is_taken_out
from fleetdeploy.rollout.debt.behind import behind
from fleetdeploy.rollout.naming import named

PUT_BACK = "put it back (HAProxy: set server POOL/SERVER state ready)"
LEFT_BEHIND = (
    "{hosts}: run again where that run was started, which still knows of it; or stop its container, so that it gets no "
    "request with its old release, then put it back, and run again here: it is brought up to date first"
)


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


@dataclass(frozen=True)
class Barrier:
    """Why a play must not begin. ``hosts`` are all that stand in the way; the error names the first of them."""

    error: PreflightRefused
    hosts: tuple[str, ...] = ()


def refusals(plan: Plan, bound: BoundPlay, now: Standing) -> Iterator[PreflightRefused]:
    """Why the play must not begin: hosts that are not ours to put back, and capacity that is not there."""
    yield from (item.error for item in barriers(plan, bound, now))


def barriers(plan: Plan, bound: BoundPlay, now: Standing) -> Iterator[Barrier]:
    """The same with the hosts that stand in the way, in the play's order."""
    working = [name for name in bound.hosts if has_traffic_work(plan, name, bound)]
    yield from _withheld(plan, bound, [name for name in working if name in now.withheld])
    # Hosts that the play itself brings back come first.
    stay = [name for name in bound.everyone if name in now.out and name not in working]
    refused = [name for name in stay if name in plan.hosts and plan.hosts[name].refusals]
    serving = set(bound.hosts) - now.out - never_served(plan, bound.hosts)
    taken = [name for name in working if name in serving and is_taken_out(plan, name, bound)]
    stay_new = never_served(plan, bound.everyone) - set(working)
    yield from _no_room(bound, taken, stay, refused, stay_new)


def _withheld(plan: Plan, bound: BoundPlay, held: Sequence[str]) -> Iterator[Barrier]:
    """A host that a person keeps out of the balancer would be put back behind that person's back. One that is behind
    the others may be out by a run of another controller, and would get requests with what they served before.
    """
    if not held:
        return
    text = f"{named(held)} drained or in maintenance in the balancer, and nothing here tells that fleetdeploy did it"
    hint = f"{PUT_BACK}; until then it counts as out of service"
    theirs = {name: unmarked_pools(plan.hosts[name]) for name in held}
    wholly = [name for name, pools in theirs.items() if pools == pools_of(plan.hosts[name])]
    left = behind(plan, wholly)
    if left:
        first = next(iter(left.values()))
        text += f"; {named(list(left))} may have been left behind by a run of another controller: {first}"
        hint = LEFT_BEHIND.format(hosts=named(list(left)))
        hint += f"; the others: {PUT_BACK}" if len(left) < len(held) else ""
    for name in (name for name in held if theirs[name] and name not in wholly):
        # What it serves in the others may be what nobody has proven yet.
        pools = ", ".join(sorted(theirs[name]))
        hint += f"; {name} in no pool but {pools}: a run of fleetdeploy took it out of its others"
    yield Barrier(PreflightRefused(text, where=str(bound.play.origin), hint=hint), tuple(held))


def _no_room(
    bound: BoundPlay, taken: Sequence[str], stay: Sequence[str], refused: Sequence[str], stay_new: AbstractSet[str]
) -> Iterator[Barrier]:
    """What is ``taken`` out while hosts ``stay`` out, some because they are ``refused``, has to leave what the play
    asks for; hosts that ``stay_new`` serve nothing either.
    """
    if taken and len(stay) >= bound.max_unavailable:
        why = f"{_out(stay, refused)}, and " if stay else ""
        error = PreflightRefused(
            f"{why}max_unavailable is {bound.max_unavailable}: {taken[0]} cannot be taken out"
            + (" as well" if stay else ""),
            where=str(bound.play.origin),
            hint="bring them back, or let max_unavailable be more; --limit does not help, all hosts of the play count"
            if stay
            else "allow at least 1",
        )
        yield Barrier(error, tuple(stay))
    floor = bound.floor
    denied = ((name, why) for name in taken if (why := floor.denies(name, out=stay_new | set(stay))))
    for name, why in islice(denied, 1):
        also = f", with {_out(stay, refused)}" if stay else ""
        error = PreflightRefused(
            f"{name} cannot be taken out{also}: {why}",
            where=str(bound.play.origin),
            hint="bring those back, or let min_available be less; --limit does not help, all hosts of the play count",
        )
        yield Barrier(error, tuple(stay))


def _out(stay: Sequence[str], refused: Sequence[str]) -> str:
    """Of a refused host nobody looked whether it serves: it counts, and is not said to have served."""
    out = [name for name in stay if name not in refused]
    told = [f"{named(out)} out of service already"] if out else []
    return ", ".join([*told, f"{named(refused)} refused and not known to serve"] if refused else told)
