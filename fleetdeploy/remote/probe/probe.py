"""One round trip that brings everything planning needs of a host: the arguments of ``probe.sh`` and its parser.

The parser is pure. What a host says is data: size-capped, checked field by field, and never more than a value. A frame
that is missing or cannot be understood gives ``Unknown``; ``Absent`` only ever comes from a frame that says so, and a
frame counts only under the random nonce of this very call.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TypeVar

from fleetdeploy.domain.lease import Lease
from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    DockerFacts,
    ObservedHost,
    ObservedService,
    Present,
    Reading,
    Unknown,
    VersionOnDisk,
    VersionState,
)
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.planning.container import GRPC_PORT, container_name, previous_name
from fleetdeploy.remote.directory.leases import read_lease
from fleetdeploy.remote.directory.records import history_from_text, release_from_json
from fleetdeploy.remote.directory.verbs import text_of
from fleetdeploy.remote.directory.watchdog import watch_from_line
from fleetdeploy.remote.host_words import printable
from fleetdeploy.remote.probe import facts
from fleetdeploy.remote.ssh.connection import SshConnection

DEADLINE_S = 60.0
NO_TOOL = "no tool"
"""How the reason begins when the host has nothing to make an HTTP request with."""

T = TypeVar("T")


@dataclass(frozen=True)
class Sighting:
    """What one probe saw, and where each service's running container publishes gRPC, as (address, port)."""

    observed: ObservedHost
    grpc: Mapping[str, tuple[str, int]] = field(default_factory=dict)


def probe(connection: SshConnection, services: Sequence[ServiceWish]) -> Sighting:
    """Run the probe on a host and read its answer. Raises HostError when the host cannot be asked at all."""
    nonce = secrets.token_hex(16)
    done = connection.run(["sh", "-s", "--", nonce, *arguments(services)], stdin=script(), deadline_s=DEADLINE_S)
    said = done.error_text.splitlines()[-1:] if done.status else []
    return parse(done.stdout, nonce, host=connection.host.name, services=services, complaint="".join(said))


def script() -> bytes:
    """The text of the probe, behind what it shares with the scripts of a service's directory."""
    own = resources.files("fleetdeploy.remote.probe").joinpath("probe.sh").read_text(encoding="utf-8")
    return f"{text_of('look.sh')}\n{own}".encode()


def arguments(services: Sequence[ServiceWish]) -> list[str]:
    """The words behind the nonce on the script's command line."""
    words: list[str] = []
    for image in images_of(services):
        words += ["image", image]
    for index, wish in enumerate(services):
        address = wish.bind if "/" not in wish.bind else "-"
        names = container_name(wish.name), previous_name(wish.name)
        words += ["service", str(index), str(wish.directory), address, str(wish.ports.rest), *names]
        for model in wish.models:
            words += ["model", model.name]
    return words


def parse(
    answer: bytes, nonce: str, *, host: str, services: Sequence[ServiceWish] = (), complaint: str = ""
) -> Sighting:
    """What the script's output says about ``host``. Never raises: bytes that mean nothing are ``Unknown``."""
    frames = Frames(answer, nonce, complaint)
    containers = frames.reading("containers", facts.containers)
    docker = _docker(frames, images_of(services))
    if isinstance(docker, Unknown) and isinstance(containers, Unknown):
        containers = docker
    known = containers.value if isinstance(containers, Present) else ()
    clock = frames.reading("clock", float)
    boot_id = frames.reading("boot_id", str.strip)
    observed = ObservedHost(
        name=host,
        docker=docker,
        gpus=frames.reading("gpus", facts.gpus),
        addresses=frames.reading("addresses", facts.addresses),
        listening=frames.reading("listening", facts.listening),
        containers=_without_ports(containers),
        services={wish.name: _service(frames, index, wish, containers) for index, wish in enumerate(services)},
        clock_s=clock.value if isinstance(clock, Present) else 0.0,
        boot_id=boot_id.value if isinstance(boot_id, Present) else "",
    )
    endpoints = {item.facts.name: item.ports[GRPC_PORT] for item in known if GRPC_PORT in item.ports}
    wanted = {wish.name: endpoints.get(container_name(wish.name)) for wish in services}
    return Sighting(observed, {name: place for name, place in wanted.items() if place})


class Frames:
    """The frames of one answer. Bytes between frames (login banners, what rc files print) are skipped."""

    def __init__(self, answer: bytes, nonce: str, complaint: str) -> None:
        self._complaint = complaint
        self._found: dict[str, tuple[str, str]] = {}
        head = re.compile(rb"(?m)^" + re.escape(nonce.encode()) + rb" ([a-z0-9_.]+) (ok|absent|unknown) (\d{1,9})\n")
        position = 0
        while match := head.search(answer, position):
            name, status, length = match[1].decode(), match[2].decode(), int(match[3])
            body = answer[match.end() : match.end() + length]
            position = match.end() + length
            if len(body) == length and answer[position : position + 1] == b"\n":
                self._found.setdefault(name, (status, body.decode("utf-8", "replace")))
            else:
                position = match.end()

    def reading(self, name: str, convert: Callable[[str], T]) -> Reading[T]:
        """The frame's value. ``convert`` raises ValueError for a text that is not what it should be."""
        status, text = self._found.get(name, ("missing", ""))
        if status == "absent":
            return Absent()
        if status == "missing":
            return Unknown(printable(f"the host's answer lacks {name!r}: {self._complaint or 'it ended early'}"))
        if status == "unknown":
            return Unknown(printable(text) or "the host gave no reason")
        try:
            return Present(convert(text))
        except (ValueError, LookupError, TypeError, RecursionError, OverflowError, AttributeError) as error:
            return Unknown(printable(f"{name} could not be understood: {error}"))


