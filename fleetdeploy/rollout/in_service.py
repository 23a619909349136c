"""Who serves and who does not, by the host's own word and by its balancer's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleetdeploy.domain.inventory import BalancerWish
from fleetdeploy.domain.observed import Present, Traffic
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.planning.host import out_of_service


def never_served(plan: Plan, hosts: Iterable[str]) -> frozenset[str]:
    """Hosts on which no release was ever recorded: they are new, not down."""
    return frozenset(
        name
        for name in hosts
        if name in plan.hosts
        and not any(isinstance(service.observed.release, Present) for service in plan.hosts[name].services)
    )


def hosts_out(plan: Plan, fleet: Fleet) -> frozenset[str]:
    """Hosts that served before and do not now: unreachable, no container, drained, or not up in their balancer.

    Asks each balancer once. Raises BalancerFailed or Unreachable when one cannot be asked.
    """
    new = never_served(plan, plan.hosts)
    served = {name: host for name, host in plan.hosts.items() if name not in new}
    out = set(plan.unreachable) | {name for name, host in served.items() if out_of_service(host)}
    up = _traffic(served, fleet)
    for name, host in served.items():
        wish = host.host.balancer
        if wish and any(
            up.get((wish.kind, wish.host, wish.socket, pool, wish.server), True) is False for pool in _pools(wish)
        ):
            out.add(name)
    return frozenset(out)


def _traffic(hosts: Mapping[str, HostPlan], fleet: Fleet) -> Mapping[tuple[str, ...], bool]:
    """Whether each server of each pool gets traffic, by balancer, pool and server."""
    pools: dict[tuple[str, ...], set[str]] = {}
    wishes: dict[tuple[str, ...], BalancerWish] = {}
    for host in hosts.values():
        wish = host.host.balancer
        if wish:
            key = (wish.kind, wish.host, wish.socket)
            wishes.setdefault(key, wish)
            pools.setdefault(key, set()).update(_pools(wish))
    return {
        (*key, member.pool, member.server): member.traffic is Traffic.UP
        for key, wish in wishes.items()
        for member in fleet.balancer(wish).members(tuple(sorted(pools[key])))
    }


def _pools(wish: BalancerWish) -> tuple[str, ...]:
    return tuple(pool for pools in wish.pools.values() for pool in pools)
