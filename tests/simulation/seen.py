"""What a probe brings back from hosts in well-known states, without any run before it."""

from __future__ import annotations

from dataclasses import replace

from fleetdeploy.domain.observed import (
    ContainerFacts,
    Disk,
    DockerFacts,
    Gpu,
    ObservedHost,
    ObservedService,
    Present,
    Release,
    State,
    VersionOnDisk,
    VersionState,
)
from fleetdeploy.domain.service import LABEL_SERVICE, LABEL_SPEC, DesiredService, ModelVersion
from fleetdeploy.planning.activation import content_hash
from fleetdeploy.planning.container import container_spec

GIB = 1024**3
ADDRESS = "10.0.0.1"


def settled_host(service: DesiredService) -> ObservedHost:
    """A host on which ``service`` was deployed and proven."""
    image_id = f"sha256:{service.wish.image}"
    spec = container_spec(service, address=ADDRESS, image_id=image_id)
    release = Release(
        id=f"T0-{content_hash(service, spec)}",
        service=service.name,
        run="run",
        models={model.name: model.wanted for model in service.models},
        labels={},
        config_text=service.config_text,
        container=spec.fields(),
    )
    labels = {LABEL_SERVICE: service.name, LABEL_SPEC: spec.spec_hash}
    seen = ObservedService(
        service.name,
        container=Present(ContainerFacts(spec.name, "id", image_id, "running", labels)),
        config_text=Present(service.config_text),
        release=Present(release),
        versions=Present({m.name: {v.number: on_disk(v) for v in m.versions} for m in service.models}),
        served={m.name: Present(tuple(VersionState(n, State.AVAILABLE) for n in m.wanted)) for m in service.models},
        disk=Present(Disk(100 * GIB, 10**6)),
    )
    return ObservedHost(
        "gpu1",
        docker=Present(DockerFacts("29.0", ("runc", "nvidia"), {service.wish.image: image_id})),
        gpus=Present((Gpu(0, "A100", 80 * GIB, 0, "8.0", "570"), Gpu(1, "A100", 80 * GIB, 0, "8.0", "570"))),
        addresses=Present(("127.0.0.1", ADDRESS)),
        listening=Present((8500, 8501)),
        services={service.name: seen},
    )


def on_disk(item: ModelVersion) -> VersionOnDisk:
    sizes = {entry.path: entry.size_bytes for entry in item.manifest.files}
    return VersionOnDisk(item.number, item.manifest.digest, sizes, item.manifest.as_sha256sum())


def empty_host(service: DesiredService) -> ObservedHost:
    """A host that nobody has deployed to."""
    host = settled_host(service)
    bare = ObservedService(service.name, versions=Present({}), disk=Present(Disk(100 * GIB, 10**6)))
    return replace(host, services={service.name: bare}, listening=Present((22,)))
