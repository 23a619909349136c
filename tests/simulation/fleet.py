# ruff: noqa: ARG002  the protocols' signatures are not ours to choose
"""The protocols of one controller over a simulated world. Deadlines are kept by what is asked, not here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    Disk,
    DockerFacts,
    Gpu,
    ObservedHost,
    ObservedService,
    PoolMember,
    Present,
    ProvenRelease,
    Reading,
    Release,
    Traffic,
    Unknown,
    VersionOnDisk,
    VersionState,
)
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.protocols import NOTHING, Ended, nothing
from fleetdeploy.domain.service import ContainerSpec, GoldenRequest, ServiceWish
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import (
    BalancerFailed,
    DeadlineExceeded,
    DockerFailed,
    HostError,
    NoSpace,
    NotHealthy,
    RemoteCommandFailed,
    TransferFailed,
    Unreachable,
)
from fleetdeploy.planning.container import container_name, previous_name

from .history import remembered
from .host import ServiceDirectory, SimHost
from .leases import SimLeases, lease_reading
from .model_server import ModelServer
from .wire import Wire, changes
from .world import POOLS, World

GIB = 1024**3
T = TypeVar("T")
NO_ENGINE = Unknown("Cannot connect to the Docker daemon")


@dataclass
class SimFleet:
    """See :class:`fleetdeploy.domain.protocols.Fleet`."""

    world: World
    wire: Wire

    def session(self, host: Host) -> SimSession:
        if host.name not in self.world.hosts or not self.world.hosts[host.name].reachable:
            raise Unreachable("no route to host", where=host.name)
        sim = self.world.hosts[host.name]
        return SimSession(host, sim, self.wire, self.wire.leases.setdefault(host.name, SimLeases(sim, self.wire)))

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


def look(sim: SimHost, services: Sequence[ServiceWish]) -> ObservedHost:
    """What a probe of the host brings back."""
    taken = {port for item in sim.containers.values() if item.process for _, port in item.spec.ports.values()}
    images = {wish.image: sim.known_images[wish.image] for wish in services if wish.image in sim.known_images}
    seen = ObservedHost(
        name=sim.name,
        docker=Present(DockerFacts("29.0", ("runc", "nvidia"), images)),
        gpus=Present((Gpu(0, "NVIDIA A100-SXM4-80GB", 80 * GIB, 0, "8.0", "570.00"),)),
        addresses=Present(("127.0.0.1", "10.0.0.1")),
        listening=Present(tuple(sorted(taken))),
        containers=Present(tuple(facts for name in sim.containers if (facts := _facts(sim, name)))),
        services={wish.name: _service(sim, wish) for wish in services},
        clock_s=sim.clock.now_s(),
        boot_id="boot",
    )
    failed: dict[str, Any] = {name: "" if name == "boot_id" else Unknown("it broke") for name in sim.blind}
    if not sim.docker:
        failed |= dict.fromkeys(("docker", "containers"), NO_ENGINE)
    return replace(seen, **failed)


def _facts(sim: SimHost, name: str) -> ContainerFacts | None:
    """A look does not ask when a container started."""
    found = sim.facts(name)
    return replace(found, started_at="") if found else None


def _service(sim: SimHost, wish: ServiceWish) -> ObservedService:
    files = sim.directory(wish.name)
    server = sim.server(wish.name)
    return ObservedService(
        name=wish.name,
        container=_container(sim, container_name(wish.name)),
        previous=_container(sim, previous_name(wish.name)),
        config_text=Absent() if files.config_text is None else Present(files.config_text),
        release=Absent() if files.release is None else Present(files.release),
        versions=Present({m: dict(found) for m, found in files.versions.items() if found}) if files.there else Absent(),
        served={model.name: _served(server if sim.docker else None, model.name) for model in wish.models},
        staging=files.staging,
        drained_by=Absent() if files.drained_by is None else Present(files.drained_by),
        lease=lease_reading(sim, wish.name),
        watch=Absent() if files.watch is None else Present(files.watch),
        disk=Present(Disk(free_bytes=0 if sim.full else 100 * GIB, free_inodes=10**6)),
        history=Absent() if files.history is None else Present(tuple(files.history)),
    )


def _container(sim: SimHost, name: str) -> Reading[ContainerFacts]:
    if not sim.docker:
        return NO_ENGINE
    found = _facts(sim, name)
    return Present(found) if found else Absent()


def _served(server: ModelServer | None, model: str) -> Reading[tuple[VersionState, ...]]:
    return Present(server.status(model)) if server else Unknown("nothing listens on the service's port")


def in_directory(sim: SimHost, service: str, wire: Wire, method: str, act: Callable[[], T]) -> T:
    """A call about a service's directory; the first change makes it."""

    def make_and_act() -> T:
        sim.directory(service).made |= changes(method)
        return act()

    return wire.call(sim.name, method, make_and_act, service=service)


