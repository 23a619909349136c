"""A desired service made of a release record: what a host goes back to, with everything that stands against it. Pure.

Nothing is taken from a model's source or a registry: manifests are the host's own, the image is the one it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fleetdeploy.domain.observed import ObservedHost, ObservedService, Present, Release, VersionOnDisk
from fleetdeploy.domain.plan import Activation, HostPlan, Refusal
from fleetdeploy.domain.secret import Secret, is_fingerprint
from fleetdeploy.domain.service import (
    LABEL_SPEC,
    ContainerSpec,
    DesiredModel,
    DesiredService,
    GoldenRequest,
    GpuRequest,
    Manifest,
    ManifestFile,
    ModelVersion,
    ModelWish,
    Ports,
    ServiceWish,
    VersionsWish,
    spec_hash,
)
from fleetdeploy.errors import InputError
from fleetdeploy.planning.activation import content_hash
from fleetdeploy.planning.container import GRPC_PORT, REST_PORT, bind_address, container_name
from fleetdeploy.planning.refusals import on_disk
from fleetdeploy.tfserving.simulation import listed

Golden = Callable[[ModelWish], tuple[GoldenRequest, ...]]
"""The golden requests of a model, as far as they can be had."""

_DEVICES = "NVIDIA_VISIBLE_DEVICES"
_NEW_CONTAINER = frozenset({Activation.START, Activation.REPLACE})
_ELSEWHERE = "roll back to another release, or --limit the run to the other hosts"


@dataclass(frozen=True)
class Problem:
    """What stands against a release on its host, and what to do about it."""

    message: str
    hint: str = _ELSEWHERE


def spec_of(fields: Mapping[str, object], secrets: Mapping[str, str] | None = None) -> ContainerSpec:
    """The container that a record's fields describe; ``secrets`` has values for names that stand there as fingerprints.

    Raises ValueError for fields that are not those of a container.
    """
    values: Any = fields
    try:
        recorded = {str(name): str(value) for name, value in values["environment"].items()}
        known = {name: value for name, value in recorded.items() if not is_fingerprint(value)}
        return ContainerSpec(
            name=str(values["name"]),
            image=str(values["image"]),
            image_id=str(values["image_id"]),
            entrypoint=tuple(map(str, values["entrypoint"])),
            command=tuple(map(str, values["command"])),
            environment={**known, **{name: secrets[name] for name in recorded if secrets and name in secrets}},
            mounts=tuple((str(source), str(target)) for source, target in values["mounts"]),
            ports={int(port): (str(place[0]), int(place[1])) for port, place in values["ports"].items()},
            runtime=str(values["runtime"]),
            user=str(values["user"]),
            memory_bytes=int(values["memory_bytes"]),
            pids_limit=int(values["pids_limit"]),
            restart=str(values["restart"]),
            fingerprints={name: value for name, value in recorded.items() if is_fingerprint(value)},
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(f"its container cannot be understood: {type(error).__name__}: {error}") from None


def secrets_of(fields: Mapping[str, object], values: Mapping[str, str | Secret]) -> dict[str, str]:
    """Of ``values``, those that the record's fingerprints stand for. One that cannot be found out is none of them."""
    recorded: Any = fields.get("environment")
    found = {}
    for name, value in values.items():
        known = recorded.get(name) if isinstance(recorded, Mapping) else None
        with suppress(InputError):
            if known is not None and isinstance(value, Secret) and value.fingerprint(known) == known:
                found[name] = value.reveal()
    return found


def lacking_secrets(spec: ContainerSpec) -> tuple[str, ...]:
    """The secrets of a container's environment whose values nobody knows here."""
    return tuple(sorted(spec.fingerprints.keys() - spec.environment.keys()))


def desired_of(
    release: Release,
    wish: ServiceWish,
    observed: ObservedService,
    *,
    golden: Golden,
    secrets: Mapping[str, str],
    took_back: str,
) -> DesiredService:
    """What the host shall run to be as ``release`` says. Raises ValueError for a record that does not say it.

    A version that is not on the host has no files in it.
    """
    spec = spec_of(release.container, secrets)
    if not {GRPC_PORT, REST_PORT} <= spec.ports.keys():
        raise ValueError("its container publishes no port for gRPC or REST")
    wishes = {model.name: model for model in wish.models}
    models = tuple(
        replace(wishes.get(name) or ModelWish(name, Path(), VersionsWish()), versions=VersionsWish(numbers))
        for name, numbers in release.models.items()
    )
    there = {model.name: on_disk(observed, model.name) for model in models}
    return DesiredService(
        wish=replace(
            wish,
            image=spec.image_id,
            ports=Ports(spec.ports[GRPC_PORT][1], spec.ports[REST_PORT][1]),
            bind=release.bind or wish.bind,
            models=models,
            runtime=spec.runtime,
            gpus=_gpus(spec),
            user=spec.user,
            memory_bytes=spec.memory_bytes,
        ),
        models=tuple(
            DesiredModel(
                model.name,
                tuple(_version(there[model.name].get(number), number) for number in model.versions.numbers),
                dict(release.labels.get(model.name, {})),
                golden(model),
                allow_signature_change=True,
            )
            for model in models
        ),
        config_text=release.config_text,
        config_shown=release.config_shown,
        recorded=spec,
        took_back=took_back,
    )


