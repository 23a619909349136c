"""Everything that outlives a controller: hosts, the balancer, and a record of what was true at every instant."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.observed import Note, Traffic
from fleetdeploy.domain.service import DesiredService

from .clock import VirtualClock
from .host import SimHost
from .model_server import Quality

SERVICE = "ranking"
POOLS = ("ranking_rest", "ranking_grpc")


@dataclass(frozen=True)
class Serving:
    """What one host does for its clients: versions that answer, the image, and whether it gets requests."""

    versions: tuple[tuple[str, tuple[int, ...]], ...]
    image: str
    traffic: bool


@dataclass(frozen=True)
class TakenOut:
    """A controller drained ``host``, which served, while ``others`` did not and it had been told so."""

    host: str
    others: tuple[str, ...]


@dataclass
class World:
    """``taken_out`` has each drain, ``told_out`` the hosts that were out when a balancer was last asked,
    ``lost_before`` those that nobody could reach when the run began, ``acts`` who changed what: (run, host, method).
    ``lies`` may hold ``drain`` or ``undrain``: the balancer then takes the order and does nothing. ``unlisted`` hosts
    stand in none of its pools. ``counted_requests`` is what it counted in each pool, ``notes`` which run keeps a server
    out, by a balancer that ``keeps_notes``.
    """

    clock: VirtualClock = field(default_factory=VirtualClock)
    hosts: dict[str, SimHost] = field(default_factory=dict)
    drained: set[tuple[str, str]] = field(default_factory=set)
    maintenance: set[tuple[str, str]] = field(default_factory=set)
    lies: set[str] = field(default_factory=set)
    balancer_down: bool = False
    unlisted: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    counted: frozenset[str] = frozenset()
    most_out: int = 0
    taken_out: list[TakenOut] = field(default_factory=list)
    told_out: frozenset[str] = frozenset()
    lost_before: frozenset[str] = frozenset()
    acts: list[tuple[str, str, str]] = field(default_factory=list)
    exposed: list[str] = field(default_factory=list)
    told: list[tuple[str, bytes]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    deaf: bool = False
    counted_requests: dict[str, PoolLoad] = field(default_factory=dict)
    keeps_notes: bool = True
    notes: dict[tuple[str, str], Note] = field(default_factory=dict)

    @classmethod
    def of(cls, *names: str, images: Iterable[str] = ("serving:1",), registry: Iterable[str] = ()) -> World:
        """Hosts that have ``images`` and can pull those of ``registry`` too."""
        world = cls()
        for name in names:
            host = SimHost(name, world.clock, partial(world.gets_requests, name))
            host.images = {image: f"sha256:{image}" for image in images}
            host.registry = {image: f"sha256:{image}" for image in (*images, *registry)}
            world.hosts[name] = host
        return world

    def copy(self) -> World:
        """The same world at the same instant, for another try."""
        return copy.deepcopy(self, {id(self.lock): threading.RLock(), id(self.clock.lock): threading.Lock()})

    def tick(self) -> None:
        """Let servers load, unload and restart; everything below looks at what is there after the last tick."""
        for host in self.hosts.values():
            host.tick()

    def traffic(self, pool: str, server: str) -> Traffic:
        """What the balancer reports: its own switch first, then its health check of the port."""
        if (pool, server) in self.maintenance:
            return Traffic.MAINTENANCE
        if (pool, server) in self.drained:
            return Traffic.DRAINED
        host = self.hosts.get(server)
        return Traffic.UP if host and host.server(SERVICE) else Traffic.DOWN

    def kept_out(self, server: str) -> bool:
        """Whether a run does, by the balancer's notes."""
        return any(
            note is not None and not note.paid and (pool, server) in self.drained
            for pool, note in ((pool, self.notes.get((pool, server))) for pool in POOLS)
        )

    def gets_requests(self, name: str) -> bool:
        """By the switch alone: a server that ends is found out only a health check later."""
        return any((pool, name) not in self.drained | self.maintenance for pool in POOLS)

    def serves(self, name: str) -> Serving:
        """What clients of ``name`` get now."""
        host = self.hosts[name]
        process = host.server(SERVICE)
        answering: dict[str, tuple[int, ...]] = {}
        for model, numbers in (process.available() if process else {}).items():
            good = (n for n in numbers if process and process.versions[model][n].quality is Quality.GOOD)
            answering[model] = tuple(good)
        image = next((c.spec.image for c in host.containers.values() if c.process and c.process.listening), "")
        up = all(self.traffic(pool, name) is Traffic.UP for pool in POOLS)
        return Serving(tuple(sorted(answering.items())), image, up)

    def serves_all(self) -> dict[str, Serving]:
        self.tick()
        return {name: self.serves(name) for name in self.hosts}

    def in_service(self, name: str) -> bool:
        """Reachable, up in every pool, and everything its configuration names answers."""
        now = self.serves(name)
        return self.hosts[name].reachable and now.traffic and all(numbers for _, numbers in now.versions)

    def count_from_now(self) -> None:
        """Begin to watch capacity: the hosts that serve, or once did, are those whose absence counts."""
        self.counted = frozenset(name for name, host in self.hosts.items() if host.directory(SERVICE).release)
        self.most_out, self.acts = 0, []
        self.clock.forget_waits()
        self.record()
        self.told_out = self.out_of_service()
        self.lost_before = frozenset(name for name, host in self.hosts.items() if not host.reachable)

    def tell(self) -> None:
        """A balancer says who serves. Of a host that went away meanwhile it knows nothing as long as that serves on."""
        silent = {name for name in self.counted if not self.serves(name).traffic}
        self.told_out = frozenset(silent | (self.lost_before & self.counted))

    def out_of_service(self) -> frozenset[str]:
        """The hosts that count and do not serve now."""
        return frozenset(name for name in self.counted if not self.in_service(name))

    def take_out(self, name: str) -> None:
        """A controller drains a host: note who else is out, as far as it was told when it asked last."""
        if name in self.counted and self.in_service(name):
            others = (self.told_out & self.out_of_service()) - {name}
            self.taken_out.append(TakenOut(name, tuple(sorted(others))))

    def record(self) -> None:
        """Look at the whole fleet, after every call of a controller."""
        self.tick()
        self.most_out = max(self.most_out, len(self.out_of_service()))
        for name, host in self.hosts.items():
            process = host.server(SERVICE)
            if process is None or not self.gets_requests(name):
                continue
            for model, numbers in process.available().items():
                if process.versions[model][numbers[-1]].quality is not Quality.GOOD:
                    self.exposed.append(f"{name}: requests reach {model}/{numbers[-1]}, which does not answer rightly")

    @property
    def lost(self) -> list[str]:
        """Everything that would have cost a request or a good version."""
        found = list(self.exposed)
        for host in self.hosts.values():
            running = [c.process.unproven_unloads for c in host.containers.values() if c.process]
            unloads = [*host.unproven_unloads, *(item for items in running for item in items)]
            found += [f"{host.name}: {text}" for text in host.cut]
            found += [f"{host.name}: {item} left memory before the next one had answered" for item in unloads]
        return found


def converged(world: World, desired: DesiredService) -> list[str]:
    """What is not as ``desired`` on some host; empty when all is well."""
    versions = tuple(sorted((model.name, model.wanted) for model in desired.models))
    wanted = Serving(versions, desired.wish.image, True)
    found = [f"{name}: {now}" for name, now in world.serves_all().items() if now != wanted]
    for name, host in world.hosts.items():
        files = host.directory(SERVICE)
        if files.config_text != desired.config_text:
            found.append(f"{name}: another configuration lies on disk")
        if files.drained_by is not None:
            found.append(f"{name}: the drain marker is still there")
        if files.release is None or files.release.config_text != desired.config_text:
            found.append(f"{name}: another release is recorded")
    return found
