"""The plan of one host: its desired services held against what one probe saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import (
    DockerFacts,
    ObservedHost,
    ObservedService,
    Present,
    VersionOnDisk,
)
from fleetdeploy.domain.plan import HostPlan, ServicePlan, StageItem
from fleetdeploy.domain.service import (
    DesiredModel,
    DesiredService,
    ManifestFile,
    ModelVersion,
)
from fleetdeploy.planning.activation import choose, content_hash, server_changes
from fleetdeploy.planning.container import bind_address, container_spec
from fleetdeploy.planning.file_changes import compared_with, file_changes
from fleetdeploy.planning.gpu_sums import (
    as_planned,
    gpu_fits,
    memory_refusals,
    transition_refusals,
    without_overlap,
)
from fleetdeploy.planning.refusals import (
    again_refusals,
    host_refusals,
    on_disk,
    service_refusals,
    space_refusals,
    stray_refusals,
)
from fleetdeploy.planning.signatures import comparisons, signature_refusals


def plan_host(
    host: Host,
    desired: Sequence[DesiredService],
    observed: ObservedHost,
    *,
    stamp: str,
    allow_remove: bool = False,
    allow_signature_change: frozenset[str] = frozenset(),
    again: bool = False,
) -> HostPlan:
    """What ``host`` needs. ``stamp`` is the run's time as it stands in release ids, such as ``20260131T235900Z``.

    ``allow_signature_change`` names models that may change what their callers rely on; ``again`` allows releases that
    were taken back here.

    A reading that the plan depends on and that is ``Unknown`` becomes a refusal, never an assumption. Served versions
    are the exception: a server that is still starting does not answer, and waiting for it is what is planned.
    """
    refusals = list(host_refusals(host, desired, observed))
    if not allow_remove:
        refusals += stray_refusals(host, desired, observed)
    if refusals or not isinstance(observed.docker, Present):
        return HostPlan(host, observed, (), tuple(refusals))
    services, signatures = [], []
    for service in desired:
        seen = observed.services.get(service.name, ObservedService(service.name))
        compared = list(comparisons(service, seen, allowed=allow_signature_change))
        signatures += compared
        found = list(service_refusals(host, service, seen, observed, allow_remove=allow_remove))
        found += signature_refusals(host.name, compared)
        refusals += found
        if not found:
            services.append(_plan_service(host, service, seen, observed, observed.docker.value, stamp))
    refusals += space_refusals(host, services)
    if not again:
        refusals += again_refusals(host, services)
    gpus = observed.gpus.value if isinstance(observed.gpus, Present) else ()
    pairs = [(service, observed.services.get(service.name, ObservedService(service.name))) for service in desired]
    fits = gpu_fits(pairs, gpus)
    refusals += memory_refusals(host.name, pairs, gpus, observed)
    planned: tuple[ServicePlan, ...] = ()
    if not refusals:
        balanced = [name for name, pools in host.balancer.pools.items() if pools] if host.balancer else []
        planned = without_overlap(services, fits, gpus, drained=balanced)
        refusals += transition_refusals(host.name, planned, fits)
        fits = as_planned(fits, planned)
    return HostPlan(host, observed, () if refusals else planned, tuple(refusals), tuple(signatures), fits)


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
    recorded = observed.release.value.container if isinstance(observed.release, Present) else {}
    spec = desired.recorded or container_spec(desired, address=address, image_id=image_id, recorded=recorded)
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
        undrain=isinstance(observed.drained_by, Present) and is_balanced(host, desired.name),
        server=server_changes(desired, observed, activation),
    )


def is_balanced(host: Host, service: str) -> bool:
    """Whether a balancer sends the host requests for this service."""
    return host.balancer is not None and bool(host.balancer.pools.get(service))


def _stage(desired: DesiredService, observed: ObservedService) -> Iterator[StageItem]:
    for model in desired.models:
        there = on_disk(observed, model.name)
        known = compared_with(observed, model.name)
        for version in model.versions:
            if version.number not in there:
                item = _stage_item(model, version, there)
                yield replace(item, files=file_changes(version.manifest, known))


def _stage_item(model: DesiredModel, version: ModelVersion, there: Mapping[int, VersionOnDisk]) -> StageItem:
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


def out_of_service(host: Host, services: Iterable[ObservedService], *, balancer_tells: bool) -> bool:
    """Whether the host, by its own word, served before and does not now: such hosts count against ``max_unavailable``.

    A service that was never released there is not out, it is new. Where ``balancer_tells`` who gets requests, a marker
    says nothing: it is written before the drain and goes after the host is back. What a run took out of a balancer
    that the inventory has no longer is not kept from anything.
    """
    return any(
        isinstance(service.release, Present)
        and (
            not isinstance(service.container, Present)
            or not service.container.value.running
            or (not balancer_tells and isinstance(service.drained_by, Present) and is_balanced(host, service.name))
        )
        for service in services
    )