def _resumable(files: ServiceDirectory, name: str) -> bool:
    """Whether what an interrupted run left is a copy worth going on with: MODEL-VERSION-DIGEST, not yet in place."""
    found = re.fullmatch(r"(?P<model>.+)-(?P<number>[1-9]\d*)-[0-9a-f]{12}", name)
    return bool(
        found and not name.startswith("removed-") and int(found["number"]) not in files.versions.get(found["model"], {})
    )


@dataclass
class SimFiles:
    """See :class:`fleetdeploy.domain.protocols.ServiceFiles`."""

    sim: SimHost
    service: str
    wire: Wire

    def stage(self, item: StageItem) -> None:
        self._call("files.stage", lambda: self._stage(item))

    def write_config(self, text: str) -> None:
        self._set("write_config", "config_text", text)

    def read_config(self) -> str | None:
        return self._call("files.read_config", self._read_config)

    def write_release(self, release: Release, *, left: str = "") -> None:
        self._call("files.write_release", lambda: self._write_release(release, left))

    def read_release(self, release_id: str) -> Release | None:
        records = self.sim.directory(self.service).records
        return self._call("files.read_release", lambda: records.get(release_id))

    def forget_releases(self, ids: Sequence[str]) -> None:
        files = self.sim.directory(self.service)
        gone = [item for item in ids if files.release is None or item != files.release.id]
        self._call("files.forget_releases", lambda: [files.records.pop(item, None) for item in gone])

    def forget_release(self, *, left: str = "") -> None:
        self._call("files.forget_release", lambda: self._forget_release(left))

    def mark_drained(self, run: str) -> None:
        self._set("mark_drained", "drained_by", run)

    def clear_drained(self) -> None:
        self._set("clear_drained", "drained_by", None)

    def remove_versions(self, model: str, versions: Sequence[int]) -> None:
        there = self.sim.directory(self.service).versions.get(model, {})
        self._call("files.remove_versions", lambda: [there.pop(number, None) for number in versions])

    def sweep_staging(self) -> None:
        files = self.sim.directory(self.service)
        self._set("sweep_staging", "staging", tuple(name for name in files.staging if _resumable(files, name)))

    def _set(self, method: str, field: str, value: object) -> None:
        files = self.sim.directory(self.service)
        self._call(f"files.{method}", lambda: setattr(files, field, value))

    def _call(self, method: str, act: Callable[[], T]) -> T:
        return in_directory(self.sim, self.service, self.wire, method, act)

    def _read_config(self) -> str | None:
        files = self.sim.directory(self.service)
        if not files.there:
            raise RemoteCommandFailed("cannot read config/model.config", where=self.sim.name)
        return files.config_text

    def _write_release(self, release: Release, left: str) -> None:
        files = self.sim.directory(self.service)
        files.records[release.id] = release
        line = ProvenRelease(release.id, release.models, release.took_back)
        files.history = remembered(files.history or [], line, left)
        files.release = release
        files.records.pop(left, None)

    def _forget_release(self, left: str) -> None:
        files = self.sim.directory(self.service)
        if files.history is not None:
            files.history = [item for item in files.history if item.id != left]
        files.release = None
        files.records.pop(left, None)

    def _stage(self, item: StageItem) -> None:
        if self.sim.full:
            raise NoSpace("the host's file system is full", where=self.sim.name)
        there = self.sim.directory(self.service).versions.setdefault(item.model, {})
        manifest, number = item.version.manifest, item.version.number
        if number in there and there[number].manifest_digest != manifest.digest:
            raise TransferFailed("the version is there with other content", where=self.sim.name)
        sizes = {entry.path: entry.size_bytes for entry in manifest.files}
        there[number] = VersionOnDisk(number, manifest.digest, sizes, manifest.as_sha256sum())