def images_of(services: Sequence[ServiceWish]) -> tuple[str, ...]:
    """The images that the script is asked about, by their numbers in its frames."""
    return tuple(dict.fromkeys(wish.image for wish in services))


def _docker(frames: Frames, images: Sequence[str]) -> Reading[DockerFacts]:
    engine = frames.reading("docker", facts.engine)
    if not isinstance(engine, Present):
        return engine
    found: dict[str, str] = {}
    for index, reference in enumerate(images):
        image = frames.reading(f"image.{index}", facts.image_id)
        if isinstance(image, Unknown):
            return image
        if isinstance(image, Present):
            found[reference] = image.value
    version, runtimes = engine.value
    return Present(DockerFacts(version, runtimes, found))


def _without_ports(
    containers: Reading[tuple[facts.Container, ...]],
) -> Reading[tuple[ContainerFacts, ...]]:
    if isinstance(containers, Present):
        return Present(tuple(item.facts for item in containers.value))
    return containers


def _named(containers: Reading[tuple[facts.Container, ...]], name: str) -> Reading[ContainerFacts]:
    if not isinstance(containers, Present):
        return containers
    return next((Present(item.facts) for item in containers.value if item.facts.name == name), Absent())


def _service(
    frames: Frames, index: int, wish: ServiceWish, containers: Reading[tuple[facts.Container, ...]]
) -> ObservedService:
    staging = frames.reading(f"{index}.staging", lambda text: tuple(sorted(text.splitlines())))
    served: dict[str, Reading[tuple[VersionState, ...]]] = {
        model.name: frames.reading(f"{index}.served.{number}", facts.served) for number, model in enumerate(wish.models)
    }
    history = frames.reading(f"{index}.history", history_from_text)
    return ObservedService(
        name=wish.name,
        container=_named(containers, container_name(wish.name)),
        previous=_named(containers, previous_name(wish.name)),
        config_text=frames.reading(f"{index}.config", str),
        release=frames.reading(f"{index}.release", release_from_json),
        versions=_versions(frames, index),
        served=served,
        staging=staging.value if isinstance(staging, Present) else (),
        drained_by=frames.reading(f"{index}.drained", str.strip),
        watch=frames.reading(f"{index}.watch", watch_from_line),
        disk=frames.reading(f"{index}.disk", facts.disk),
        lease=_lease(frames, index),
        history=Present(history.value[0]) if isinstance(history, Present) else history,
        history_damaged=history.value[1] if isinstance(history, Present) else 0,
    )


def _lease(frames: Frames, index: int) -> Reading[Lease]:
    uptime = frames.reading("uptime", lambda text: float(text.split()[0]))
    boot_id = frames.reading("boot_id", str.strip)
    found = frames.reading(f"{index}.lease", str)
    if not isinstance(found, Present):
        return found
    if not isinstance(uptime, Present) or not isinstance(boot_id, Present):
        return Unknown("how long the host has been up is not known")
    lease = frames.reading(
        f"{index}.lease", lambda text: read_lease(text, boot_id=boot_id.value, uptime_s=uptime.value)
    )
    if isinstance(lease, Present):
        return Present(lease.value) if lease.value else Absent()
    return lease


def _versions(frames: Frames, index: int) -> Reading[Mapping[str, Mapping[int, VersionOnDisk]]]:
    count = frames.reading(f"{index}.versions", int)
    if not isinstance(count, Present):
        return count
    if not 0 <= count.value <= 100_000:
        return Unknown(f"the host claims {count.value} version directories")
    found: dict[str, dict[int, VersionOnDisk]] = {}
    for number in range(count.value):
        prefix = f"{index}.versions.{number}"
        name = frames.reading(f"{prefix}.name", facts.model_and_version)
        manifest = frames.reading(f"{prefix}.manifest", str)
        sizes = frames.reading(f"{prefix}.sizes", facts.sizes)
        for reading in (name, manifest, sizes):
            if isinstance(reading, Unknown):
                return reading
        if isinstance(name, Absent) or isinstance(sizes, Absent):
            return Unknown("a version directory went away while it was read")
        if isinstance(name, Present) and isinstance(sizes, Present):
            model, version = name.value
            text = manifest.value if isinstance(manifest, Present) else ""
            found.setdefault(model, {})[version] = facts.version_on_disk(version, sizes.value, text)
    return Present(found)
