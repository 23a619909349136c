"""Who serves and who does not, by the host's own word and by its balancer's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import OUT_BY_ORDER, Absent, ObservedHost, Present, Traffic, Unknown
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.planning.host import out_of_service
from fleetdeploy.rollout.pool_members import members_of


@dataclass(frozen=True)
class Standing:
    """``out``: hosts that served before and do not now, by whatever cause. ``withheld``: hosts that somebody other than
    fleetdeploy keeps from getting traffic; they are not ours to put back. Those in maintenance are among them whatever
    our marker says, for fleetdeploy drains and nothing else. ``told``: those of ``out`` of which their
    balancer alone says so; what it says of one that we drained counts more than the marker.
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
    return out_of_service(host, seen.services.values(), balancer_tells=balancer_tells)


def standing(plan: Plan, fleet: Fleet, everyone: Mapping[str, Host]) -> Standing:
    """Where each host stands now. Asks each balancer once.

    ``everyone`` may name more hosts than were looked at: of those only their balancer's word counts. Raises
    BalancerFailed or Unreachable when one cannot be asked.
    """
    new = never_served(plan, [*plan.hosts, *plan.beyond])
    planned = {name: host.host for name, host in plan.hosts.items()}
    traffic = traffic_of({**everyone, **planned}, fleet)
    silent = {name for name, seen in traffic.items() if seen - {Traffic.UP}}
    known = set(plan.unreachable)
    for name, host in plan.hosts.items():
        services = [service.observed for service in host.services]
        if out_of_service(host.host, services, balancer_tells=bool(traffic[name])):
            known.add(name)
    for name, seen in plan.beyond.items():
        if _is_out(everyone[name], seen, balancer_tells=bool(traffic[name])):
            known.add(name)
    out = (known | silent) - new
    withheld = {
        name
        for name, host in plan.hosts.items()
        if Traffic.MAINTENANCE in traffic[name]
        or (not drained_by_us(host) and not traffic[name].isdisjoint(OUT_BY_ORDER))
    }
    return Standing(frozenset(out), frozenset(withheld), frozenset(out - known))


def drained_by_us(host: HostPlan) -> bool:
    """Whether a run of fleetdeploy took the host out, so that it is ours to put back."""
    return any(isinstance(service.observed.drained_by, Present) for service in host.services)


def traffic_of(hosts: Mapping[str, Host], fleet: Fleet) -> Mapping[str, frozenset[Traffic]]:
    """What its balancer does with each host, in any of its pools. Asks each balancer once.

    Raises BalancerFailed or Unreachable when one cannot be asked.
    """
    members = members_of(hosts, lambda wish, pools: fleet.balancer(wish).members(pools))
    return {name: frozenset(member.traffic for member in own) for name, own in members.items()}
