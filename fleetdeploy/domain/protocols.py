"""What the upper floors fill in. Tasks act on a host only through these, so a simulated host can stand in for a
real one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import ContainerFacts, ObservedHost, PoolMember, Release, VersionState
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.service import ContainerSpec, GoldenRequest, ServiceWish

NOTHING: Mapping[str, str] = MappingProxyType({})


class ServiceFiles(Protocol):
    """The directory of one service on one host. Every write goes to a temporary name, is fsynced and renamed."""

    def stage(self, item: StageItem) -> None:
        """Put one version directory in place, verified by its manifest.

        Raises NoSpace, TransferFailed or DeadlineExceeded; then the numeric directory does not exist.
        """

    def write_config(self, text: str) -> None:
        """Replace ``config/model.config``; the previous text is kept nowhere but in the release record."""

    def write_release(self, release: Release) -> None:
        """Write ``releases/<id>.json`` and make it the current one."""

    def forget_release(self) -> None:
        """Record that no release is current: the service was taken back to nothing."""

    def mark_drained(self, run: str) -> None:
        """Record that ``run`` takes the host out of its balancer, before it does."""

    def clear_drained(self) -> None:
        """Record that the host is back in its balancer."""

    def remove_versions(self, model: str, versions: Sequence[int]) -> None:
        """Rename version directories to a staging name, then delete them."""

    def sweep_staging(self) -> None:
        """Delete what an interrupted stage left behind, other than partial data worth resuming from."""


class Containers(Protocol):
    """The Docker engine of one host. Only containers that carry our service label are ever changed."""

    def inspect(self, name: str) -> ContainerFacts | None:
        """The container of that name, or None when the engine says that there is none."""

    def image_id(self, reference: str) -> str | None:
        """The local image's id, or None when the host has no such image."""

    def pull(self, reference: str, *, deadline_s: float) -> str:
        """Pull an image and return its id."""

    def create_and_start(self, spec: ContainerSpec, labels: Mapping[str, str]) -> None:
        """Create the container and start it. Fails when the name is taken."""

    def start(self, name: str) -> None:
        """Start a stopped container; one that runs already is left as it is."""

    def stop(self, name: str, *, grace_s: float) -> None:
        """Stop a container; one that is stopped or does not exist is left as it is."""

    def rename(self, name: str, new_name: str) -> None:
        """Give a container another name."""

    def remove(self, name: str) -> None:
        """Remove a container, running or not; one that does not exist is no error."""

    def logs(self, name: str, *, lines: int) -> str:
        """The last lines a container wrote, stdout and stderr together."""


class Serving(Protocol):
    """The model server of one service on one host, by gRPC through the host's SSH connection."""

    def reload(self, config_text: str, *, deadline_s: float) -> None:
        """HandleReloadConfigRequest. Raises ReloadRefused or DeadlineExceeded; OK proves nothing by itself."""

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        """GetModelStatus; empty when the server does not know the model. Raises NotHealthy when it does not answer."""

    def predict(self, model: str, request: GoldenRequest, *, version: int, deadline_s: float) -> Mapping[str, object]:
        """The answer's tensors as nested lists. Raises NotHealthy with the server's status when it refuses."""


class Balancer(Protocol):
    """One balancer. Every change is read back before it counts."""

    def members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        """What the balancer reports for every server of the pools."""

    def drain(self, pools: Sequence[str], server: str, *, deadline_s: float) -> None:
        """Send no new requests to the server and wait until it has none in flight. Raises BalancerFailed."""

    def undrain(self, pools: Sequence[str], server: str, *, deadline_s: float) -> None:
        """Send requests to the server again and wait until the balancer holds it for healthy."""


@dataclass(frozen=True)
class Ended:
    """How a command of the playbook ended, and the last of what it printed, stdout and stderr together."""

    status: int
    text: str = ""


class Outside(Protocol):
    """What a playbook does on the controller. All methods raise :class:`fleetdeploy.errors.HostError` subclasses."""

    def post(self, url: str, body: bytes, *, deadline_s: float) -> None:
        """POST JSON to a webhook. Raises when it is not answered with 2xx."""

    def command(
        self, argv: Sequence[str], stdin: bytes, *, deadline_s: float, environment: Mapping[str, str] = NOTHING
    ) -> Ended:
        """Run a command on the controller to its end, with ``environment`` besides what it has there.

        Raises RemoteCommandFailed or DeadlineExceeded.
        """


class HostSession(Protocol):
    """One connected host. All methods raise :class:`fleetdeploy.errors.HostError` subclasses."""

    @property
    def host(self) -> Host: ...

    def observe(self, services: Sequence[ServiceWish]) -> ObservedHost:
        """Probe the host in one round trip."""

    def files(self, service: ServiceWish) -> ServiceFiles: ...

    def containers(self) -> Containers: ...

    def serving(self, address: str, port: int) -> Serving:
        """The model server that listens for gRPC on this address of the host."""

    def command(self, argv: Sequence[str], *, deadline_s: float, environment: Mapping[str, str] = NOTHING) -> Ended:
        """Run a playbook's command to its end, with ``environment`` besides what it has there.

        Raises RemoteCommandFailed or DeadlineExceeded; a status is a value.
        """

    def close(self) -> None: ...


class Clock(Protocol):
    """Time as work code may see it: it never reads the system's clock by itself."""

    def now_s(self) -> float:
        """Unix time, for records only."""

    def monotonic_s(self) -> float:
        """Seconds that never jump, for deadlines."""

    def wait(self, seconds: float) -> None:
        """Let time pass between two looks at a condition."""


class Fleet(Protocol):
    """Makes and keeps one session a host, and one balancer client a balancer."""

    def session(self, host: Host) -> HostSession:
        """The host's session, connected on first use. Raises Unreachable or HostKeyRefused."""

    def balancer(self, wish: BalancerWish) -> Balancer: ...

    def outside(self) -> Outside:
        """What is done on the controller."""

    def close(self) -> None: ...
