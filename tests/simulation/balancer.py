"""The balancer of a simulated world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fleetdeploy.domain.balancer import nothing
from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.observed import Note, PoolMember, Traffic
from fleetdeploy.errors import BalancerFailed, InMaintenance

from .wire import Wire
from .world import POOLS, World

_OUT = {Traffic.DRAINED, Traffic.MAINTENANCE}


@dataclass
class SimBalancer:
    """See :class:`fleetdeploy.domain.balancer.Balancer`."""

    name: str
    world: World
    wire: Wire

    def members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        return self.wire.call(self.name, "balancer.members", lambda: self._members(pools))

    def noted(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        return self.wire.call(
            self.name, "balancer.noted", lambda: self._members([pool for pool in pools if pool in POOLS])
        )

    def load(self, pools: Sequence[str]) -> dict[str, PoolLoad]:
        counted = self.world.counted_requests
        return self.wire.call(
            self.name, "balancer.load", lambda: {name: counted[name] for name in pools if name in counted}
        )

    def drain(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        act = lambda: self._drain(pools, server, deadline_s, check)  # noqa: E731
        self.wire.call(self.name, "balancer.drain", act, about=server)

    def keep_out(
        self,
        pools: Sequence[str],
        server: str,
        *,
        run: str,
        deadline_s: float,
        ours: bool = False,
        check: Callable[[], None] = nothing,
    ) -> None:
        act = lambda: self._keep_out(pools, server, run, deadline_s, check, ours=ours)  # noqa: E731
        self.wire.call(self.name, "balancer.keep_out", act, about=server)

    def undrain(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        act = lambda: self._undrain(pools, server, deadline_s, check)  # noqa: E731
        self.wire.call(self.name, "balancer.undrain", act, about=server)

    def forget(self, pools: Sequence[str], server: str, *, run: str) -> None:
        act = lambda: self._forget(pools, server, run)  # noqa: E731
        self.wire.call(self.name, "balancer.forget", act, about=server)

    def _forget(self, pools: Sequence[str], server: str, run: str) -> None:
        for member in self._members(pools):
            if member.server == server and member.outlived and member.note == Note(run):
                self._settle(member.pool, server)

    def _settle(self, pool: str, server: str) -> None:
        note = self.world.notes.get((pool, server))
        if note:
            self.world.notes[pool, server] = Note(note.run, paid=True)

    def _members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        self.world.tell()
        self._known(pools)
        return tuple(
            PoolMember(
                pool, server, self.world.traffic(pool, server), 0, 100, note=self.world.notes.get((pool, server))
            )
            for pool in pools
            for server in self.world.hosts
            if server not in self.world.unlisted
        )

    def _known(self, pools: Sequence[str], server: str = "") -> None:
        if not set(pools) <= set(POOLS):
            raise BalancerFailed(f"there is no pool {', '.join(set(pools) - set(POOLS))}", where=self.name)
        if server and (server not in self.world.hosts or server in self.world.unlisted):
            raise BalancerFailed(f"{server} is no server of {', '.join(pools)}", where=self.name)

    def _in_maintenance(self, pools: Sequence[str], server: str) -> bool:
        return any(self.world.traffic(pool, server) is Traffic.MAINTENANCE for pool in pools)

    def _leave_maintenance(self, pools: Sequence[str], server: str, *, told: bool) -> None:
        if self._in_maintenance(pools, server):
            text = f"{server} is in maintenance, which fleetdeploy did not ask for; it is left there"
            raise InMaintenance(text, where=self.name, hint="set server POOL/SERVER state ready", told=told)

    def _keep_out(
        self, pools: Sequence[str], server: str, run: str, deadline_s: float, check: Callable[[], None], *, ours: bool
    ) -> None:
        self._known(pools, server)
        out = [] if ours else [pool for pool in pools if self.world.traffic(pool, server) is Traffic.DRAINED]
        for pool in [pool for pool in pools if pool not in out]:
            check()
            if not self._in_maintenance([pool], server) and "drain" not in self.world.lies:
                self.world.take_out(server)
                self.world.drained |= {(pool, server)}
                if self.world.keeps_notes:
                    self.world.notes[pool, server] = Note(run)
        if any(self.world.traffic(pool, server) not in _OUT for pool in pools):
            self.world.clock.wait(deadline_s)
            raise BalancerFailed(f"{server} still gets requests", where=self.name)

    def _drain(self, pools: Sequence[str], server: str, deadline_s: float, check: Callable[[], None]) -> None:
        self._known(pools, server)
        for at, pool in enumerate(pools):
            check()
            self._leave_maintenance(pools, server, told=at > 0)
            self.world.take_out(server)
            if "drain" not in self.world.lies:
                self.world.drained |= {(pool, server)}
        if any((pool, server) not in self.world.drained for pool in pools):
            self.world.clock.wait(deadline_s)
            raise BalancerFailed(f"{server} still gets requests", where=self.name)

    def _undrain(self, pools: Sequence[str], server: str, deadline_s: float, check: Callable[[], None]) -> None:
        self._known(pools, server)
        for at, pool in enumerate(pools):
            check()
            self._leave_maintenance(pools, server, told=at > 0)
            if "undrain" not in self.world.lies:
                self.world.drained -= {(pool, server)}
                self._settle(pool, server)
        if any(self.world.traffic(pool, server) is not Traffic.UP for pool in pools):
            self.world.clock.wait(deadline_s)
            raise BalancerFailed(f"{server} is not up", where=self.name)
