"""What a host was seen to have. A thing that could not be read is ``Unknown``, never ``Absent``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar, Union

from fleetdeploy.domain.lease import Lease
from fleetdeploy.domain.watch import Watch

T = TypeVar("T")


@dataclass(frozen=True)
class Present(Generic[T]):
    """The thing was read."""

    value: T


@dataclass(frozen=True)
class Absent:
    """The thing was looked for and is not there."""


@dataclass(frozen=True)
class Unknown:
    """The thing could not be read; nothing may be concluded from that."""

    reason: str


Reading = Union[Present[T], Absent, Unknown]


class State(str, Enum):
    """Model version states of TF Serving (get_model_status.proto); the values are its REST names."""

    UNKNOWN = "UNKNOWN"
    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    UNLOADING = "UNLOADING"
    END = "END"


@dataclass(frozen=True)
class VersionState:
    """One entry of GetModelStatus. ``error`` is ``CODE: message``, empty when the status is OK."""

    number: int
    state: State
    error: str = ""


@dataclass(frozen=True)
class Gpu:
    """One row of nvidia-smi. Memory in bytes."""

    index: int
    name: str
    memory_bytes: int
    memory_used_bytes: int
    compute_capability: str
    driver: str
    uuid: str = ""


@dataclass(frozen=True)
class Disk:
    """The file system that holds a service's directory."""

    free_bytes: int
    free_inodes: int


@dataclass(frozen=True)
class DockerFacts:
    """The host's engine. ``images`` maps an asked-for reference to its image id; a missing one is not in it."""

    version: str
    runtimes: tuple[str, ...]
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ContainerFacts:
    """One container. ``status`` is Docker's word; only ``running`` means that it serves. ``started_at`` is when Docker
    started it last, in RFC 3339, empty where that is not known. ``published`` are the host ports that are its own while
    it runs.
    """

    name: str
    id: str
    image_id: str
    status: str
    labels: Mapping[str, str] = field(default_factory=dict)
    restart_count: int = 0
    exit_code: int = 0
    started_at: str = ""
    published: tuple[int, ...] = ()

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def holds_ports(self) -> bool:
        """Whether its ports are taken by it; one that Docker starts over and over has them most of the time."""
        return self.status not in {"created", "exited", "dead"}


@dataclass(frozen=True)
class VersionOnDisk:
    """A numeric version directory: its recorded manifest's digest and the sizes its files have now."""

    number: int
    manifest_digest: str
    sizes_bytes: Mapping[str, int]
    manifest_text: str = ""


@dataclass(frozen=True)
class RecordedVersion:
    """The content of a version when it was proven: its manifest's digest, and the sizes of all its files together."""

    manifest_digest: str
    size_bytes: int


@dataclass(frozen=True)
class Release:
    """The record of what a service was last made to be, as kept on the host in ``releases/<id>.json``.

    ``container`` holds :meth:`ContainerSpec.fields` values, enough to make the container again without us. ``bind`` and
    ``config_shown`` are what the id's hash was made of beside it, ``contents`` what the versions held; records of
    earlier releases of fleetdeploy lack the three.
    """

    id: str
    service: str
    run: str
    models: Mapping[str, tuple[int, ...]]
    labels: Mapping[str, Mapping[str, int]]
    config_text: str
    container: Mapping[str, object]
    took_back: str = ""
    """The content hash of the release that ``rollback`` left for this one; empty for any other."""
    bind: str = ""
    config_shown: str = ""
    contents: Mapping[str, Mapping[int, RecordedVersion]] = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        return hash_in(self.id)


@dataclass(frozen=True)
class ProvenRelease:
    """One line of a service's history: a release that was proven here, and the versions it serves.

    ``took_back`` is as in the release's record.
    """

    id: str
    models: Mapping[str, tuple[int, ...]]
    took_back: str = ""

    @property
    def content_hash(self) -> str:
        return hash_in(self.id)


def hash_in(release_id: str) -> str:
    """The content hash at the end of a release's id, which is ``STAMP-HASH``."""
    return release_id.rpartition("-")[2]


@dataclass(frozen=True)
class ObservedService:
    """One service on one host. ``drained_by`` is the run that took the host out of its balancer and has not
    put it back; ``owes`` says that it did so for a release that others have and this host not. ``served`` maps each
    asked-for model to its version states. ``history`` has the releases that were proven here, oldest first; a release
    that was proven again stands in it again. ``history_damaged`` counts the lines of it that mean nothing.
    """

    name: str
    container: Reading[ContainerFacts] = Absent()
    previous: Reading[ContainerFacts] = Absent()
    config_text: Reading[str] = Absent()
    release: Reading[Release] = Absent()
    versions: Reading[Mapping[str, Mapping[int, VersionOnDisk]]] = Absent()
    served: Mapping[str, Reading[tuple[VersionState, ...]]] = field(default_factory=dict)
    staging: tuple[str, ...] = ()
    drained_by: Reading[str] = Absent()
    owes: bool = False
    disk: Reading[Disk] = Absent()
    lease: Reading[Lease] = Absent()
    history: Reading[tuple[ProvenRelease, ...]] = Absent()
    history_damaged: int = 0
    watch: Reading[Watch] = Absent()


@dataclass(frozen=True)
class ObservedHost:
    """Everything one probe of one host brought back. ``clock_s`` is the host's Unix time, for display only."""

    name: str
    docker: Reading[DockerFacts]
    gpus: Reading[tuple[Gpu, ...]] = Absent()
    addresses: Reading[tuple[str, ...]] = Absent()
    listening: Reading[tuple[int, ...]] = Absent()
    containers: Reading[tuple[ContainerFacts, ...]] = Absent()
    services: Mapping[str, ObservedService] = field(default_factory=dict)
    clock_s: float = 0.0
    boot_id: str = ""


class Traffic(str, Enum):
    """What a balancer does with one server of one pool."""

    UP = "up"
    DRAINING = "draining"
    DRAINED = "drained"
    MAINTENANCE = "maintenance"
    DOWN = "down"


TOLD_TO_DRAIN = frozenset({Traffic.DRAINING, Traffic.DRAINED})
OUT_BY_ORDER = TOLD_TO_DRAIN | {Traffic.MAINTENANCE}
"""A server that is in one of these gets no new requests however well it is."""


@dataclass(frozen=True)
class Note:
    """What a balancer was told to remember of a server's drain: ``run`` keeps it out; ``paid`` once a run has put it
    back with what it owed.
    """

    run: str
    paid: bool = False


@dataclass(frozen=True)
class PoolMember:
    """One server in one pool, as the balancer reports it. ``sessions`` counts requests in flight.

    ``note`` is known only of who was asked for it.
    """

    pool: str
    server: str
    traffic: Traffic
    sessions: int
    weight: int
    address: str = ""
    note: Note | None = None

    @property
    def outlived(self) -> bool:
        """Whether the server gets requests, or would if it were healthy, although a note says that it is kept out.

        In maintenance a drain may lie beneath.
        """
        return self.note is not None and not self.note.paid and self.traffic in {Traffic.UP, Traffic.DOWN}
