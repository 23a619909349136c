"""Who serves and who does not, by the host's own word and by its balancer's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import (
    OUT_BY_ORDER,
    Absent,
    ObservedHost,
    ObservedService,
    PoolMember,
    Present,
    Traffic,
    Unknown,
)
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.planning.host import out_of_service
from fleetdeploy.rollout.pool_members import members_of


@dataclass(frozen=True)
class Standing:
    """``out``: hosts that served before and do not now, by whatever cause. ``withheld``: hosts that somebody other than
    fleetdeploy keeps from getting traffic in a pool of a service that the plan is about; they are not ours to put back.
    Those in maintenance are among them whatever our marker says, for fleetdeploy drains and nothing else. ``told``:
    those of ``out`` of which their balancer alone says so; what it says of one that we drained counts more than the
    marker.
    """

    out: frozenset[str]
    withheld: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()


def never_served(plan: Plan, hosts: Iterable[str]) -> frozenset[str]:
    """Hosts on which no release was ever recorded: they are new, not down. Of refused hosts nobody says so."""
    return frozenset(name for name in hosts if _is_new(plan, name))


def _is_new(plan: Plan, name: str) -> bool:
    if name in plan.hosts:
        host = plan.hosts[name]
        return not host.refusals and not any(isinstance(item.observed.release, Present) for item in host.services)
    seen = plan.beyond.get(name)
    return seen is not None and not has_served(seen)


def has_served(host: ObservedHost) -> bool:
    """Whether a release of any service was proven there, for all that is known."""
    return any(not isinstance(service.release, Absent) for service in host.services.values())


def _is_out(host: Host, seen: ObservedHost | None, *, balancer_tells: bool) -> bool:
    """The same of a host that is not the run's own. What is not known of it counts against it, unless there is a
    balancer, whose word is asked for as well: one that it does not know is not built yet.
    """
    if seen is None or any(isinstance(service.release, Unknown) for service in seen.services.values()):
        return host.balancer is None
    return _does_not_serve(host, seen.services.values(), balancer_tells=balancer_tells)


def _does_not_serve(host: Host, services: Collection[ObservedService], *, balancer_tells: bool) -> bool:
    """Also where it may stop at any moment: a watchdog that a dead run armed there restarts what gets requests, unless
    a balancer keeps them away, as it does behind the drain.
    """
    armed = any(isinstance(item.watch, Present) and item.watch.value.state is WatchState.ARMED for item in services)
    return (armed and not balancer_tells) or out_of_service(host, services, balancer_tells=balancer_tells)


def standing(plan: Plan, fleet: Fleet, everyone: Mapping[str, Host]) -> Standing:
    """Where each host stands now. Asks each balancer once.

    ``everyone`` may name more hosts than were looked at: of those only their balancer's word counts. Raises
    BalancerFailed or Unreachable when one cannot be asked.
    """
    new = never_served(plan, [*plan.hosts, *plan.beyond])
    planned = {name: host.host for name, host in plan.hosts.items()}
    members = said_of({**everyone, **planned}, fleet)
    traffic = traffic_in(members)
    silent = {name for name, seen in traffic.items() if seen - {Traffic.UP}}
    known = set(plan.unreachable)
    for name, host in plan.hosts.items():
        services = [service.observed for service in host.services]
        if _does_not_serve(host.host, services, balancer_tells=bool(traffic[name])):
            known.add(name)
    for name, seen in plan.beyond.items():
        if _is_out(everyone[name], seen, balancer_tells=bool(traffic[name])):
            known.add(name)
    out = (known | silent) - new
    withheld = {name for name, host in plan.hosts.items() if any(_is_withheld(host, item) for item in members[name])}
    return Standing(frozenset(out), frozenset(withheld), frozenset(out - known))


def _is_withheld(host: HostPlan, member: PoolMember) -> bool:
    if member.traffic is Traffic.MAINTENANCE:
        return member.pool in pools_of(host)
    return member.traffic in OUT_BY_ORDER and member.pool in unmarked_pools(host)


def pools_of(host: HostPlan) -> frozenset[str]:
    """Those of the services that the plan is about: nobody is put back in any other."""
    return _pools(host, [service.desired.name for service in host.services])


def unmarked_pools(host: HostPlan) -> frozenset[str]:
    """Those of them in which a drain would be somebody else's: no run of fleetdeploy has left a marker for any of their
    services. A marker speaks for its own service's pools and for no others.
    """
    marked = [item.desired.name for item in host.services if isinstance(item.observed.drained_by, Present)]
    return pools_of(host) - _pools(host, marked)


def _pools(host: HostPlan, services: Iterable[str]) -> frozenset[str]:
    pools = host.host.balancer.pools if host.host.balancer else {}
    return frozenset(pool for service in services for pool in pools.get(service, ()))


def traffic_of(hosts: Mapping[str, Host], fleet: Fleet) -> Mapping[str, frozenset[Traffic]]:
    """What its balancer does with each host, in any of its pools. Asks each balancer once.

    Raises BalancerFailed or Unreachable when one cannot be asked.
    """
    return traffic_in(said_of(hosts, fleet))


def said_of(hosts: Mapping[str, Host], fleet: Fleet) -> Mapping[str, tuple[PoolMember, ...]]:
    """The same pool by pool."""
    return members_of(hosts, lambda wish, pools: fleet.balancer(wish).members(pools))


def traffic_in(members: Mapping[str, Iterable[PoolMember]]) -> Mapping[str, frozenset[Traffic]]:
    """What is done with each host, whatever the pool."""
    return {name: frozenset(member.traffic for member in own) for name, own in members.items()}