def _gpus(spec: ContainerSpec) -> GpuRequest:
    chosen = spec.environment.get(_DEVICES, "void")
    devices = tuple(int(item) for item in chosen.split(",") if item.isdecimal())
    return GpuRequest(all=True) if chosen == "all" else GpuRequest(devices=devices)


def _version(seen: VersionOnDisk | None, number: int) -> ModelVersion:
    files = () if seen is None else _manifest(seen)
    return ModelVersion(number, Path(), Manifest(tuple(files)))


def _manifest(seen: VersionOnDisk) -> Iterator[ManifestFile]:
    for line in seen.manifest_text.splitlines():
        digest, _, path = line.partition("  ")
        yield ManifestFile(path, seen.sizes_bytes.get(path, -1), digest)


def problems_of(
    release: Release, desired: DesiredService, observed: ObservedService, facts: ObservedHost, *, image_there: bool
) -> Iterator[Problem]:
    """Everything that stands against going back to ``release``, which ``desired`` was made of."""
    spec = desired.recorded
    assert spec is not None
    if release.service != desired.name or spec.name != container_name(desired.name):
        yield Problem(f"its record is one of service {release.service!r}, container {spec.name!r}")
    if {name: tuple(sorted(entry.versions)) for name, entry in listed(release.config_text).items()} != dict(
        release.models
    ):
        yield Problem("the configuration in its record does not serve the versions that the record names")
    damaged = list(_content_problems(release, observed))
    yield from damaged
    if not damaged and content_hash(desired, spec) != release.content_hash:
        yield Problem(f"its record does not fit the hash in its id (it comes to {content_hash(desired, spec)})")
    if not image_there:
        yield Problem(
            f"its image {spec.image} ({spec.image_id}) is not on the host any more",
            f"bring it back there: `docker pull {spec.image}`, if that is still the same one, or `docker load`",
        )
    mounted = {str(desired.directory / part) for part in ("models", "config")}
    if {source for source, _ in spec.mounts} != mounted:
        yield Problem("its files were in another directory than the inventory's", "put `directory` back")
    addresses = facts.addresses.value if isinstance(facts.addresses, Present) else ()
    lost = {address for address, _ in spec.ports.values()} - {bind_address(desired.wish.bind, addresses)}
    if lost:
        yield Problem(
            f"it was published on {', '.join(sorted(lost))}, which is not what {desired.wish.bind} stands for"
        )


def _content_problems(release: Release, observed: ObservedService) -> Iterator[Problem]:
    """Versions that are not on the host as they were when they were proven."""
    for model, numbers in release.models.items():
        there, contents = on_disk(observed, model), release.contents.get(model, {})
        for number in numbers:
            seen, recorded = there.get(number), contents.get(number)
            if seen is None:
                yield Problem(f"version {number} of {model} is not on the host any more")
                continue
            listed_paths = {item.path for item in _manifest(seen)}
            if not listed_paths or (recorded and seen.manifest_digest != recorded.manifest_digest):
                yield Problem(f"version {number} of {model} on the host is not the one that was proven")
            elif listed_paths != seen.sizes_bytes.keys() or (
                recorded and sum(seen.sizes_bytes.values()) != recorded.size_bytes
            ):
                yield Problem(f"files of version {number} of {model} changed on the host since they were staged")


def standing_refusals(plan: HostPlan) -> tuple[Refusal, ...]:
    """What a later look may still find against a planned way back: nothing is brought to the host on it."""
    found = list[Refusal]()
    for service in plan.services:
        spec = service.desired.recorded
        for item in service.stage[:1]:
            found.append(_refusal(plan, f"version {item.version.number} of {item.model} is not on the host any more"))
        if spec is not None and service.pull_image:
            found.append(_refusal(plan, f"the image {spec.image} ({spec.image_id}) is not on the host any more"))
        names = lacking_secrets(spec) if spec is not None and service.activation in _NEW_CONTAINER else ()
        if names:
            message = f"a new container of {service.desired.name!r} needs the secret {', '.join(names)} as it was"
            hint = "the inventory has another value now, and no container on the host has it: set the old one"
            found.append(_refusal(plan, message, hint))
    return tuple(found)


def _refusal(plan: HostPlan, message: str, hint: str = _ELSEWHERE) -> Refusal:
    return Refusal(plan.host.name, message, hint)


def unrecorded(observed: ObservedService, *known: Release) -> str:
    """What of a service runs or is configured that is of none of these releases; empty where nothing is.

    A run that was killed between two of them leaves a configuration with versions of both.
    """
    if isinstance(observed.container, Present):
        spec = observed.container.value.labels.get(LABEL_SPEC)
        if spec not in {spec_hash(release.container) for release in known}:
            return "its container"
    entries = listed(observed.config_text.value) if isinstance(observed.config_text, Present) else {}
    odd = [
        f"{model} {number}"
        for model, entry in sorted(entries.items())
        for number in entry.versions
        if all(number not in release.models.get(model, ()) for release in known)
    ]
    return f"its configuration, with {', '.join(odd)}," if odd else ""


def as_refusals(host: str, release: str, problems: Sequence[Problem]) -> tuple[Refusal, ...]:
    """The problems of one release on one host."""
    return tuple(Refusal(host, f"release {release}: {item.message}", item.hint) for item in problems)
