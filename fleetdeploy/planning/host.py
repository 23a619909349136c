"""The plan of one host: its desired services held against what one probe saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import (
    Disk,
    DockerFacts,
    ObservedHost,
    ObservedService,
    Present,
    Unknown,
    VersionOnDisk,
)
from fleetdeploy.domain.plan import HostPlan, Refusal, ServicePlan, StageItem
from fleetdeploy.domain.service import LABEL_SERVICE, DesiredModel, DesiredService, ManifestFile, ModelVersion
from fleetdeploy.planning.activation import choose, content_hash, removed_models
from fleetdeploy.planning.container import bind_address, container_spec

SPACE_FACTOR = 1.1
SPACE_RESERVE_BYTES = 256 * 1024 * 1024
"""Left free on the host beyond what is copied: rsync's temporary names, logs, the release records."""


def plan_host(
    host: Host,
    desired: Sequence[DesiredService],
    observed: ObservedHost,
    *,
    stamp: str,
    allow_remove: bool = False,
) -> HostPlan:
    """What ``host`` needs. ``stamp`` is the run's time as it stands in release ids, such as ``20260131T235900Z``.

    A reading that the plan depends on and that is ``Unknown`` becomes a refusal, never an assumption. Served versions
    are the exception: a server that is still starting does not answer, and waiting for it is what is planned.
    """
    refusals = list(_host_refusals(host, desired, observed))
    if refusals or not isinstance(observed.docker, Present):
        return HostPlan(host, observed, (), tuple(refusals))
    services = []
    for service in desired:
        seen = observed.services.get(service.name, ObservedService(service.name))
        found = list(_service_refusals(host, service, seen, observed, allow_remove=allow_remove))
        refusals += found
        if not found:
            services.append(_plan_service(host, service, seen, observed, observed.docker.value, stamp))
    refusals += _space_refusals(host, services)
    return HostPlan(host, observed, () if refusals else tuple(services), tuple(refusals))


def _plan_service(
    host: Host,
    desired: DesiredService,
    observed: ObservedService,
    facts: ObservedHost,
    docker: DockerFacts,
    stamp: str,
) -> ServicePlan:
    addresses = facts.addresses.value if isinstance(facts.addresses, Present) else ()
    address = bind_address(desired.wish.bind, addresses)
    assert address is not None, "refused before"
    image_id = docker.images.get(desired.wish.image, "")
    spec = container_spec(desired, address=address, image_id=image_id)
    activation, reason, changes = choose(desired, observed, spec, image_missing=not image_id)
    return ServicePlan(
        desired=desired,
        observed=observed,
        container=spec,
        release_id=f"{stamp}-{content_hash(desired, spec)}",
        activation=activation,
        reason=reason,
        stage=tuple(_stage(desired, observed)),
        changes=changes,
        pull_image=not image_id,
        undrain=isinstance(observed.drained_by, Present) and host.balancer is not None,
    )


def _stage(desired: DesiredService, observed: ObservedService) -> Iterator[StageItem]:
    for model in desired.models:
        there = _on_disk(observed, model.name)
        for version in model.versions:
            if version.number not in there:
                yield _stage_item(model, version, there)


def _stage_item(model: DesiredModel, version: ModelVersion, there: dict[int, VersionOnDisk]) -> StageItem:
    """Link from the version on the host that shares most bytes with the new one."""
    best, shared = None, 0
    for number, candidate in sorted(there.items()):
        known = set(candidate.manifest_text.splitlines())
        same = sum(item.size_bytes for item in version.manifest.files if _line(item) in known)
        if same >= shared and same > 0:
            best, shared = number, same
    return StageItem(model.name, version, version.manifest.size_bytes - shared, best)


def _line(item: ManifestFile) -> str:
    return f"{item.sha256}  {item.path}"


def _on_disk(observed: ObservedService, model: str) -> dict[int, VersionOnDisk]:
    versions = observed.versions.value if isinstance(observed.versions, Present) else {}
    return dict(versions.get(model, {}))


def _host_refusals(host: Host, desired: Sequence[DesiredService], observed: ObservedHost) -> Iterator[Refusal]:
    if not desired:
        return
    if not isinstance(observed.docker, Present):
        why = observed.docker.reason if isinstance(observed.docker, Unknown) else "no Docker engine"
        yield Refusal(
            host.name,
            f"Docker cannot be asked: {why}",
            "running containers may still serve; look at `systemctl status docker` on the host",
        )
        return
    if host.gpus and isinstance(observed.gpus, Present) and len(observed.gpus.value) != host.gpus.count:
        yield Refusal(
            host.name,
            f"the inventory declares {host.gpus.count} GPUs, nvidia-smi lists {len(observed.gpus.value)}",
            "mend the inventory's `gpus`, or find the lost card before it is deployed to",
        )


def _service_refusals(
    host: Host, desired: DesiredService, observed: ObservedService, facts: ObservedHost, *, allow_remove: bool
) -> Iterator[Refusal]:
    name = host.name
    unknown = list(_unknown(observed))
    for what, reason in unknown:
        yield Refusal(name, f"{what} of service {desired.name!r} could not be read: {reason}", "see `status` and retry")
    if unknown:
        return
    yield from _container_refusals(name, desired, observed, facts)
    yield from _gpu_refusals(name, desired, facts)
    yield from _content_refusals(name, desired, observed)
    removed = () if allow_remove else removed_models(desired, observed)
    if removed:
        yield Refusal(
            name,
            f"service {desired.name!r} would unload {', '.join(removed)}, which the inventory no longer lists",
            "pass --allow-remove when that is meant",
        )


