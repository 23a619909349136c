"""The leases of a fleet as they are now, and the end of those that a person wants to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.lease import Holder, Lease
from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import Held, HostError, HostKeyRefused
from fleetdeploy.rollout.naming import named
from fleetdeploy.rollout.side_by_side import side_by_side


@dataclass(frozen=True)
class Seen:
    """``leases`` are by host and service; ``failed`` says why a host, or a service on one, could not be asked."""

    leases: Mapping[tuple[str, str], Lease] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    refused: bool = False

    @property
    def exit_code(self) -> int:
        if self.refused:
            return HostKeyRefused.exit_code
        return HostError.exit_code if self.failed else 0

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
    """Break the leases of hosts on which any was seen; what was broken, and what could not be."""

    def one(host: Host) -> Seen:
        try:
            broken = fleet.session(host).leases().break_all(host.services, by, reason=reason)
        except HostError as error:
            return _failed(host, error)
        return Seen({(host.name, name): lease for name, lease in broken.items()})

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
    return Seen(leases, failed, any(part.refused for part in parts))