@dataclass
class SimWatchdog:
    """See :class:`fleetdeploy.domain.protocols.Watchdog`; the host's own part is :meth:`SimHost.tick`."""

    sim: SimHost
    service: str
    wire: Wire

    def arm(self, back_to: Release, *, run: str, release: str, after_s: float) -> None:
        self._call("watchdog.arm", lambda: self.sim.arm(self.service, back_to, run, release, after_s))

    def confirm(self, *, run: str, deadline_s: float) -> None:
        self._call("watchdog.confirm", lambda: self._confirm(run))

    def disarm(self) -> Watch | None:
        """To read a verdict takes no lease, to end what counts down does."""
        watch = self.sim.directory(self.service).watch
        armed = watch is not None and watch.state is WatchState.ARMED
        return self._call("watchdog.disarm" if armed else "watchdog.observe", self._disarm)

    def _call(self, method: str, act: Callable[[], T]) -> T:
        return in_directory(self.sim, self.service, self.wire, method, act)

    def _confirm(self, run: str) -> None:
        files = self.sim.directory(self.service)
        if self.sim.deaf:
            raise DeadlineExceeded("the release could not be confirmed over a new connection", where=self.sim.name)
        waits = files.watch is not None and files.watch.state in {WatchState.ARMED, WatchState.CONFIRMED}
        if files.watch is None or files.watch.run != run or not waits:
            raise HostError("the release came too late to be confirmed", where=self.sim.name)
        files.watch = replace(files.watch, state=WatchState.CONFIRMED)

    def _disarm(self) -> Watch | None:
        files = self.sim.directory(self.service)
        if files.watch is not None and files.watch.state is WatchState.ARMED:
            files.watch = None
        return files.watch


@dataclass
class SimContainers:
    """See :class:`fleetdeploy.domain.protocols.Containers`."""

    sim: SimHost
    wire: Wire

    def inspect(self, name: str) -> ContainerFacts | None:
        return self._call("inspect", lambda: self.sim.facts(name))

    def image_id(self, reference: str) -> str | None:
        return self._call("image_id", lambda: self.sim.known_images.get(reference))

    def environment(self, name: str) -> Mapping[str, str]:
        there = self.sim.containers.get(name)
        values = dict(there.spec.environment) if there else {}
        return self._call("environment", lambda: values)

    def pull(self, reference: str, *, deadline_s: float) -> str:
        return self._call("pull", lambda: self._pull(reference))

    def create_and_start(self, spec: ContainerSpec, labels: Mapping[str, str]) -> None:
        self._call("create_and_start", lambda: self.sim.create(spec, labels))

    def start(self, name: str) -> None:
        self._call("start", lambda: self.sim.start(name))

    def stop(self, name: str, *, grace_s: float) -> None:
        self._call("stop", lambda: self.sim.stop(name))

    def rename(self, name: str, new_name: str) -> None:
        self._call("rename", lambda: self.sim.rename(name, new_name))

    def remove(self, name: str) -> None:
        self._call("remove", lambda: self.sim.remove(name))

    def logs(self, name: str, *, lines: int) -> str:
        return self._call("logs", lambda: self._logs(name))

    def execute(self, name: str, argv: Sequence[str], *, deadline_s: float) -> Ended:
        return self._call("execute", lambda: self.sim.execute(name, argv))

    def _call(self, method: str, act: Callable[[], T]) -> T:
        def ask() -> T:
            if not self.sim.docker:
                raise DockerFailed(NO_ENGINE.reason, where=self.sim.name)
            return act()

        return self.wire.call(self.sim.name, f"containers.{method}", ask)

    def _logs(self, name: str) -> str:
        return f"the last lines of {name}" if name in self.sim.containers else ""

    def _pull(self, reference: str) -> str:
        if reference not in self.sim.registry:
            raise DockerFailed(f"manifest for {reference} not found", where=self.sim.name)
        self.sim.images[reference] = self.sim.registry[reference]
        return self.sim.images[reference]


