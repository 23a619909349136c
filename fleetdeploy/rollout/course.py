"""The course of a run: which hosts of a play have work, in which order and in which waves.

A run goes by it, and so does what a plan says about the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from fleetdeploy.domain.plan import Plan
from fleetdeploy.planning.waves import split
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity.in_service import has_served, never_served
from fleetdeploy.rollout.work import Call, Work, work_of


@dataclass(frozen=True)
class Progress:
    """How far a run is before one of its plays.

    ``out`` are the hosts that served before and do not now, ``touched`` those that an earlier play of the run has
    worked on, ``activated`` those that it made serve, ``lost`` those that failed or were passed over.
    """

    out: frozenset[str] = frozenset()
    touched: AbstractSet[str] = frozenset()
    activated: AbstractSet[str] = frozenset()
    lost: AbstractSet[str] = frozenset()


@dataclass(frozen=True)
class Turn:
    """One play's part of a run: its ``busy`` hosts, and the same in ``waves``.

    ``new`` hosts of the play have not served yet; ``coming_back`` are busy hosts that the play brings into service.
    """

    busy: tuple[str, ...]
    waves: tuple[tuple[str, ...], ...]
    new: frozenset[str]
    coming_back: tuple[str, ...]


def turn(plan: Plan, bound: BoundPlay, progress: Progress) -> Turn:
    """What ``plan``, the first look at the fleet, makes of a play. Without a busy host there are no waves.

    On a host that this run has touched already, what is to do is found out by a new look.
    """
    busy = tuple(
        name
        for name in bound.hosts
        if name in plan.hosts
        and name not in progress.lost
        and (name in progress.touched or work_of(plan.hosts[name], _calls(bound)))
    )
    new = new_hosts(plan, bound.everyone, progress.activated)
    # Hosts that are out already come first: repairing them costs no capacity and gains some. So do new ones where
    # a domain waits for them.
    first = progress.out | new if bound.play.min_available.amount else progress.out
    waves = split(sorted(busy, key=lambda name: name not in first), bound.play.serial)
    return Turn(busy, waves, new, tuple(name for name in busy if has_traffic_work(plan, name, bound)))


def new_hosts(plan: Plan, hosts: Iterable[str], activated: AbstractSet[str]) -> frozenset[str]:
    """Hosts that never served, neither before this run nor since an earlier play of it."""
    return never_served(plan, hosts) - activated


def has_traffic_work(plan: Plan, name: str, bound: BoundPlay) -> bool:
    """Whether the play can change what the host serves or whether it gets requests, by the first look."""
    return any(work.call.task.touches_traffic for work in _work(plan, name, bound))


def is_taken_out(plan: Plan, name: str, bound: BoundPlay) -> bool:
    """Whether the play may have the host out of service meanwhile, by the first look."""
    return any(work.takes_out for work in _work(plan, name, bound))


def kept(plan: Plan, bound: BoundPlay, busy: Iterable[str]) -> frozenset[str]:
    """The hosts that no other run may change while the play is at work on its ``busy`` ones, by the first look.

    Where it takes hosts out of service these are all that share its capacity and have ever served, whatever is to do
    there: another controller could take out one of them, and find the capacity for that at the same moment.
    """
    found = set(busy)
    if any(is_taken_out(plan, name, bound) for name in found):
        seen = {**plan.beyond, **{name: host.observed for name, host in plan.hosts.items()}}
        served = {name for name, host in seen.items() if host is not None and has_served(host)}
        found |= served & set(bound.everyone)
    return frozenset(found)


def _work(plan: Plan, name: str, bound: BoundPlay) -> tuple[Work, ...]:
    return work_of(plan.hosts[name], _calls(bound)) if name in plan.hosts else ()


def _calls(bound: BoundPlay) -> tuple[Call, ...]:
    """What a host has a part in the play for. A play that only ``always`` puts hosts back is due on a drained one."""
    return (*bound.calls, *(call for call in bound.always if call.task.touches_traffic))
