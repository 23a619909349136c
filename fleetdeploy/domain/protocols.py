"""What the upper floors fill in. Tasks act on a host only through these, so a simulated host can stand in for a
real one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from fleetdeploy.domain.balancer import Balancer
from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.lease import WHICHEVER, Holder, Lease
from fleetdeploy.domain.measured import OnCopy, ServerLoad, unseen
from fleetdeploy.domain.observed import ContainerFacts, ObservedHost, Reading, Release, VersionState
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.service import ContainerSpec, GoldenRequest, ServiceWish
from fleetdeploy.domain.watch import Watch

NOTHING: Mapping[str, str] = MappingProxyType({})


class ServiceFiles(Protocol):
    """The directory of one service on one host. Every write goes to a temporary name, is fsynced and renamed."""

    def stage(self, item: StageItem, *, progress: OnCopy = unseen) -> None:
        """Put one version directory in place, verified by its manifest. ``progress`` is told about once a second how
        far its copy is, from any thread.

        Raises NoSpace, TransferFailed or DeadlineExceeded; then the numeric directory does not exist.
        """

    def write_config(self, text: str) -> None:
        """Replace ``config/model.config``; the previous text is kept nowhere but in the release record."""

    def read_config(self) -> str | None:
        """The text of ``config/model.config``, or None when the directory has no such file. Raises HostError where the
        directory itself is not there.
        """

    def write_monitoring(self, text: str) -> None:
        """Replace ``config/monitoring.config``, which a server reads at its start where a flag says so."""

    def write_release(self, release: Release, *, left: str = "") -> None:
        """Write ``releases/<id>.json``, add it to the history and make it the current one. ``left`` is the id of one
        that was left for it and counts as never proven: its line and its record go.
        """

    def read_release(self, release_id: str) -> Release | None:
        """The record of that id, or None when there is none. Raises HostError when it cannot be read or understood."""

    def forget_releases(self, ids: Sequence[str]) -> None:
        """Delete records. The current one stays, whatever is asked for."""

    def forget_release(self, *, left: str = "") -> None:
        """Record that no release is current: the service was taken back to nothing. ``left`` is as above."""

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

    def environment(self, name: str) -> Mapping[str, str]:
        """The environment a container was made with, its secrets included; empty when there is none of that name."""

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

    def execute(self, name: str, argv: Sequence[str], *, deadline_s: float) -> Ended:
        """Run a command inside a running container to its end. A program that the container lacks ends with 126 or 127,
        as in a shell. Raises DeadlineExceeded; the command may then still run.
        """


class Serving(Protocol):
    """The model server of one service on one host, by gRPC through the host's SSH connection."""

    def reload(self, config_text: str, *, deadline_s: float) -> None:
        """HandleReloadConfigRequest. Raises ReloadRefused or DeadlineExceeded; OK proves nothing by itself."""

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        """GetModelStatus; empty when the server does not know the model. Raises NotHealthy when it does not answer."""

    def label(self, model: str, label: str, *, deadline_s: float) -> int | None:
        """The version that requests with the label get, None where the server knows no such label.

        Raises NotHealthy when it does not answer, or when the label names a version that is not AVAILABLE.
        """

    def predict(self, model: str, request: GoldenRequest, *, version: int, deadline_s: float) -> Mapping[str, object]:
        """The answer's tensors as nested lists. Raises NotHealthy with the server's status when it refuses."""


class Watchdog(Protocol):
    """What one service's host does by itself when nobody confirms a release in time."""

    def arm(self, back_to: Release, *, run: str, release: str, after_s: float) -> None:
        """Let the host go back to ``back_to`` by itself in ``after_s`` seconds, unless ``run`` confirms ``release``.

        Everything it needs for that is on the host, and counts down, before this returns. Nothing is armed twice.
        """

    def confirm(self, *, run: str, deadline_s: float) -> None:
        """Tell the host that all is well, over a connection made for this. It is the host's last word that counts.

        Raises HostError when it went back, or goes back, and when it could not be told within ``deadline_s``.
        """

    def disarm(self) -> Watch | None:
        """End what counts down, whoever armed it; one that is going back already is waited for.

        The verdict of the last one that ended by itself, None where it was this call that ended it.
        """


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


class Leases(Protocol):
    """The leases of one host's services. From ``take`` to ``release`` everything that changes the host through its
    session carries them, and is refused once another run has taken over.
    """

    def take(self, services: Sequence[ServiceWish], holder: Holder, *, ttl_s: float) -> None:
        """Take all of them, again where this run has them already. Raises LockHeld, with what was taken before left to
        ``release``.
        """

    def check(self) -> None:
        """Renew them where that is due. Raises LeaseLost when another run holds one; without a lease there is nothing
        to check.
        """

    def release(self, services: Sequence[ServiceWish], holder: Holder) -> None:
        """Let go of those that this run has."""

    def read(self, services: Sequence[ServiceWish]) -> Mapping[str, Reading[Lease]]:
        """Each service's lease, live or not; Absent where nobody has one."""

    def break_all(
        self, services: Sequence[ServiceWish], by: Holder, *, reason: str, seen: Mapping[str, int] = WHICHEVER
    ) -> Mapping[str, Lease]:
        """Take them away from whoever has them, and return what was broken: their holders change nothing any more.

        ``seen`` is a service's lease by its number: one that has another number by now is left as it is.
        """


class HostSession(Protocol):
    """One connected host. All methods raise :class:`fleetdeploy.errors.HostError` subclasses."""

    @property
    def host(self) -> Host: ...

    def observe(self, services: Sequence[ServiceWish]) -> ObservedHost:
        """Probe the host in one round trip."""

    def files(self, service: ServiceWish) -> ServiceFiles: ...

    def watchdog(self, service: ServiceWish) -> Watchdog: ...

    def containers(self) -> Containers: ...

    def leases(self) -> Leases: ...

    def serving(self, address: str, port: int) -> Serving:
        """The model server that listens for gRPC on this address of the host."""

    def counted(self, address: str, port: int, *, deadline_s: float) -> ServerLoad:
        """What the model server that listens for REST on this address of the host has counted, over the connection as
        it is: none is made for this. Raises NotHealthy where the server does not tell.
        """

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

    def reached(self, host: Host) -> HostSession | None:
        """The host's session where it has been asked for before; nothing is connected for this."""

    def balancer(self, wish: BalancerWish) -> Balancer: ...

    def outside(self) -> Outside:
        """What is done on the controller."""

    def close(self) -> None: ...
