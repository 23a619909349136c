"""A simulated host: service directories, images, containers with a restart policy, and the server in each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fleetdeploy.domain.lease import Holder
from fleetdeploy.domain.observed import ContainerFacts, ProvenRelease, Release, VersionOnDisk
from fleetdeploy.domain.protocols import Ended
from fleetdeploy.domain.service import LABEL_SERVICE, LABEL_SPEC, ContainerSpec, spec_hash
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import DockerFailed
from fleetdeploy.planning.container import METRICS_FLAG, container_name, previous_name
from fleetdeploy.tfserving import model_config, monitoring_config

from .clock import VirtualClock
from .leases import SimLease
from .model_server import ModelServer, Quality

MOST_RESTARTS = 50
DOG = Holder("-", "the host's watchdog")
OFF = "off"
REBOOTED = "the host was rebooted since, so nothing counts down any longer"


@dataclass
class ServiceDirectory:
    """``/srv/fleetdeploy/<service>`` as far as anybody looks at it. An armed ``watch`` goes ``back_to`` a release at
    the virtual time ``fires_s``. ``made`` is whether any change was ever asked for.
    """

    config_text: str | None = None
    monitoring_text: str | None = None
    release: Release | None = None
    versions: dict[str, dict[int, VersionOnDisk]] = field(default_factory=dict)
    staging: tuple[str, ...] = ()
    drained_by: str | None = None
    history: list[ProvenRelease] | None = None
    records: dict[str, Release] = field(default_factory=dict)
    made: bool = False
    watch: Watch | None = None
    back_to: Release | None = None
    fires_s: float = 0.0

    @property
    def there(self) -> bool:
        return self.made or bool(self.versions) or self.config_text is not None


@dataclass
class Container:
    """A container; ``process`` is there while it runs. ``gpus`` tells whether it still has those it was given;
    each start gives them again, where the host has any.
    """

    spec: ContainerSpec
    labels: dict[str, str]
    id: str
    process: ModelServer | None = None
    status: str = "created"
    restart_count: int = 0
    exit_code: int = 0
    starts: int = 0
    gpus: bool = True

    @property
    def service(self) -> str:
        return self.labels.get(LABEL_SERVICE, "")


@dataclass
class SimHost:
    """``quality`` says what each version does; a version it does not name is good. ``busy`` tells whether the balancer
    sends requests here now, ``cut`` collects the moments in which a server ended under them, ``blind`` names the
    readings of a look that fail. ``gpus`` says whether containers that start get theirs, ``smi`` whether images have an
    nvidia-smi at all. A ``deaf`` one lets nobody in over a new connection. The disk of a ``full`` one takes no version;
    one that is ``off`` has no power. ``docker`` tells whether its engine answers; what runs goes on without it.
    """

    name: str
    clock: VirtualClock
    busy: Callable[[], bool]
    quality: dict[tuple[str, int], Quality] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    registry: dict[str, str] = field(default_factory=dict)
    broken_images: set[str] = field(default_factory=set)
    services: dict[str, ServiceDirectory] = field(default_factory=dict)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    containers: dict[str, Container] = field(default_factory=dict)
    leases: dict[str, SimLease] = field(default_factory=dict)
    reachable: bool = True
    blind: set[str] = field(default_factory=set)
    gpus: bool = True
    smi: bool = True
    deaf: bool = False
    docker: bool = True
    full: bool = False
    off: bool = False
    load_s: float = 0.0
    cut: list[str] = field(default_factory=list)
    unproven_unloads: list[str] = field(default_factory=list)
    made: int = 0

    @property
    def known_images(self) -> dict[str, str]:
        """What an image may be asked for by: its names and its id."""
        return {**self.images, **{image_id: image_id for image_id in self.images.values()}}

    def directory(self, service: str) -> ServiceDirectory:
        return self.services.setdefault(service, ServiceDirectory())

    def tick(self) -> None:
        """Let servers load, let Docker restart the ones that ended, and watchdogs do what is due by now."""
        if self.off:
            return
        for service in self.services:
            self._watch(service)
        for container in self.containers.values():
            if container.process is None:
                continue
            container.process.tick()
            if container.process.exited and container.restart_count < MOST_RESTARTS:
                container.restart_count += 1
                container.exit_code = 255
                self._spawn(container)
            container.status = "restarting" if container.process and container.process.exited else "running"

    def arm(self, service: str, back_to: Release, run: str, release: str, after_s: float) -> None:
        """Let the service go back by itself when its time is over."""
        files = self.directory(service)
        files.watch, files.back_to = Watch(WatchState.ARMED, run, release), back_to
        files.fires_s = self.clock.monotonic_s() + after_s

    def _watch(self, service: str) -> None:
        """What ``watchdog.sh`` does when its time is over, all at once."""
        files = self.directory(service)
        if files.watch is None or files.watch.state is not WatchState.ARMED or files.back_to is None:
            return
        if self.clock.monotonic_s() < files.fires_s:
            return
        lease = self.leases.get(service)
        if lease is not None and lease.holder.run == files.watch.run and lease.state == "held":
            why = f"release {files.watch.release} went back"
            now_s = self.clock.monotonic_s()
            self.leases[service] = SimLease(DOG, lease.fence + 1, now_s, now_s, 0.0, "broken", why)
        files.watch = replace(files.watch, state=WatchState.RESTORED, reason="nobody confirmed it")
        files.config_text = model_config.in_doubt(files.back_to.config_text)
        wanted, name = spec_hash(files.back_to.container), container_name(service)
        spec_of = {key: item.labels.get(LABEL_SPEC) for key, item in self.containers.items()}
        if spec_of.get(previous_name(service)) == wanted and spec_of.get(name) != wanted:
            self.remove(name)
            self.rename(previous_name(service), name)
        elif spec_of.get(name) != wanted:
            files.watch = replace(files.watch, state=WatchState.FAILED, reason="the container is not there")
            return
        self.stop(name)
        self.start(name)
        files.config_text = files.back_to.config_text
        files.release = files.back_to
        if (left := files.watch.release) != files.back_to.id:
            files.history = [item for item in files.history if item.id != left] if files.history is not None else None
            files.records.pop(left, None)

    def create(self, spec: ContainerSpec, labels: Mapping[str, str]) -> None:
        if LABEL_SERVICE not in labels:
            raise DockerFailed(f"container {spec.name} would not carry the label {LABEL_SERVICE}", where=self.name)
        if spec.name in self.containers:
            raise DockerFailed(f"the container name {spec.name} is already in use", where=self.name)
        if spec.image_id not in self.images.values():
            raise DockerFailed(f"no such image: {spec.image_id or spec.image}", where=self.name)
        if not self.directory(labels[LABEL_SERVICE]).there:
            raise DockerFailed("bind source path does not exist", where=self.name)
        self.made += 1
        labelled = {LABEL_SPEC: spec.spec_hash, **labels}
        self.containers[spec.name] = Container(spec, labelled, id=f"{self.name}-{self.made}")
        try:
            self.start(spec.name)
        except DockerFailed:
            del self.containers[spec.name]
            raise

    def start(self, name: str) -> None:
        container = self._get(name)
        if container.process is not None:
            return
        taken = {port for other in self.containers.values() if other.process for port in other.spec.ports.values()}
        if taken & set(container.spec.ports.values()):
            raise DockerFailed("port is already allocated", where=self.name)
        container.restart_count = 0
        self._spawn(container)
        self.tick()

    def stop(self, name: str) -> None:
        container = self._get(name) if name in self.containers else None
        if container is None or container.process is None:
            return
        if container.process.listening and self.busy():
            self.cut.append(f"{name} ended under traffic")
        self.unproven_unloads += container.process.unproven_unloads
        container.process, container.status, container.exit_code = None, "exited", 137

    def rename(self, name: str, new_name: str) -> None:
        container = self._get(name)
        if new_name in self.containers:
            raise DockerFailed(f"the container name {new_name} is already in use", where=self.name)
        self.containers[new_name] = container
        del self.containers[name]

    def remove(self, name: str) -> None:
        self.stop(name)
        self.containers.pop(name, None)

    def facts(self, name: str) -> ContainerFacts | None:
        self.tick()
        item = self.containers.get(name)
        if item is None:
            return None
        return ContainerFacts(
            name, item.id, item.spec.image_id, item.status, dict(item.labels), item.restart_count, item.exit_code,
            started_at=str(item.starts), published=tuple(port for _, port in item.spec.ports.values()),
        )  # fmt: skip

    def execute(self, name: str, argv: Sequence[str]) -> Ended:
        """``nvidia-smi -L``, the only program there is."""
        container = self._get(name)
        if container.process is None or container.process.exited:
            raise DockerFailed(f"container {name} is not running", where=self.name)
        if tuple(argv) != ("nvidia-smi", "-L") or not self.smi:
            return Ended(127, "OCI runtime exec failed: executable file not found in $PATH")
        if not container.gpus:
            return Ended(255, "Failed to initialize NVML: Unknown Error")
        return Ended(0, "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-1)")

    def server(self, service: str) -> ModelServer | None:
        """The listening server of a service."""
        for container in self.containers.values():
            if container.service == service and container.process and container.process.listening:
                return container.process
        return None

    def reboot(self) -> None:
        """Power off and on: what ran comes back by its restart policy and reads its configuration again."""
        self.lose_power()
        self.get_power()

    def lose_power(self) -> None:
        """Every process ends, and nobody can reach the host."""
        self.off, self.reachable = True, False
        for container in self.containers.values():
            if container.process is not None:
                self.unproven_unloads += container.process.unproven_unloads
                container.process, container.status = None, OFF

    def get_power(self) -> None:
        """A watchdog counts down in one boot only; who had the lease when the host went down gets its time again."""
        self.off, self.reachable = False, True
        for container in self.containers.values():
            if container.status == OFF:
                self._spawn(container)
        for files in self.services.values():
            if files.watch is not None and files.watch.state is WatchState.ARMED:
                files.watch, files.fires_s = replace(files.watch, reason=REBOOTED), math.inf
        for lease in self.leases.values():
            lease.since_s = lease.renewed_s = self.clock.monotonic_s()
        self.tick()

    def _spawn(self, container: Container) -> None:
        if container.process is not None:
            self.unproven_unloads += container.process.unproven_unloads
        on_disk = partial(self._on_disk, container.service)
        container.process = ModelServer(self.clock, on_disk, container.spec.command, self.load_s, self.busy)
        container.status = "running"
        container.starts += 1
        container.gpus = self.gpus
        files = self.directory(container.service)
        lacks_file = METRICS_FLAG in container.spec.command and files.monitoring_text != monitoring_config.TEXT
        if container.spec.image in self.broken_images or lacks_file:
            container.process.exited = True
        else:
            container.process.start(files.config_text)

    def _on_disk(self, service: str, model: str, number: int) -> Quality | None:
        if number not in self.directory(service).versions.get(model, {}):
            return None
        return self.quality.get((model, number), Quality.GOOD)

    def _get(self, name: str) -> Container:
        if name not in self.containers:
            raise DockerFailed(f"no such container: {name}", where=self.name)
        if not self.containers[name].service:
            raise DockerFailed(f"container {name} was not made by fleetdeploy and is never touched", where=self.name)
        return self.containers[name]