@dataclass
class SimServing:
    """See :class:`fleetdeploy.domain.protocols.Serving`."""

    sim: SimHost
    place: tuple[str, int]
    wire: Wire

    def reload(self, config_text: str, *, deadline_s: float) -> None:
        self.wire.call(self.sim.name, "serving.reload", lambda: self._server().reload(config_text, deadline_s))

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        return self.wire.call(self.sim.name, "serving.status", lambda: self._server().status(model))

    def label(self, model: str, label: str, *, deadline_s: float) -> int | None:
        return self.wire.call(self.sim.name, "serving.label", lambda: self._server().label(model, label))

    def predict(self, model: str, request: GoldenRequest, *, version: int, deadline_s: float) -> Mapping[str, object]:
        ask = lambda: self._server().predict(model, version, deadline_s)  # noqa: E731
        return self.wire.call(self.sim.name, "serving.predict", ask)

    def _server(self) -> ModelServer:
        for container in self.sim.containers.values():
            if container.process and self.place in container.spec.ports.values() and container.process.listening:
                return container.process
        raise NotHealthy("UNAVAILABLE: connection refused", where=self.sim.name)


@dataclass
class SimBalancer:
    """See :class:`fleetdeploy.domain.protocols.Balancer`."""

    name: str
    world: World
    wire: Wire

    def members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        return self.wire.call(self.name, "balancer.members", lambda: self._members(pools))

    def drain(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        act = lambda: self._drain(pools, server, deadline_s, check)  # noqa: E731
        self.wire.call(self.name, "balancer.drain", act, about=server)

    def keep_out(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        act = lambda: self._keep_out(pools, server, deadline_s, check)  # noqa: E731
        self.wire.call(self.name, "balancer.keep_out", act, about=server)

    def undrain(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        act = lambda: self._undrain(pools, server, deadline_s, check)  # noqa: E731
        self.wire.call(self.name, "balancer.undrain", act, about=server)

    def _members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        self.world.tell()
        self._known(pools)
        return tuple(
            PoolMember(pool, server, self.world.traffic(pool, server), 0, 100)
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

    def _keep_out(self, pools: Sequence[str], server: str, deadline_s: float, check: Callable[[], None]) -> None:
        self._known(pools, server)
        if not self._in_maintenance(pools, server):
            self._drain(pools, server, deadline_s, check)

    def _drain(self, pools: Sequence[str], server: str, deadline_s: float, check: Callable[[], None]) -> None:
        self._known(pools, server)
        if self._in_maintenance(pools, server):
            raise BalancerFailed(f"{server} is in maintenance, which fleetdeploy did not ask for", where=self.name)
        check()
        self.world.take_out(server)
        if "drain" not in self.world.lies:
            self.world.drained |= {(pool, server) for pool in pools}
        if any((pool, server) not in self.world.drained for pool in pools):
            self.world.clock.wait(deadline_s)
            raise BalancerFailed(f"{server} still gets requests", where=self.name)

    def _undrain(self, pools: Sequence[str], server: str, deadline_s: float, check: Callable[[], None]) -> None:
        self._known(pools, server)
        check()
        if "undrain" not in self.world.lies:
            self.world.drained -= {(pool, server) for pool in pools}
            self.world.maintenance -= {(pool, server) for pool in pools}
        if any(self.world.traffic(pool, server) is not Traffic.UP for pool in pools):
            self.world.clock.wait(deadline_s)
            raise BalancerFailed(f"{server} is not up", where=self.name)
