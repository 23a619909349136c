"""The real fleet: one SSH connection a host, and everything else through it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from fleetdeploy.balancers import make_balancer
from fleetdeploy.domain.balancer import Balancer
from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.measured import ServerLoad
from fleetdeploy.domain.observed import ObservedHost, ObservedService, Present, Reading, Unknown, VersionState
from fleetdeploy.domain.protocols import NOTHING, Clock, Ended
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import BalancerFailed, BalancerSilent, HostError, HostKeyRefused
from fleetdeploy.remote.clock import SystemClock
from fleetdeploy.remote.directory.files import RemoteFiles
from fleetdeploy.remote.directory.leases import RemoteLeases
from fleetdeploy.remote.directory.watchdog import RemoteWatchdog
from fleetdeploy.remote.docker.containers import RemoteContainers
from fleetdeploy.remote.environment import with_environment
from fleetdeploy.remote.outside import Outside
from fleetdeploy.remote.probe.probe import NO_TOOL, Sighting, probe
from fleetdeploy.remote.run_directory import RunDirectory
from fleetdeploy.remote.serving import RemoteServing
from fleetdeploy.remote.ssh.channels import OneDeadline
from fleetdeploy.remote.ssh.config import write_ssh_config
from fleetdeploy.remote.ssh.connection import SshConnection
from fleetdeploy.remote.ssh.failures import is_refused_channel
from fleetdeploy.remote.ssh.handshakes import Handshakes
from fleetdeploy.remote.ssh.relay import Relay
from fleetdeploy.remote.ssh.rootsocket import ask_as_root
from fleetdeploy.remote.ssh.tracing import Trace

STATUS_S = 2.0
EXCHANGE_S = 10.0
_COMMAND_BYTES = 1024 * 1024
_REPLY_BYTES = 8 * 1024 * 1024


class SshSession:
    """:class:`fleetdeploy.domain.protocols.HostSession` over one SSH connection. Safe for several threads."""

    def __init__(self, connection: SshConnection, *, directory: Path, connect_timeout_s: float) -> None:
        self.connection = connection
        self._directory = directory
        self._connect_timeout_s = connect_timeout_s
        self._lock = threading.Lock()
        self._leases = RemoteLeases(connection)
        self._containers = RemoteContainers(connection, check=self._leases.check)
        self._servings: dict[tuple[str, int], RemoteServing] = {}

    @property
    def host(self) -> Host:
        return self.connection.host

    def observe(self, services: Sequence[ServiceWish]) -> ObservedHost:
        """One exec; where the host has no HTTP client, then GetModelStatus through the same connection."""
        sighting = probe(self.connection, services)
        return replace(
            sighting.observed,
            services={
                name: self._ask_by_grpc(service, sighting) for name, service in sighting.observed.services.items()
            },
        )

    def files(self, service: ServiceWish) -> RemoteFiles:
        leases = self._leases
        return RemoteFiles(
            self.connection, service, ssh_config=self._ssh_config, token=leases.token, check=leases.check
        )

    def leases(self) -> RemoteLeases:
        return self._leases

    def watchdog(self, service: ServiceWish) -> RemoteWatchdog:
        return RemoteWatchdog(self.connection, service, token=self._leases.token)

    def containers(self) -> RemoteContainers:
        return self._containers

    def serving(self, address: str, port: int) -> RemoteServing:
        """``address`` is as the host itself reaches it."""
        address = _as_reached(address)
        with self._lock:
            if (address, port) not in self._servings:
                relay = Relay(
                    self._directory / f"{len(self._servings)}.sock",
                    lambda: self.connection.open_tcp_channel(address, port),
                )
                self._servings[address, port] = RemoteServing(relay, host=self.host.name, check=self._leases.check)
            return self._servings[address, port]

    def counted(self, address: str, port: int, *, deadline_s: float) -> ServerLoad:
        """One question over a channel of its own."""
        from fleetdeploy.remote.server_metrics import read_metrics  # noqa: PLC0415  60 ms, seldom needed

        channel = self.connection.tcp_channel_at_hand(_as_reached(address), port, deadline_s=deadline_s)
        return read_metrics(channel, host=self.host.name, deadline_s=deadline_s)

    def command(self, argv: Sequence[str], *, deadline_s: float, environment: Mapping[str, str] = NOTHING) -> Ended:
        """One exec. No shell sees the words; the values of ``environment`` are on no command line."""
        words, stdin = with_environment(argv, environment)
        self._leases.check()
        done = self.connection.run(words, stdin=stdin, deadline_s=deadline_s, cap_bytes=_COMMAND_BYTES)
        return Ended(done.status, "\n".join(filter(None, (done.text.rstrip(), done.error_text))))

    def close(self) -> None:
        """End everything that goes through the connection, then the connection."""
        with self._lock:
            servings, self._servings = self._servings, {}
        for serving in servings.values():
            serving.close()
        self._containers.close()
        self.connection.close()

    def _ssh_config(self) -> Path:
        with self._lock:
            path = self._directory / "ssh_config"
            if path.exists():
                return path
            return write_ssh_config(self._directory, self.connection.route(), connect_timeout_s=self._connect_timeout_s)

    def _ask_by_grpc(self, service: ObservedService, sighting: Sighting) -> ObservedService:
        place = sighting.grpc.get(service.name)
        running = isinstance(service.container, Present) and service.container.value.running
        if place is None or not running:
            return service
        served: dict[str, Reading[tuple[VersionState, ...]]] = dict(service.served)
        for model, reading in service.served.items():
            if isinstance(reading, Unknown) and reading.reason.startswith(NO_TOOL):
                try:
                    served[model] = Present(self.serving(*place).status(model, deadline_s=STATUS_S))
                except HostError as error:
                    served[model] = Unknown(error.message)
        return replace(service, served=served)


def _as_reached(address: str) -> str:
    return "127.0.0.1" if address in {"0.0.0.0", "::", ""} else address  # noqa: S104  compared, not bound


class SshFleet:
    """:class:`fleetdeploy.domain.protocols.Fleet` over SSH.

    ``hosts`` are all hosts of the inventory: a balancer is named by one of them. ``handshakes`` connections at most
    start at the same time. Nothing is connected before it is needed. ``environment`` is what commands on the controller
    inherit, everything by default; ``trace`` is told what goes over connections.
    """

    def __init__(
        self,
        *,
        hosts: Mapping[str, Host] | None = None,
        connect_timeout_s: float = 10.0,
        handshakes: int = 8,
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._environment = environment
        self._trace = trace
        self._hosts = dict(hosts or {})
        self._connect_timeout_s = connect_timeout_s
        self._clock = clock or SystemClock()
        self._handshakes = Handshakes(handshakes)
        self._lock = threading.Lock()
        self._sessions: dict[str, SshSession] = {}
        self._private = RunDirectory.make()  # sockets and known_hosts of this run
        self._directory = self._private.path

    def session(self, host: Host) -> SshSession:
        """The host's session, connected. Raises Unreachable or HostKeyRefused."""
        with self._lock:
            if host.name not in self._sessions:
                directory = self._directory / str(len(self._sessions))
                directory.mkdir(mode=0o700)
                connection = SshConnection(
                    host,
                    connect_timeout_s=self._connect_timeout_s,
                    handshakes=self._handshakes,
                    trace=self._trace,
                )
                self._sessions[host.name] = SshSession(
                    connection, directory=directory, connect_timeout_s=self._connect_timeout_s
                )
            session = self._sessions[host.name]
        session.connection.open()
        return session

    def reached(self, host: Host) -> SshSession | None:
        """What goes over it may still fail for want of a connection."""
        with self._lock:
            return self._sessions.get(host.name)

    def balancer(self, wish: BalancerWish) -> Balancer:
        """The balancer's client; its host is connected when it is first asked."""
        host = self._hosts.get(wish.host)
        if host is None:
            raise BalancerFailed(
                f"the balancer's host {wish.host!r} is not among the fleet's hosts", hint="set `balancer.host`"
            )
        return make_balancer(
            wish.kind,
            lambda command: self._exchange(host, wish.socket, command),
            host=wish.host,
            clock=self._clock,
            noting=wish.notes,
        )

    def outside(self) -> Outside:
        return Outside(self._environment)

    def close(self) -> None:
        """Close every session and remove the run's private files."""
        with self._lock:
            sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            with suppress(HostError, OSError):
                session.close()
        self._private.remove()

    def _exchange(self, host: Host, path: str, command: str) -> str:
        """One command to a balancer's socket; it closes the connection behind its reply."""
        hint = ""
        try:
            connection = self.session(host).connection
            hint = "is the balancer running, and may the SSH user write to its socket?"
            channel = OneDeadline(connection.open_unix_channel(path))
        except HostKeyRefused:
            raise  # not a balancer that is out of order, but a machine that may be somebody else's
        except HostError as error:
            if hint and connection.becomes and is_refused_channel(error):  # so nothing was sent yet
                return ask_as_root(connection, path, command, deadline_s=EXCHANGE_S + 5)
            raise BalancerSilent(
                f"the balancer's socket {path} cannot be reached: {error.message}",
                where=host.name,
                hint=hint or error.hint,
            ) from error
        reply = bytearray()
        try:
            channel.settimeout(EXCHANGE_S)
            channel.sendall(f"{command}\n".encode())
            while data := channel.recv(65536):
                reply += data
                if len(reply) > _REPLY_BYTES:
                    raise BalancerFailed(f"the reply to {command!r} is longer than 8 MiB", where=host.name)
        except OSError as error:
            raise BalancerSilent(
                f"no reply to {command!r}: {str(error) or 'no answer in time'}; whether it happened is not known",
                where=host.name,
                hint="look at the balancer's own statistics",
            ) from error
        finally:
            channel.close()
        return bytes(reply).decode("utf-8", "replace")
