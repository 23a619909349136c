"""What balancers say of hosts, each of them asked once for all of its hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import PoolMember

Ask = Callable[[BalancerWish, Sequence[str]], Iterable[PoolMember]]
"""The servers of pools of one balancer."""


def each_balancer(hosts: Iterable[Host]) -> tuple[tuple[BalancerWish, tuple[str, ...]], ...]:
    """Every balancer of the hosts once, by one of their wishes, with the pools of all of them in alphabetical order."""
    wishes: dict[tuple[str, str, str], BalancerWish] = {}
    pools: dict[tuple[str, str, str], set[str]] = {}
    for wish in filter(None, (host.balancer for host in hosts)):
        wishes.setdefault(wish.place, wish)
        pools.setdefault(wish.place, set()).update(wish.all_pools)
    return tuple((wish, tuple(sorted(pools[place]))) for place, wish in wishes.items())


def members_of(hosts: Mapping[str, Host], ask: Ask) -> Mapping[str, tuple[PoolMember, ...]]:
    """Each host's own servers in its own pools; none of a host without a balancer, or that its balancer does not know.

    Raises what ``ask`` raises.
    """
    found: dict[tuple[tuple[str, str, str], str], list[PoolMember]] = {}
    for wish, pools in each_balancer(hosts.values()):
        for member in ask(wish, pools):
            found.setdefault((wish.place, member.server), []).append(member)
    return {
        name: tuple(
            member
            for wish in filter(None, [host.balancer])
            for member in found.get((wish.place, wish.server), ())
            if member.pool in wish.all_pools
        )
        for name, host in hosts.items()
    }
