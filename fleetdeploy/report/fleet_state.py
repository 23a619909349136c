"""The fleet held against the inventory: which hosts differ, which cannot be known, which get no traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleetdeploy.domain.observed import ObservedService, PoolMember, Present, Reading, Traffic, Unknown
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.errors import HostKeyRefused, Unreachable
from fleetdeploy.report.wording import counted, part

Members = Mapping[str, Reading[tuple[PoolMember, ...]]]
"""Each host's own servers in its balancer's pools; Unknown when the balancer could not be asked, Absent without one."""

DRIFT = 10


@dataclass(frozen=True)
class FleetState:
    """Names of hosts. A host that is not known, or whose key was refused, is never counted as different as well."""

    total: int
    unreachable: tuple[str, ...]
    key_refused: tuple[str, ...]
    unknown: tuple[str, ...]
    different: tuple[str, ...]
    out_of_service: tuple[str, ...]
    silent_balancers: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan, members: Members) -> FleetState:
        key_refused = tuple(name for name, host in plan.hosts.items() if key_refused_at(host))
        unknown = tuple(name for name, host in plan.hosts.items() if name not in key_refused and _unknown(host))
        known = {name: host for name, host in plan.hosts.items() if name not in {*key_refused, *unknown}}
        return cls(
            total=len(plan.hosts) + len(plan.unreachable),
            unreachable=tuple(plan.unreachable),
            key_refused=key_refused,
            unknown=unknown,
            different=tuple(name for name, host in known.items() if host.changed or host.refusals),
            out_of_service=tuple(name for name, host in known.items() if _out_of_service(host, members.get(name))),
            silent_balancers=_silent(plan, members),
        )

    def exit_code(self, *, drift_matters: bool) -> int:
        """2 for a refused host key, 4 for a host that cannot be known, and 10 for drift if that is asked for.

        Who asks for drift also wants to know that it could not be looked at whole: 4 for a balancer that is silent.
        """
        if self.key_refused:
            return HostKeyRefused.exit_code
        if self.unreachable or self.unknown or (drift_matters and self.silent_balancers):
            return Unreachable.exit_code
        return DRIFT if drift_matters and (self.different or self.out_of_service) else 0

    @property
    def summary(self) -> str:
        """One sentence that claims nothing about what is not known."""
        parts = []
        if self.different:
            verb = "differs" if len(self.different) == 1 else "differ"
            parts.append(f"{part(len(self.different), self.total, 'host')} {verb} from the inventory")
        for names, what in (
            (self.out_of_service, "not in service"),
            (self.unknown, "not known"),
            (self.key_refused, "with a refused host key"),
            (self.unreachable, "unreachable"),
        ):
            if names:
                parts.append(f"{counted(len(names), 'host')} {what}")
        silent = [f"balancer {name} cannot be asked" for name in self.silent_balancers]
        if parts:
            return ", ".join([*parts, *silent])
        fine = "1 host is" if self.total == 1 else f"all {self.total} hosts are"
        return f"{fine} as the inventory says" + "".join(f", but {text}" for text in silent)


def key_refused_at(host: HostPlan) -> bool:
    """Whether nothing is known of the host because its key is not the pinned one."""
    refused = any(refusal.exit_code == HostKeyRefused.exit_code for refusal in host.refusals)
    return refused and isinstance(host.observed.docker, Unknown) and not host.observed.services


def unknown_of(service: ObservedService) -> Iterator[tuple[str, str]]:
    """What of a service could not be read, and why; what it serves is not part of that."""
    for what, reading in (
        ("container", service.container),
        ("previous container", service.previous),
        ("configuration", service.config_text),
        ("release", service.release),
        ("version directories", service.versions),
        ("drain marker", service.drained_by),
    ):
        if isinstance(reading, Unknown):
            yield what, reading.reason


def pools_of(host: HostPlan, service: str) -> tuple[str, ...]:
    """The balancer's pools through which the host gets the service's requests."""
    return tuple(host.host.balancer.pools.get(service, ())) if host.host.balancer else ()


def services_of(host: HostPlan) -> tuple[str, ...]:
    """The services that were looked for on the host, planned or not."""
    return tuple(dict.fromkeys([*host.observed.services, *(service.desired.name for service in host.services)]))


def _unknown(host: HostPlan) -> bool:
    return isinstance(host.observed.docker, Unknown) or any(
        True for service in host.observed.services.values() for _ in unknown_of(service)
    )


def _out_of_service(host: HostPlan, members: Reading[tuple[PoolMember, ...]] | None) -> bool:
    if not isinstance(members, Present):
        return False
    up = {member.pool for member in members.value if member.traffic is Traffic.UP}
    return any(pool not in up for service in services_of(host) for pool in pools_of(host, service))


def _silent(plan: Plan, members: Members) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, reading in members.items():
        wish = plan.hosts[name].host.balancer
        if wish and isinstance(reading, Unknown):
            found.setdefault(wish.host, reading.reason)
    return found
