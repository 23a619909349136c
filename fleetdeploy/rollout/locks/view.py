"""The leases of a fleet as they are now, and the end of those that a person wants to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.lease import Holder, Lease
from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import Held, HostError, HostKeyRefused, LockHeld
from fleetdeploy.rollout.naming import named
from fleetdeploy.rollout.side_by_side import side_by_side


@dataclass(frozen=True)
class Seen:
    """``leases`` are by host and service; ``failed`` says why a host, or a service on one, could not be asked, and
    ``anew`` who has taken a lease after it was seen: those are not broken.
    """

    leases: Mapping[tuple[str, str], Lease] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    anew: Mapping[tuple[str, str], Lease] = field(default_factory=dict)
    refused: bool = False

    @property
    def exit_code(self) -> int:
        if self.refused:
            return HostKeyRefused.exit_code
        if self.failed:
            return HostError.exit_code
        return LockHeld.exit_code if self.anew else 0

    @property
    def holders(self) -> tuple[str, ...]:
        """The runs that hold anything, in the order of their hosts."""
        return tuple(dict.fromkeys(str(lease.holder) for lease in self.leases.values()))


def look(hosts: Sequence[Host], fleet: Fleet, *, forks: int) -> Seen:
    """Every lease that is still live; one connection and one command a host."""

    def one(host: Host) -> Seen:
        try:
            found = fleet.session(host).leases().read(host.services)
        except HostError as error:
            return _failed(host, error)
        leases = {
            (host.name, name): item.value
            for name, item in found.items()
            if isinstance(item, Present) and item.value.live
        }
        unknown = [f"{name}: {item.reason}" for name, item in found.items() if isinstance(item, Unknown)]
        return Seen(leases, {host.name: "; ".join(unknown)} if unknown else {})

    return _together(side_by_side(one, hosts, forks=forks))


def break_held(seen: Seen, hosts: Sequence[Host], fleet: Fleet, by: Holder, *, reason: str, forks: int) -> Seen:
    """Break the leases that were seen, and no other; what was broken, what could not be, and what is another's now."""

    def one(host: Host) -> Seen:
        numbers = {service: lease.fence for (name, service), lease in seen.leases.items() if name == host.name}
        services = [service for service in host.services if service.name in numbers]
        try:
            broken = fleet.session(host).leases().break_all(services, by, reason=reason, seen=numbers)
        except HostError as error:
            return _failed(host, error)
        left = [service for service in services if service.name not in broken]
        after = look([replace(host, services=tuple(left))], fleet, forks=1) if left else Seen()
        return replace(after, leases={(host.name, name): lease for name, lease in broken.items()}, anew=after.leases)

    meant = [host for host in hosts if any(name == host.name for name, _ in seen.leases)]
    done = _together(side_by_side(one, meant, forks=forks))
    return replace(done, failed={**seen.failed, **done.failed}, refused=seen.refused or done.refused)


def check_agreed(seen: Seen, ask: Callable[[str], bool]) -> None:
    """Leases of several runs are broken only where a person says so. Raises Held."""
    if len(seen.holders) > 1 and not ask(f"Break the leases of {len(seen.holders)} runs ({named(seen.holders)})?"):
        raise Held("not agreed to", hint="nothing was broken; name the hosts of one run")


def _failed(host: Host, error: HostError) -> Seen:
    return Seen({}, {host.name: error.message}, refused=isinstance(error, HostKeyRefused))


def _together(parts: Sequence[Seen]) -> Seen:
    leases = {key: lease for part in parts for key, lease in part.leases.items()}
    failed = {name: why for part in parts for name, why in part.failed.items()}
    anew = {key: lease for part in parts for key, lease in part.anew.items()}
    return Seen(leases, failed, anew, any(part.refused for part in parts))