def _unknown(observed: ObservedService) -> Iterator[tuple[str, str]]:
    for what, reading in (
        ("the container", observed.container),
        ("the previous container", observed.previous),
        ("config/model.config", observed.config_text),
        ("the release record", observed.release),
        ("the version directories", observed.versions),
        ("the drain marker", observed.drained_by),
    ):
        if isinstance(reading, Unknown):
            yield what, reading.reason


def _container_refusals(
    name: str, desired: DesiredService, observed: ObservedService, facts: ObservedHost
) -> Iterator[Refusal]:
    wish = desired.wish
    docker = facts.docker.value if isinstance(facts.docker, Present) else DockerFacts("", ())
    container = observed.container.value if isinstance(observed.container, Present) else None
    for reading in (observed.container, observed.previous):
        if isinstance(reading, Present) and reading.value.labels.get(LABEL_SERVICE) != desired.name:
            yield Refusal(
                name,
                f"a container named {reading.value.name} exists that fleetdeploy did not make",
                "it is never touched: remove or rename it yourself",
            )
    if wish.runtime not in docker.runtimes:
        yield Refusal(
            name,
            f"Docker has no runtime {wish.runtime!r} (it has {', '.join(docker.runtimes)})",
            "install the NVIDIA Container Toolkit and restart Docker, or set `runtime`",
        )
    addresses = facts.addresses.value if isinstance(facts.addresses, Present) else ()
    if bind_address(wish.bind, addresses) is None:
        yield Refusal(
            name,
            f"the host has no address in {wish.bind} (it has {', '.join(addresses) or 'none that could be read'})",
            f"set `bind` of service {desired.name!r}",
        )
    previous = isinstance(observed.previous, Present) and observed.previous.value.running
    starts = not (container and container.running) and not previous
    if starts and isinstance(facts.listening, Unknown):
        yield Refusal(name, f"which ports are taken could not be read: {facts.listening.reason}", "see `ss -ltn`")
    if starts and isinstance(facts.listening, Present):
        for port in (wish.ports.grpc, wish.ports.rest):
            if port in facts.listening.value:
                yield Refusal(name, f"port {port} is taken by something else", "`ss -ltnp` on the host names it")


def _gpu_refusals(name: str, desired: DesiredService, facts: ObservedHost) -> Iterator[Refusal]:
    request = desired.wish.gpus
    if not request.wanted:
        return
    if not isinstance(facts.gpus, Present):
        why = facts.gpus.reason if isinstance(facts.gpus, Unknown) else "nvidia-smi is not there"
        yield Refusal(
            name, f"service {desired.name!r} wants GPUs and they cannot be read: {why}", "is the driver installed?"
        )
        return
    here = {gpu.index for gpu in facts.gpus.value}
    lacking = sorted(set(request.devices or range(request.count)) - here)
    if lacking or not here:
        yield Refusal(
            name,
            f"service {desired.name!r} wants GPU {', '.join(map(str, lacking)) or 'all'}, the host has {len(here)}",
            "mend `gpus` of the service",
        )


def _content_refusals(name: str, desired: DesiredService, observed: ObservedService) -> Iterator[Refusal]:
    for model in desired.models:
        there = _on_disk(observed, model.name)
        for version in model.versions:
            seen = there.get(version.number)
            if seen is None:
                continue
            where = f"version {version.number} of {model.name}"
            if seen.manifest_digest != version.manifest.digest:
                held = "has no manifest of ours" if not seen.manifest_digest else "holds other content than the source"
                yield Refusal(
                    name,
                    f"{where} on the host {held}",
                    "a version number is never used twice: publish the new content under a new number",
                    exit_code=7,
                )
            elif seen.sizes_bytes != {item.path: item.size_bytes for item in version.manifest.files}:
                yield Refusal(
                    name,
                    f"files of {where} changed on the host since they were staged",
                    f"find out why, then remove {desired.directory}/models/{model.name}/{version.number} and run again",
                )


def _space_refusals(host: Host, services: Sequence[ServicePlan]) -> Iterator[Refusal]:
    for service in services:
        if not service.stage:
            continue
        if isinstance(service.observed.disk, Unknown):
            why = service.observed.disk.reason
            yield Refusal(host.name, f"free space for {service.desired.directory} could not be read: {why}", "see `df`")
        if not isinstance(service.observed.disk, Present):
            continue
        disk: Disk = service.observed.disk.value
        needed = int(sum(item.copy_bytes for item in service.stage) * SPACE_FACTOR) + SPACE_RESERVE_BYTES
        if disk.free_bytes < needed:
            yield Refusal(
                host.name,
                f"{service.desired.directory} has {disk.free_bytes >> 20} MiB free, "
                f"staging needs {needed >> 20} MiB with reserve",
                "free space on the host, or `prune` old versions; nothing is deleted to make room",
            )
        files = sum(len(item.version.manifest.files) for item in service.stage) + 64
        if disk.free_inodes and disk.free_inodes < files:
            yield Refusal(
                host.name, f"{disk.free_inodes} inodes free, staging needs {files}", "free inodes on the host"
            )


def out_of_service(plan: HostPlan) -> bool:
    """Whether the host served before and does not now: such hosts count against ``max_unavailable``.

    A service that was never released there is not out, it is new.
    """
    return any(
        isinstance(service.observed.release, Present)
        and (
            not isinstance(service.observed.container, Present)
            or not service.observed.container.value.running
            or isinstance(service.observed.drained_by, Present)
        )
        for service in plan.services
    )
