"""The plan: what would change, where and why. Made by pure functions, printed, then acted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ObservedHost, ObservedService
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
    """One difference. ``what`` is a path such as ``container.image`` or ``models.ranker.versions``."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class StageItem:
    """One version directory to be put in place.

    ``link_from`` is a version already on the host whose unchanged files are hard-linked; ``copy_bytes`` counts only
    what has to travel.
    """

    model: str
    version: ModelVersion
    copy_bytes: int
    link_from: int | None = None


@dataclass(frozen=True)
class ServicePlan:
    """What happens to one service on one host. ``reason`` says why ``activation`` is what it is."""

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
    """

    host: Host
    observed: ObservedHost
    services: tuple[ServicePlan, ...]
    refusals: tuple[Refusal, ...] = ()
    signatures: tuple[SignatureComparison, ...] = ()

    @property
    def changed(self) -> bool:
        return any(service.changed for service in self.services)


@dataclass(frozen=True)
class Plan:
    """The whole fleet's plan. ``unreachable`` maps a host to why it could not be observed."""

    hosts: Mapping[str, HostPlan]
    unreachable: Mapping[str, str] = field(default_factory=dict)

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
