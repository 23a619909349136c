"""A simulated host: service directories, images, containers with a restart policy, and the server in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from fleetdeploy.domain.observed import ContainerFacts, Release, VersionOnDisk
from fleetdeploy.domain.service import LABEL_SERVICE, ContainerSpec
from fleetdeploy.errors import DockerFailed

from .clock import VirtualClock
from .model_server import ModelServer, Quality

MOST_RESTARTS = 50


@dataclass
class ServiceDirectory:
    """``/srv/fleetdeploy/<service>`` as far as anybody looks at it."""

    config_text: str | None = None
    release: Release | None = None
    versions: dict[str, dict[int, VersionOnDisk]] = field(default_factory=dict)
    staging: tuple[str, ...] = ()
    drained_by: str | None = None


@dataclass
class Container:
    """A container; ``process`` is there while it runs."""

    spec: ContainerSpec
    labels: dict[str, str]
    id: str
    process: ModelServer | None = None
    status: str = "created"
    restart_count: int = 0
    exit_code: int = 0

    @property
    def service(self) -> str:
        return self.labels.get(LABEL_SERVICE, "")


@dataclass
class SimHost:
    """``quality`` says what each version does; a version it does not name is good. ``busy`` tells whether the balancer
    sends requests here now, ``cut`` collects the moments in which a server ended under them, ``blind`` names the
    readings of a look that fail.
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
    reachable: bool = True
    blind: set[str] = field(default_factory=set)
    load_s: float = 0.0
    cut: list[str] = field(default_factory=list)
    unproven_unloads: list[str] = field(default_factory=list)
    made: int = 0

    def directory(self, service: str) -> ServiceDirectory:
        return self.services.setdefault(service, ServiceDirectory())

    def tick(self) -> None:
        """Let servers load and let Docker restart the ones that ended."""
        for container in self.containers.values():
            if container.process is None:
                continue
            container.process.tick()
            if container.process.exited and container.restart_count < MOST_RESTARTS:
                container.restart_count += 1
                container.exit_code = 255
                self._spawn(container)
            container.status = "restarting" if container.process and container.process.exited else "running"

    def create(self, spec: ContainerSpec, labels: Mapping[str, str]) -> None:
        if spec.name in self.containers:
            raise DockerFailed(f"the container name {spec.name} is already in use", where=self.name)
        if self.images.get(spec.image) != spec.image_id:
            raise DockerFailed(f"no such image: {spec.image_id or spec.image}", where=self.name)
        self.made += 1
        self.containers[spec.name] = Container(spec, dict(labels), id=f"{self.name}-{self.made}")
        self.start(spec.name)

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
        container = self.containers.get(name)
        if container is None or container.process is None:
            return
        if container.process.listening and self.busy():
            self.cut.append(f"{name} ended under traffic")
        self.unproven_unloads += container.process.unproven_unloads
        container.process, container.status, container.exit_code = None, "exited", 137

    def rename(self, name: str, new_name: str) -> None:
        if new_name in self.containers:
            raise DockerFailed(f"the container name {new_name} is already in use", where=self.name)
        self.containers[new_name] = self._get(name)
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
            name, item.id, item.spec.image_id, item.status, dict(item.labels), item.restart_count, item.exit_code
        )

    def server(self, service: str) -> ModelServer | None:
        """The listening server of a service."""
        for container in self.containers.values():
            if container.service == service and container.process and container.process.listening:
                return container.process
        return None

    def reboot(self) -> None:
        """Power off and on: what ran comes back by its restart policy and reads its configuration again."""
        for container in self.containers.values():
            if container.process is not None:
                self._spawn(container)
        self.tick()

    def _spawn(self, container: Container) -> None:
        if container.process is not None:
            self.unproven_unloads += container.process.unproven_unloads
        on_disk = partial(self._on_disk, container.service)
        container.process = ModelServer(self.clock, on_disk, container.spec.command, self.load_s, self.busy)
        container.status = "running"
        if container.spec.image in self.broken_images:
            container.process.exited = True
        else:
            container.process.start(self.directory(container.service).config_text)

    def _on_disk(self, service: str, model: str, number: int) -> Quality | None:
        if number not in self.directory(service).versions.get(model, {}):
            return None
        return self.quality.get((model, number), Quality.GOOD)

    def _get(self, name: str) -> Container:
        if name not in self.containers:
            raise DockerFailed(f"no such container: {name}", where=self.name)
        return self.containers[name]
