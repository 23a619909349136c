# ruff: noqa: ARG002  the protocols' signatures are not ours to choose
"""The protocols of one controller over a simulated world. Deadlines are kept by what is asked, not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
from fleetdeploy.domain.protocols import NOTHING, Ended
from fleetdeploy.domain.service import ContainerSpec, GoldenRequest, ServiceWish
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import (
    BalancerFailed,
    DeadlineExceeded,
    DockerFailed,
    HostError,
    NotHealthy,
    TransferFailed,
    Unreachable,
)
from fleetdeploy.planning.container import container_name, previous_name

from .host import SimHost
from .leases import SimLeases, lease_reading
from .model_server import ModelServer
from .wire import Wire
from .world import World

GIB = 1024**3


@dataclass
class SimFleet:
    """See :class:`fleetdeploy.domain.protocols.Fleet`."""

    world: World
    wire: Wire

    def session(self, host: Host) -> SimSession:
        if not self.world.hosts[host.name].reachable:
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
        return self.wire.call(self.sim.name, "command", lambda: self._command(argv, environment))

    def _command(self, argv: Sequence[str], environment: Mapping[str, str]) -> Ended:
        """``false`` fails, as everywhere; anything else succeeds and prints its words."""
        self.sim.commands.append(tuple(argv))
        self.sim.environments.append(dict(environment))
        return Ended(int(argv[0] == "false"), " ".join(argv))

    def close(self) -> None:
        """Nothing is open."""


def look(sim: SimHost, services: Sequence[ServiceWish]) -> ObservedHost:
    """What a probe of the host brings back."""
    taken = {port for item in sim.containers.values() if item.process for _, port in item.spec.ports.values()}
    seen = ObservedHost(
        name=sim.name,
        docker=Present(DockerFacts("29.0", ("runc", "nvidia"), sim.known_images)),
        gpus=Present((Gpu(0, "NVIDIA A100-SXM4-80GB", 80 * GIB, 0, "8.0", "570.00"),)),
        addresses=Present(("127.0.0.1", "10.0.0.1")),
        listening=Present(tuple(sorted(taken))),
        containers=Present(tuple(facts for name in sim.containers if (facts := sim.facts(name)))),
        services={wish.name: _service(sim, wish) for wish in services},
        clock_s=sim.clock.now_s(),
        boot_id="boot",
    )
    failed: dict[str, Any] = {name: "" if name == "boot_id" else Unknown("it broke") for name in sim.blind}
    return replace(seen, **failed)


def _service(sim: SimHost, wish: ServiceWish) -> ObservedService:
    files = sim.directory(wish.name)
    server = sim.server(wish.name)
    container = sim.facts(container_name(wish.name))
    previous = sim.facts(previous_name(wish.name))
    return ObservedService(
        name=wish.name,
        container=Present(container) if container else Absent(),
        previous=Present(previous) if previous else Absent(),
        config_text=Absent() if files.config_text is None else Present(files.config_text),
        release=Absent() if files.release is None else Present(files.release),
        versions=Present({model: dict(found) for model, found in files.versions.items()}),
        served={model.name: _served(server, model.name) for model in wish.models},
        staging=files.staging,
        drained_by=Absent() if files.drained_by is None else Present(files.drained_by),
        lease=lease_reading(sim, wish.name),
        watch=Absent() if files.watch is None else Present(files.watch),
        disk=Present(Disk(free_bytes=100 * GIB, free_inodes=10**6)),
        history=Absent() if files.history is None else Present(tuple(files.history)),
    )


def _served(server: ModelServer | None, model: str) -> Reading[tuple[VersionState, ...]]:
    return Present(server.status(model)) if server else Unknown("nothing listens on the service's port")


@dataclass
class SimFiles:
    """See :class:`fleetdeploy.domain.protocols.ServiceFiles`."""

    sim: SimHost
    service: str
    wire: Wire

    def stage(self, item: StageItem) -> None:
        self.wire.call(self.sim.name, "files.stage", lambda: self._stage(item))

    def write_config(self, text: str) -> None:
        self._set("write_config", "config_text", text)

    def read_config(self) -> str | None:
        files = self.sim.directory(self.service)
        return self.wire.call(self.sim.name, "files.read_config", lambda: files.config_text)

    def write_release(self, release: Release) -> None:
        self.wire.call(self.sim.name, "files.write_release", lambda: self._write_release(release))

    def read_release(self, release_id: str) -> Release | None:
        records = self.sim.directory(self.service).records
        return self.wire.call(self.sim.name, "files.read_release", lambda: records.get(release_id))

    def forget_releases(self, ids: Sequence[str]) -> None:
        records = self.sim.directory(self.service).records
        self.wire.call(self.sim.name, "files.forget_releases", lambda: [records.pop(item, None) for item in ids])

    def forget_release(self) -> None:
        self._set("forget_release", "release", None)

    def mark_drained(self, run: str) -> None:
        self._set("mark_drained", "drained_by", run)

    def clear_drained(self) -> None:
        self._set("clear_drained", "drained_by", None)

    def remove_versions(self, model: str, versions: Sequence[int]) -> None:
        there = self.sim.directory(self.service).versions[model]
        self.wire.call(self.sim.name, "files.remove_versions", lambda: [there.pop(number, None) for number in versions])

    def sweep_staging(self) -> None:
        self._set("sweep_staging", "staging", ())

    def _set(self, method: str, field: str, value: object) -> None:
        files = self.sim.directory(self.service)
        self.wire.call(self.sim.name, f"files.{method}", lambda: setattr(files, field, value))

    def _write_release(self, release: Release) -> None:
        files = self.sim.directory(self.service)
        files.records[release.id] = release
        line = ProvenRelease(release.id, release.models, release.took_back)
        if not files.history or files.history[-1] != line:
            files.history = [*(files.history or []), line][-50:]
        files.release = release

    def _stage(self, item: StageItem) -> None:
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
        self.wire.call(
            self.sim.name, "watchdog.arm", lambda: self.sim.arm(self.service, back_to, run, release, after_s)
        )

    def confirm(self, *, run: str, deadline_s: float) -> None:
        self.wire.call(self.sim.name, "watchdog.confirm", lambda: self._confirm(run))

    def disarm(self) -> Watch | None:
        """To read a verdict takes no lease, to end what counts down does."""
        watch = self.sim.directory(self.service).watch
        armed = watch is not None and watch.state is WatchState.ARMED
        return self.wire.call(self.sim.name, "watchdog.disarm" if armed else "watchdog.observe", self._disarm)

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
        return self.wire.call(self.sim.name, "containers.inspect", lambda: self.sim.facts(name))

    def image_id(self, reference: str) -> str | None:
        return self.wire.call(self.sim.name, "containers.image_id", lambda: self.sim.known_images.get(reference))

    def environment(self, name: str) -> Mapping[str, str]:
        there = self.sim.containers.get(name)
        values = dict(there.spec.environment) if there else {}
        return self.wire.call(self.sim.name, "containers.environment", lambda: values)

    def pull(self, reference: str, *, deadline_s: float) -> str:
        return self.wire.call(self.sim.name, "containers.pull", lambda: self._pull(reference))

    def create_and_start(self, spec: ContainerSpec, labels: Mapping[str, str]) -> None:
        self.wire.call(self.sim.name, "containers.create_and_start", lambda: self.sim.create(spec, labels))

    def start(self, name: str) -> None:
        self.wire.call(self.sim.name, "containers.start", lambda: self.sim.start(name))

    def stop(self, name: str, *, grace_s: float) -> None:
        self.wire.call(self.sim.name, "containers.stop", lambda: self.sim.stop(name))

    def rename(self, name: str, new_name: str) -> None:
        self.wire.call(self.sim.name, "containers.rename", lambda: self.sim.rename(name, new_name))

    def remove(self, name: str) -> None:
        self.wire.call(self.sim.name, "containers.remove", lambda: self.sim.remove(name))

    def logs(self, name: str, *, lines: int) -> str:
        return self.wire.call(self.sim.name, "containers.logs", lambda: f"the last lines of {name}")

    def execute(self, name: str, argv: Sequence[str], *, deadline_s: float) -> Ended:
        return self.wire.call(self.sim.name, "containers.execute", lambda: self.sim.execute(name, argv))

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

    def drain(self, pools: Sequence[str], server: str, *, deadline_s: float) -> None:
        self.wire.call(self.name, "balancer.drain", lambda: self._drain(pools, server, deadline_s))

    def keep_out(self, pools: Sequence[str], server: str, *, deadline_s: float) -> None:
        self.wire.call(self.name, "balancer.keep_out", lambda: self._drain(pools, server, deadline_s))

    def undrain(self, pools: Sequence[str], server: str, *, deadline_s: float) -> None:
        self.wire.call(self.name, "balancer.undrain", lambda: self._undrain(pools, server, deadline_s))

    def _members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        return tuple(
            PoolMember(pool, server, self.world.traffic(pool, server), 0, 100)
            for pool in pools
            for server in self.world.hosts
            if server not in self.world.unlisted
        )

    def _drain(self, pools: Sequence[str], server: str, deadline_s: float) -> None:
        if "drain" not in self.world.lies:
            self.world.drained |= {(pool, server) for pool in pools}
        if any((pool, server) not in self.world.drained for pool in pools):
            self.world.clock.wait(deadline_s)
            raise BalancerFailed(f"{server} still gets requests", where=self.name)

    def _undrain(self, pools: Sequence[str], server: str, deadline_s: float) -> None:
        if "undrain" not in self.world.lies:
            self.world.drained -= {(pool, server) for pool in pools}
        if any(self.world.traffic(pool, server) is not Traffic.UP for pool in pools):
            self.world.clock.wait(deadline_s)
            raise BalancerFailed(f"{server} is not up", where=self.name)
