"""What ``doctor`` wants to know of a host: the probe and ``doctor.sh`` in one command, and two channels opened."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Sequence
from importlib import resources

from fleetdeploy.domain.checkup import HostFacts, Link, Trouble
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ObservedHost, Present, Reading, Unknown
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import DeadlineExceeded, HostError, HostKeyRefused, Unreachable
from fleetdeploy.planning.container import bind_address
from fleetdeploy.remote.docker.http import SOCKET
from fleetdeploy.remote.probe.probe import Frames, arguments, images_of, parse, script
from fleetdeploy.remote.ssh.connection import SshConnection

DEADLINE_S = 120.0
CHANNEL_S = 5.0
NAMES = (
    "os", "kernel", "user", "tools", "rsync", "sshd", "docker_info", "docker_version", "docker_root", "dockerd",
    "gpu_settings", "cuda", "toolkit", "ntp", "security", "cgroup", "memory", "mounts", "nofile", "file_nr",
)  # fmt: skip
_FORBIDDEN, _NOT_CONNECTED = 1, 2
"""Why a channel was not opened (RFC 4254, section 5.1): by the server's rules, or as nothing listens there."""


def examine(connection: SshConnection, services: Sequence[ServiceWish]) -> HostFacts:
    """Look at a host; one that cannot be looked at has ``trouble``."""
    host = connection.host
    nonce = secrets.token_hex(16)
    try:
        connection.open()
        begun, began_s = time.time(), time.monotonic()
        words = ["sh", "-s", "--", nonce, *arguments(services)]
        done = connection.run(words, stdin=full_script(services), deadline_s=DEADLINE_S)
    except HostError as error:
        return lost(host, error)
    took_s = time.monotonic() - began_s
    said = done.error_text.splitlines()[-1:] if done.status else []
    facts = read(done.stdout, nonce, host=host, services=services, complaint="".join(said), begun=begun, took_s=took_s)
    return HostFacts(
        host, facts.observed, facts.said, _link(connection, services, facts.observed), None, facts.clock_offset_s
    )


def lost(host: Host, error: HostError) -> HostFacts:
    """Of a host that could not be looked at."""
    nobody_knows = isinstance(error, (Unreachable, DeadlineExceeded)) and not isinstance(error, HostKeyRefused)
    trouble = Trouble(error.message, error.hint, not nobody_knows, isinstance(error, HostKeyRefused))
    return HostFacts(host, ObservedHost(host.name, docker=Unknown(error.message)), trouble=trouble)


def full_script(services: Sequence[ServiceWish]) -> bytes:
    """The probe, then the further questions. Their words follow as text: the probe has used up the command line."""
    own = resources.files("fleetdeploy.remote.probe").joinpath("doctor.sh").read_text(encoding="utf-8")
    words: list[str] = []
    for image in images_of(services):
        words += ["image", image]
    for wish in services:
        words += ["service", str(wish.directory)]
    return script() + f"\n{own}\ndoctor {shlex.join(words)} </dev/null\n".encode()


def read(
    answer: bytes,
    nonce: str,
    *,
    host: Host,
    services: Sequence[ServiceWish],
    begun: float = 0.0,
    took_s: float = 0.0,
    complaint: str = "",
) -> HostFacts:
    """What the output says; ``begun`` is the controller's Unix time at its start. Never raises."""
    frames = Frames(answer, nonce, complaint)
    names = [
        *NAMES,
        *(f"places.{index}" for index in range(len(services))),
        *(f"image_env.{index}" for index in range(len(images_of(services)))),
    ]
    said = {name: frames.reading(name, str) for name in names}
    clock = frames.reading("clock", float)
    # The host tells whole seconds, and did so at the beginning: what it is away by less than that is no offset.
    offset: Reading[float] = clock
    if isinstance(clock, Present):
        early, late = clock.value - begun + 1.0, clock.value - (begun + took_s)
        offset = Present(0.0 if late <= 0.0 <= early else early if early < 0.0 else late)
    observed = parse(answer, nonce, host=host.name, services=services, complaint=complaint).observed
    return HostFacts(host, observed, said, clock_offset_s=offset)


def _link(connection: SshConnection, services: Sequence[ServiceWish], observed: ObservedHost) -> Link:
    begun = time.monotonic()
    tcp = _tcp(connection, *_where(services, observed))
    round_trip_s = time.monotonic() - begun
    try:
        server: Reading[str] = Present(connection.server_version)
    except HostError as error:
        server = Unknown(error.message)
    trip: Reading[float] = Present(round_trip_s) if isinstance(tcp, Present) else Unknown("no channel was answered")
    return Link(server, trip, tcp, _sockets(connection, observed))


def _where(services: Sequence[ServiceWish], observed: ObservedHost) -> tuple[str, int]:
    """Where a server of ours listens or would: what sshd permits for other places tells nothing of it."""
    addresses = observed.addresses.value if isinstance(observed.addresses, Present) else ()
    for wish in services:
        if address := bind_address(wish.bind, addresses):
            return address, wish.ports.grpc
    return "127.0.0.1", 1


def _tcp(connection: SshConnection, address: str, port: int) -> Reading[bool]:
    try:
        connection.open_tcp_channel(address, port, deadline_s=CHANNEL_S).close()
    except HostError as error:
        code = getattr(error.__cause__, "code", None)
        if code in {_FORBIDDEN, _NOT_CONNECTED}:
            return Present(code == _NOT_CONNECTED)
        return Unknown(error.message)
    return Present(value=True)


def _sockets(connection: SshConnection, observed: ObservedHost) -> Reading[bool]:
    """Docker's, where it answers: sshd says alike that it forbids a socket and that nobody listens there."""
    if connection.becomes:
        return Unknown("sockets are opened as root, not through sshd")
    if not isinstance(observed.docker, Present):
        return Unknown("Docker gave no answer, so its socket tells nothing")
    try:
        connection.open_unix_channel(SOCKET, deadline_s=CHANNEL_S).close()
    except HostError as error:
        refused = getattr(error.__cause__, "code", None) in {_FORBIDDEN, _NOT_CONNECTED}
        return Present(value=False) if refused else Unknown(error.message)
    return Present(value=True)
