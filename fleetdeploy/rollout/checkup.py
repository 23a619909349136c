"""The look that ``doctor`` takes at a fleet: each host once, each balancer once, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fleetdeploy.domain.balancer import Balancer
from fleetdeploy.domain.checkup import HostFacts, known
from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import PoolMember, Present, Reading, Unknown
from fleetdeploy.errors import HostError
from fleetdeploy.rollout.debt.ledger import Debts
from fleetdeploy.rollout.side_by_side import side_by_side

Place = tuple[str, str, str]


@dataclass(frozen=True)
class _Heard:
    """What one balancer said: its servers by pool, and whether it may be told anything."""

    members: Mapping[str, Reading[tuple[PoolMember, ...]]]
    obeys: Reading[bool]


def look(
    hosts: Sequence[Host],
    examine: Callable[[Host], HostFacts],
    balancer_of: Callable[[BalancerWish], Balancer],
    debts: Debts,
    *,
    forks: int,
) -> list[HostFacts]:
    """The facts of all hosts, in their order. ``examine`` raises nothing for a host that it cannot look at."""
    wishes: dict[Place, list[BalancerWish]] = {}
    for host in hosts:
        if host.balancer is not None:
            wishes.setdefault(host.balancer.place, []).append(host.balancer)
    found = side_by_side(examine, hosts, forks=forks)
    heard = dict(zip(wishes, side_by_side(_asker(balancer_of), list(wishes.values()), forks=forks), strict=True))
    return [_completed(facts, heard, debts) for facts in found]


def _asker(balancer_of: Callable[[BalancerWish], Balancer]) -> Callable[[Sequence[BalancerWish]], _Heard]:
    def ask(wishes: Sequence[BalancerWish]) -> _Heard:
        members: dict[str, Reading[tuple[PoolMember, ...]]] = {}
        try:
            balancer = balancer_of(wishes[0])
        except HostError as error:
            silent = Unknown(_told(error))
            return _Heard({pool: silent for wish in wishes for pool in wish.all_pools}, silent)
        for pool in dict.fromkeys(pool for wish in wishes for pool in wish.all_pools):
            try:  # one pool at a time: one that is not there must not hide the others
                members[pool] = Present(balancer.members([pool]))
            except HostError as error:
                members[pool] = Unknown(_told(error))
        try:
            obeys: Reading[bool] = Present(balancer.obeys())
        except HostError as error:
            obeys = Unknown(_told(error))
        return _Heard(members, obeys)

    return ask


def _completed(facts: HostFacts, heard: Mapping[Place, _Heard], debts: Debts) -> HostFacts:
    wish, debt = facts.host.balancer, debts.of(facts.host)
    owes = f"since {debt.since}, {debt.why}" if debt is not None else ""
    if wish is None:
        return replace(facts, owes=owes)
    said = heard[wish.place]
    return replace(facts, owes=owes, members=_own(wish, said), balancer_obeys=said.obeys)


def _own(wish: BalancerWish, said: _Heard) -> Reading[tuple[PoolMember, ...]]:
    """The host's own servers; unknown where no pool could be asked about, or one of them not."""
    own: list[PoolMember] = []
    for pool in wish.all_pools:
        reading = said.members.get(pool, Unknown("it was not asked"))
        if isinstance(reading, Unknown):
            return reading
        own += [member for member in known(reading) or () if member.server == wish.server]
    return Present(tuple(own))


def _told(error: HostError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
