# ruff: noqa: ARG002  the protocols' signatures are not ours to choose
"""The fleet of one controller over a simulated world. Deadlines are kept by what is asked, not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.measured import ServerLoad
from fleetdeploy.domain.observed import ObservedHost
from fleetdeploy.domain.protocols import NOTHING, Ended
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import DeadlineExceeded, HostError, NotHealthy, Unreachable
from fleetdeploy.planning.container import METRICS_FLAG, REST_PORT

from .balancer import SimBalancer
from .containers import SimContainers, SimServing
from .directory import SimFiles, SimWatchdog
from .host import SimHost
from .leases import SimLeases
from .probe import look
from .wire import Wire
from .world import World


@dataclass
class SimFleet:
    """See :class:`fleetdeploy.domain.protocols.Fleet`."""

    world: World
    wire: Wire
    sessions: dict[str, SimSession] = field(default_factory=dict)

    def reached(self, host: Host) -> SimSession | None:
        return self.sessions.get(host.name)

    def session(self, host: Host) -> SimSession:
        if host.name not in self.world.hosts or not self.world.hosts[host.name].reachable:
            raise Unreachable("no route to host", where=host.name)
        sim = self.world.hosts[host.name]
        made = SimSession(host, sim, self.wire, self.wire.leases.setdefault(host.name, SimLeases(sim, self.wire)))
        self.sessions[host.name] = made
        return made

    def balancer(self, wish: BalancerWish) -> SimBalancer:
        return SimBalancer(wish.host, self.world, self.wire)

    def outside(self) -> SimOutside:
        return SimOutside(self.world, self.wire)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class SimOutside:
    """See :class:`fleetdeploy.domain.protocols.Outside`. What is told is kept in the world; ``deaf`` hears nothing."""

    world: World
    wire: Wire

    def post(self, url: str, body: bytes, *, deadline_s: float) -> None:
        self.wire.call("controller", "outside.post", lambda: self._hear(url, body))

    def command(
        self, argv: Sequence[str], stdin: bytes, *, deadline_s: float, environment: Mapping[str, str] = NOTHING
    ) -> Ended:
        self.world.environments.append(dict(environment))
        self.wire.call("controller", "outside.command", lambda: self._hear(argv[0], stdin))
        return Ended(0, "")

    def _hear(self, whom: str, body: bytes) -> None:
        if self.world.deaf:
            raise HostError("nobody listens")
        self.world.told.append((whom, body))


@dataclass
class SimSession:
    """See :class:`fleetdeploy.domain.protocols.HostSession`."""

    host: Host
    sim: SimHost
    wire: Wire
    held: SimLeases

    def leases(self) -> SimLeases:
        return self.held

    def observe(self, services: Sequence[ServiceWish]) -> ObservedHost:
        return self.wire.call(self.sim.name, "observe", lambda: look(self.sim, services))

    def files(self, service: ServiceWish) -> SimFiles:
        return SimFiles(self.sim, service.name, self.wire)

    def watchdog(self, service: ServiceWish) -> SimWatchdog:
        return SimWatchdog(self.sim, service.name, self.wire)

    def containers(self) -> SimContainers:
        return SimContainers(self.sim, self.wire)

    def serving(self, address: str, port: int) -> SimServing:
        return SimServing(self.sim, (address, port), self.wire)

    def counted(self, address: str, port: int, *, deadline_s: float) -> ServerLoad:
        return self.wire.call(self.sim.name, "counted", lambda: self._counted((address, port)))

    def _counted(self, place: tuple[str, int]) -> ServerLoad:
        for container in self.sim.containers.values():
            if container.process and container.process.listening and container.spec.ports[REST_PORT] == place:
                if METRICS_FLAG in container.spec.command:
                    return container.process.counted
                raise NotHealthy("no metrics: 404 Not Found", where=self.sim.name)
        raise NotHealthy("no metrics: connection refused", where=self.sim.name)

    def command(self, argv: Sequence[str], *, deadline_s: float, environment: Mapping[str, str] = NOTHING) -> Ended:
        return self.wire.call(self.sim.name, "command", lambda: self._command(argv, environment, deadline_s))

    def _command(self, argv: Sequence[str], environment: Mapping[str, str], deadline_s: float) -> Ended:
        """The few programs there are do what they do everywhere; anything else succeeds and prints its words."""
        self.sim.commands.append(tuple(argv))
        self.sim.environments.append(dict(environment))
        program, *words = argv
        if program == "printenv":
            value = environment.get(words[0])
            return Ended(int(value is None), value or "")
        if program == "sleep":
            self.wire.world.clock.wait(min(float(words[0]), deadline_s))
            if float(words[0]) > deadline_s:
                raise DeadlineExceeded(f"sleep did not end within {deadline_s:g} s", where=self.sim.name)
        failed = program == "false" or (program, words) == ("expr", ["0"])
        quiet = program in {"true", "false", "sleep"}
        return Ended(int(failed), "" if quiet else " ".join(words if program in {"echo", "expr"} else argv))

    def close(self) -> None:
        """Nothing is open."""
