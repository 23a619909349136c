"""Why a host cannot be brought to its desired state: everything the planner can tell before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import (
    Disk,
    DockerFacts,
    ObservedHost,
    ObservedService,
    Present,
    ProvenRelease,
    Release,
    Unknown,
    VersionOnDisk,
    hash_in,
)
from fleetdeploy.domain.plan import Refusal, ServicePlan
from fleetdeploy.domain.service import LABEL_DIRECTORY, LABEL_SERVICE, DesiredService
from fleetdeploy.planning.before import CONFIG_FILE, removed_models, shown_name, untold
from fleetdeploy.planning.container import bind_address
from fleetdeploy.planning.gpu_fit import differences, indexes, misfits
from fleetdeploy.planning.rollback import proven_here, taken_back

SPACE_FACTOR = 1.1
SPACE_RESERVE_BYTES = 256 * 1024 * 1024
"""Left free on the host beyond what is copied: rsync's temporary names, logs, the release records."""


def on_disk(observed: ObservedService, model: str) -> Mapping[int, VersionOnDisk]:
    """The versions of a model that the host was seen to have."""
    versions = observed.versions.value if isinstance(observed.versions, Present) else {}
    return versions.get(model, {})


def host_refusals(host: Host, desired: Sequence[DesiredService], observed: ObservedHost) -> Iterator[Refusal]:
    """What is wrong for any service: a Docker engine that does not answer, other GPUs than the inventory declares."""
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
    if host.gpus and isinstance(observed.gpus, Present):
        for text in differences(host.gpus, observed.gpus.value):
            hint = "mend the inventory's `gpus`, or find out what happened to the host before it is deployed to"
            yield Refusal(host.name, text, hint)
    wanted = any(service.wish.gpus.wanted for service in desired)  # then its service says so
    if host.gpus and isinstance(observed.gpus, Unknown) and not wanted:
        yield Refusal(
            host.name,
            f"the inventory's `gpus` cannot be compared with what is there: {observed.gpus.reason}",
            "mend the driver, or leave `gpus` of the host out where it has none",
        )


def service_refusals(
    host: Host, desired: DesiredService, observed: ObservedService, facts: ObservedHost, *, allow_remove: bool
) -> Iterator[Refusal]:
    """What stands against one service on this host. What could not be read refuses, it is not assumed."""
    name = host.name
    unknown = list(_unknown(observed))
    for what, reason in unknown:
        yield Refusal(name, f"{what} of service {desired.name!r} could not be read: {reason}", "see `status` and retry")
    if unknown:
        return
    yield from _container_refusals(name, desired, observed, facts)
    yield from _gpu_refusals(name, desired, facts)
    yield from _content_refusals(name, desired, observed)
    if not allow_remove:
        yield from _removal_refusals(name, desired, observed)


def _removal_refusals(name: str, desired: DesiredService, observed: ObservedService) -> Iterator[Refusal]:
    """Models that serve and that would be gone afterwards, or of which nobody can tell whether they are there."""
    removed = removed_models(desired, observed)
    if removed:
        gone = ", ".join(map(shown_name, removed))
        yield Refusal(
            name,
            f"service {desired.name!r} would unload {gone}, which the inventory no longer lists",
            "list it again, or pass --allow-remove to `deploy` when that is meant",
        )
    why = untold(observed)
    if why:
        yield Refusal(
            name,
            f"service {desired.name!r} runs, and nothing tells which models it has: {why}, and no release is recorded",
            "put the file back, or pass --allow-remove to `deploy`: models that the inventory "
            "does not list are unloaded then",
        )


