"""Leases of simulated hosts, by virtual time: what ``lease.sh`` does on a real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetdeploy.domain.lease import WHICHEVER, Holder, Lease, held_elsewhere
from fleetdeploy.domain.observed import Absent, Present, Reading
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import LeaseLost, RemoteCommandFailed

if TYPE_CHECKING:
    from .host import SimHost
    from .wire import Wire

ELSEWHERE = Holder("run-elsewhere", "somebody@another")
LONG_S = 60.0


@dataclass
class SimLease:
    """What ``lock/holder`` says. ``state`` is held, released or broken."""

    holder: Holder
    fence: int
    since_s: float
    renewed_s: float
    ttl_s: float
    state: str = "held"
    why: str = ""

    def seen(self, now_s: float) -> Lease | None:
        if self.state != "held":
            return None
        left_s = max(0.0, self.renewed_s + self.ttl_s - now_s)
        return Lease(self.holder, self.fence, age_s=now_s - self.since_s, left_s=left_s)

    @property
    def told(self) -> str:
        return {
            "held": f"{self.holder} took over",
            "broken": f"{self.holder.owner} broke the lease: {self.why}",
            "released": f"{self.holder} had the lease and has ended",
        }[self.state]


def take_over(sim: SimHost, holder: Holder = ELSEWHERE, *, ttl_s: float = LONG_S) -> None:
    """Another run takes every lease of the host, as if their time were over."""
    now_s = sim.clock.monotonic_s()
    for name, lease in sim.leases.items():
        sim.leases[name] = SimLease(holder, lease.fence + 1, now_s, now_s, ttl_s)


@dataclass
class SimLeases:
    """See :class:`fleetdeploy.domain.protocols.Leases`."""

    sim: SimHost
    wire: Wire
    holder: Holder | None = None
    ttl_s: float = LONG_S
    fences: dict[str, int] = field(default_factory=dict)

    def take(self, services: Sequence[ServiceWish], holder: Holder, *, ttl_s: float) -> None:
        names = sorted(service.name for service in services)
        self.wire.call(self.sim.name, "leases.take", lambda: self._take(names, holder, ttl_s))
        self.holder, self.ttl_s = holder, ttl_s
        self.fences = {name: self.sim.leases[name].fence for name in names}

    def check(self) -> None:
        if self.holder is not None:
            self.wire.call(self.sim.name, "leases.check", self._renew)

    def release(self, services: Sequence[ServiceWish], holder: Holder) -> None:
        self.holder, self.fences = None, {}
        names = [service.name for service in services]
        self.wire.call(self.sim.name, "leases.release", lambda: self._release(names, holder))

    def read(self, services: Sequence[ServiceWish]) -> Mapping[str, Reading[Lease]]:
        names = [service.name for service in services]
        return self.wire.call(
            self.sim.name, "leases.read", lambda: {name: lease_reading(self.sim, name) for name in names}
        )

    def break_all(
        self, services: Sequence[ServiceWish], by: Holder, *, reason: str, seen: Mapping[str, int] = WHICHEVER
    ) -> Mapping[str, Lease]:
        numbers = {service.name: seen.get(service.name, 0) for service in services}
        return self.wire.call(self.sim.name, "leases.break", lambda: self._break(numbers, by, reason))

    def prove(self, service: str = "") -> None:
        """What every change carries: refused once somebody else has a lease of ours. A change of a ``service``'s
        directory asks for that one alone, and without it is refused while somebody has it.
        """
        if service and service not in self.fences:
            held = self.sim.leases.get(service)
            seen = held.seen(self.sim.clock.monotonic_s()) if held else None
            if seen and seen.live:
                raise self._lost(f"{seen.holder} holds the lease")
            return
        for name, fence in self.fences.items():
            if service not in {"", name}:
                continue
            lease = self.sim.leases[name]
            if lease.holder.run != (self.holder and self.holder.run) or lease.fence != fence or lease.state != "held":
                raise self._lost(lease.told)

    def _take(self, names: Sequence[str], holder: Holder, ttl_s: float) -> None:
        now_s = self.sim.clock.monotonic_s()
        for name in names:
            before = self.sim.leases.get(name)
            seen = before.seen(now_s) if before else None
            if seen and seen.live and seen.holder.run == holder.run and seen.holder.origin != holder.origin:
                raise RemoteCommandFailed("two hosts of the inventory are one machine", where=self.sim.name)
            if before and seen and seen.holder.run == holder.run:
                before.renewed_s = now_s
            elif seen and seen.live and not holder.follows(seen.holder):
                raise held_elsewhere(self.sim.name, seen)
            else:
                self.sim.leases[name] = SimLease(holder, before.fence + 1 if before else 1, now_s, now_s, ttl_s)

    def _renew(self) -> None:
        self.prove()
        for name in self.fences:
            self.sim.leases[name].renewed_s = self.sim.clock.monotonic_s()

    def _release(self, names: Sequence[str], holder: Holder) -> None:
        for name in names:
            lease = self.sim.leases.get(name)
            if lease is not None and lease.holder.run == holder.run:
                lease.state = "released"

    def _break(self, numbers: Mapping[str, int], by: Holder, reason: str) -> Mapping[str, Lease]:
        now_s = self.sim.clock.monotonic_s()
        broken: dict[str, Lease] = {}
        for name, number in numbers.items():
            before = self.sim.leases.get(name)
            if before is not None and (seen := before.seen(now_s)) and number in {0, seen.fence}:
                broken[name] = seen
                self.sim.leases[name] = SimLease(by, before.fence + 1, now_s, now_s, 0.0, "broken", reason)
        return broken

    def _lost(self, why: str) -> LeaseLost:
        return LeaseLost(f"the lease is lost: {why}; this run changes nothing more there", where=self.sim.name)


def lease_reading(sim: SimHost, name: str) -> Reading[Lease]:
    """What a look at the host shows of a service's lease."""
    lease = sim.leases.get(name)
    seen = lease.seen(sim.clock.monotonic_s()) if lease else None
    return Present(seen) if seen else Absent()
