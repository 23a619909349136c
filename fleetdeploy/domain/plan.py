"""The plan: what would change, where and why. Made by pure functions, printed, then acted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from fleetdeploy.domain.gpu_fit import GpuFit
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ObservedHost, ObservedService
from fleetdeploy.domain.server_changes import ServerChanges
from fleetdeploy.domain.service import ContainerSpec, DesiredService, ModelVersion
from fleetdeploy.domain.signatures import SignatureComparison


class Activation(str, Enum):
    """How what a host serves is changed, cheapest first.

    ``VERIFY`` changes nothing on the host: it serves what it shall, but no run has proven and recorded that yet.
    """

    NOTHING = "nothing"
    VERIFY = "verify"
    RELOAD = "reload"
    START = "start"
    REPLACE = "replace"


@dataclass(frozen=True)
class Change:
    """One difference. ``what`` is a path such as ``config/model.config`` or ``models.ranker.versions``."""

    what: str
    before: str
    after: str


class FileKind(str, Enum):
    """How a file of a version differs from the one of the same path in another version."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True)
class FileChange:
    """One file that differs. Its path in the version directory; its size in bytes, of a removed one that it had."""

    path: str
    kind: FileKind
    size_bytes: int


@dataclass(frozen=True)
class FileChanges:
    """A version's files held against those of version ``against``, None where there is nothing to hold them against.

    ``changes`` are sorted by path; files that are in both with the same content are only counted.
    """

    against: int | None = None
    changes: tuple[FileChange, ...] = ()
    same_count: int = 0
    same_bytes: int = 0

    def of(self, kind: FileKind) -> tuple[FileChange, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.kind is kind)


@dataclass(frozen=True)
class StageItem:
    """One version directory to be put in place.

    ``link_from`` is a version already on the host whose unchanged files are hard-linked; ``copy_bytes`` counts only
    what has to travel. ``files`` tells how it differs from the version that its callers know.
    """

    model: str
    version: ModelVersion
    copy_bytes: int
    link_from: int | None = None
    files: FileChanges = FileChanges()


@dataclass(frozen=True)
class ServicePlan:
    """What happens to one service on one host. ``reason`` says why ``activation`` is what it is.

    ``changes`` are those of the configuration; the container's stand in ``container`` and in the release record.
    ``server`` says what the model server does under it, step by step. ``apart`` is whether old and new versions do not
    fit the GPUs together, so that a revert must not load them together either.
    """

    desired: DesiredService
    observed: ObservedService
    container: ContainerSpec
    release_id: str
    activation: Activation
    reason: str
    stage: tuple[StageItem, ...] = ()
    changes: tuple[Change, ...] = ()
    pull_image: bool = False
    undrain: bool = False
    server: ServerChanges = ServerChanges()
    apart: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.stage or self.pull_image or self.undrain or self.activation is not Activation.NOTHING)


@dataclass(frozen=True)
class Refusal:
    """Why a host cannot be brought to its desired state; ``exit_code`` is that of the error it stands for."""

    host: str
    message: str
    hint: str = ""
    exit_code: int = 5


@dataclass(frozen=True)
class HostPlan:
    """Everything planned for one host.

    ``signatures`` compares served with new versions, also where a change of them is what the host is refused for.
    ``gpu_fits`` are the sums of GPU memory, in the same way; a GPU of several services may be in several of them.
    """

    host: Host
    observed: ObservedHost
    services: tuple[ServicePlan, ...]
    refusals: tuple[Refusal, ...] = ()
    signatures: tuple[SignatureComparison, ...] = ()
    gpu_fits: tuple[GpuFit, ...] = ()

    @property
    def changed(self) -> bool:
        return any(service.changed for service in self.services)


@dataclass(frozen=True)
class Plan:
    """The whole fleet's plan. ``unreachable`` maps a host to why it could not be observed.

    ``beyond`` are the other hosts of its plays, as they were seen: they are not the run's, and count in the capacity
    that it may use. None for one that could not be looked at.
    """

    hosts: Mapping[str, HostPlan]
    unreachable: Mapping[str, str] = field(default_factory=dict)
    beyond: Mapping[str, ObservedHost | None] = field(default_factory=dict)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        return tuple(refusal for host in self.hosts.values() for refusal in host.refusals)

    @property
    def refusal_exit_code(self) -> int:
        """One code for all refusals: an artefact's first, then input's, then preflight's; 0 without any."""
        codes = {refusal.exit_code for refusal in self.refusals}
        return next((code for code in (7, 2, 5) if code in codes), 0)

    @property
    def changed_hosts(self) -> tuple[str, ...]:
        return tuple(name for name, host in self.hosts.items() if host.changed)