def _unknown(observed: ObservedService) -> Iterator[tuple[str, str]]:
    for what, reading in (
        ("the container", observed.container),
        ("the previous container", observed.previous),
        (CONFIG_FILE, observed.config_text),
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
    directory = container.labels.get(LABEL_DIRECTORY, str(desired.directory)) if container else str(desired.directory)
    if directory != str(desired.directory):
        yield Refusal(
            name,
            f"service {desired.name!r} lives in {directory} on the host, the inventory says {desired.directory}",
            "a service is not moved: put `directory` back, or drain the host and remove its container first",
        )
    yield from _port_refusals(name, desired, observed, facts)


def _port_refusals(
    name: str, desired: DesiredService, observed: ObservedService, facts: ObservedHost
) -> Iterator[Refusal]:
    """Ports that the service would have to open and that something else holds."""
    running = [
        reading.value for reading in (observed.container, observed.previous)
        if isinstance(reading, Present) and reading.value.running
    ]  # fmt: skip
    if running and not isinstance(observed.release, Present):
        return
    own = _published(observed.release.value) if running and isinstance(observed.release, Present) else frozenset()
    # A run that ended before it recorded anything may have left a container with other ports than the record has.
    own |= {
        port
        for reading in (observed.container, observed.previous)
        if isinstance(reading, Present) and reading.value.labels.get(LABEL_SERVICE) == desired.name
        if reading.value.holds_ports
        for port in reading.value.published
    }
    wanted = [port for port in (desired.wish.ports.grpc, desired.wish.ports.rest) if port not in own]
    if wanted and isinstance(facts.listening, Unknown):
        yield Refusal(name, f"which ports are taken could not be read: {facts.listening.reason}", "see `ss -ltn`")
    for port in wanted:
        if isinstance(facts.listening, Present) and port in facts.listening.value:
            yield Refusal(name, f"port {port} is taken by something else", "`ss -ltnp` on the host names it")


def _published(release: Release) -> frozenset[int]:
    """The host ports of a recorded container, whose field holds {container port: [address, host port]}."""
    ports = release.container.get("ports")
    pairs = ports.values() if isinstance(ports, dict) else ()
    return frozenset(int(pair[1]) for pair in pairs if isinstance(pair, (list, tuple)) and len(pair) == 2)


def stray_refusals(host: Host, desired: Sequence[DesiredService], observed: ObservedHost) -> Iterator[Refusal]:
    """Services of ours that run here and that the inventory does not list any more."""
    named = {service.name for service in desired}
    containers = observed.containers.value if isinstance(observed.containers, Present) else ()
    for container in containers:
        service = container.labels.get(LABEL_SERVICE)
        if service and service not in named and container.running:
            yield Refusal(
                host.name,
                f"{container.name} still runs service {service!r}, which the inventory does not list for this host",
                f"list it again, or drain the host and `docker rm -f {container.name}` there; "
                "--allow-remove goes on and leaves it alone",
            )


def _gpu_refusals(name: str, desired: DesiredService, facts: ObservedHost) -> Iterator[Refusal]:
    request = desired.wish.gpus
    gpus = facts.gpus.value if isinstance(facts.gpus, Present) else ()
    if gpus or not request.wanted:
        for _, text in misfits(desired.wish, gpus):
            yield Refusal(name, text, "place the model on other hosts, or mend `requires` or `gpus`")
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
        wants = "all GPUs" if request.all else f"{request.count} GPUs" if request.count > 1 else "a GPU"
        if request.devices:
            wants = f"GPU {', '.join(map(str, lacking))}"
        has = f"only GPU {indexes(facts.gpus.value)}" if here else "none"
        yield Refusal(name, f"service {desired.name!r} wants {wants}, the host has {has}", "mend `gpus` of the service")


def _content_refusals(name: str, desired: DesiredService, observed: ObservedService) -> Iterator[Refusal]:
    for model in desired.models:
        there = on_disk(observed, model.name)
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
                    "find out why; publish the content under a new number, or drain the host before you remove "
                    f"{desired.directory}/models/{model.name}/{version.number} there: what is removed stops serving",
                    exit_code=7,
                )


def space_refusals(host: Host, services: Sequence[ServicePlan]) -> Iterator[Refusal]:
    """What is to be staged and does not fit, with reserve."""
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
                "free space there, or have `prune` in a play remove old versions; nothing is deleted to make room",
            )
        files = sum(len(item.version.manifest.files) for item in service.stage) + 64
        if disk.free_inodes and disk.free_inodes < files:
            yield Refusal(
                host.name, f"{disk.free_inodes} inodes free, staging needs {files}", "free inodes on the host"
            )


def again_refusals(host: Host, services: Sequence[ServicePlan]) -> Iterator[Refusal]:
    """Releases that a rollback left on this host: a deploy from cron must not bring them back five minutes later."""
    for service in services:
        content = hash_in(service.release_id)
        left = taken_back(proven_here(service.observed)).get(content)
        if left is not None:
            yield Refusal(
                host.name,
                f"release {content} of service {service.desired.name!r} was taken back by {_run_of(service, left)}; "
                "the inventory still wants it",
                "change the inventory, or pass --again to `deploy` to bring it back",
            )


def _run_of(service: ServicePlan, release: ProvenRelease) -> str:
    """The run that proved a release; only of the current one is it known by name, of others by its time."""
    recorded = service.observed.release
    if isinstance(recorded, Present) and recorded.value.id == release.id:
        return f"run {recorded.value.run}"
    return f"the run that proved {release.id}"
