"""What a look at a simulated host brings back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    Disk,
    DockerFacts,
    Gpu,
    ObservedHost,
    ObservedService,
    Present,
    Reading,
    Unknown,
    VersionState,
)
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.planning.container import container_name, previous_name

from .host import SimHost
from .leases import lease_reading
from .model_server import ModelServer

GIB = 1024**3
NO_ENGINE = Unknown("Cannot connect to the Docker daemon")


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
        containers=Present(tuple(facts for name in sim.containers if (facts := sim.facts(name)))),
        services={wish.name: _service(sim, wish) for wish in services},
        clock_s=sim.clock.now_s(),
        boot_id="boot",
    )
    failed: dict[str, Any] = {name: "" if name == "boot_id" else Unknown("it broke") for name in sim.blind}
    if not sim.docker:
        failed |= dict.fromkeys(("docker", "containers"), NO_ENGINE)
    return replace(seen, **failed)


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
    found = sim.facts(name)
    return Present(found) if found else Absent()


def _served(server: ModelServer | None, model: str) -> Reading[tuple[VersionState, ...]]:
    return Present(server.status(model)) if server else Unknown("nothing listens on the service's port")
