"""What goes through the SSH connection to a host, and what a command is on it.

A command is a sequence of words. It is quoted here, once, and nowhere else.
"""

from __future__ import annotations

import logging
import secrets
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import paramiko

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.reaching import Hear
from fleetdeploy.errors import DeadlineExceeded, HostError, RemoteCommandFailed, Unreachable
from fleetdeploy.remote.ssh import become
from fleetdeploy.remote.ssh.channels import CommandResult, open_streamlocal, run_on, start_on
from fleetdeploy.remote.ssh.config import Hop
from fleetdeploy.remote.ssh.failures import FOREIGN, translated
from fleetdeploy.remote.ssh.guard import guarded, read_first, sweep
from fleetdeploy.remote.ssh.handshakes import Handshakes
from fleetdeploy.remote.ssh.kept_link import KeptLink
from fleetdeploy.remote.ssh.link import CHANNEL_S
from fleetdeploy.remote.ssh.tracing import Trace, Tracing

Through = Callable[[Callable[[paramiko.Transport], paramiko.Channel]], paramiko.Channel]
"""Opens a channel on some link."""

CAP_BYTES = 8 * 1024 * 1024
"""How much a command may say before it is ended."""

_STREAM_S = 24 * 3600.0
"""After how long a stream that nobody ended is ended on its host."""

SWEEP_S = 5.0
"""How long the end of a command that did not heed a signal may take, once its own deadline is over."""


class SshConnection:
    """The connection to one host, opened on first use and again when it was lost between two commands.

    A command during which the link is lost is never repeated here: its outcome is not known. Safe for several threads.
    """

    def __init__(
        self, host: Host, *, connect_timeout_s: float, handshakes: Handshakes, trace: Trace | None = None
    ) -> None:
        # Without handlers, Python would print paramiko's log of refused channels on our standard error.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        self.host = host
        self.tracing = Tracing(host.name, trace)
        self._link = KeptLink(host, timeout_s=connect_timeout_s, handshakes=handshakes, tracing=self.tracing)
        # sshd's MaxSessions is 10 by default. Forwarding channels do not count; root's way to Docker is a session too.
        self._sessions = threading.BoundedSemaphore(6 if self.becomes else 8)

    def another(self, *, connect_timeout_s: float) -> SshConnection:
        """A further connection to the host, not yet open. It waits for no other host's to start."""
        trace = self.tracing.trace
        return SshConnection(self.host, connect_timeout_s=connect_timeout_s, handshakes=Handshakes(), trace=trace)

    def open(self) -> None:
        """Connect unless connected. Raises HostKeyRefused or Unreachable."""
        self._link.transport()

    def prove_by(self, proof: Callable[[], None] | None) -> None:
        """When the connection was lost and is made again, ``proof`` is called before anything else goes through the
        new one. What it raises is raised by everybody who wants to.
        """
        self._link.prove_by(proof)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        deadline_s: float,
        cap_bytes: int = CAP_BYTES,
        check: bool = False,
        hear: Hear | None = None,
    ) -> CommandResult:
        """Run a command, as root where the host says ``ansible_become``.

        A status other than 0 is a value, or RemoteCommandFailed with ``check``. Also raises DeadlineExceeded,
        Unreachable, and RemoteCommandFailed for output beyond ``cap_bytes`` and for a sudo that refuses. With ``hear``
        the output is handed on as it comes, and is not returned.
        """
        with self.tracing.command(argv) as ended:
            done = self._run(argv, stdin=stdin, deadline_s=deadline_s, cap_bytes=cap_bytes, hear=hear)
            ended(done.status)
        if self.becomes and done.status in become.SUSPECT:
            self._prove_root(deadline_s=deadline_s)
        if check and done.status != 0:
            raise RemoteCommandFailed(
                f"{argv[0]} ended with status {done.status}", where=self.host.name, detail=done.last_lines()
            )
        return done

    def _run(
        self, argv: Sequence[str], *, stdin: bytes, deadline_s: float, cap_bytes: int, hear: Hear | None = None
    ) -> CommandResult:
        mark = secrets.token_hex(8)
        command = self.as_started(argv, mark=mark, limit_s=deadline_s + 2)
        with self._session(deadline_s), translated(self.host.name, f"running {argv[0]}"):
            channel = self._link.channel(lambda link: link.open_session(timeout=min(deadline_s, CHANNEL_S)))
            return run_on(
                channel,
                command,
                stdin=stdin,
                deadline_s=deadline_s,
                cap_bytes=cap_bytes,
                host=self.host.name,
                sweep=lambda: self._sweep(mark),
                hear=hear,
            )

    def as_started(self, argv: Sequence[str], *, mark: str, limit_s: float) -> str:
        """The command as the login shell is given it: as root where that is wished, and ended with its channel.

        ``exec``, so that no login shell stands between the command and its sshd.
        """
        return "exec " + shlex.join(self._as_root(guarded(argv, mark=mark, limit_s=limit_s)))

    def end_marked(self, mark: str) -> None:
        """End what is left on the host of commands with this mark. Raises HostError when that is not sure."""
        if self.run(sweep(mark), deadline_s=CHANNEL_S).status:
            raise RemoteCommandFailed(
                "what an earlier command left running does not end",
                where=self.host.name,
                hint=f"end it by hand: it has FLEETDEPLOY_COMMAND={mark} in its environment",
            )

    def _sweep(self, mark: str) -> None:
        """The same after a command that failed already, on its connection, as far as it goes in its own time."""
        with suppress(HostError, *FOREIGN):
            channel = self._link.transport().open_session(timeout=SWEEP_S)
            run_on(
                channel,
                self.as_started(sweep(mark), mark=secrets.token_hex(8), limit_s=SWEEP_S),
                stdin=b"",
                deadline_s=SWEEP_S,
                cap_bytes=CAP_BYTES,
                host=self.host.name,
            )

    @contextmanager
    def _session(self, deadline_s: float) -> Iterator[None]:
        if not self._sessions.acquire(timeout=deadline_s):
            raise DeadlineExceeded(
                f"no command could be started within {deadline_s:g} s: others take too long",
                where=self.host.name,
                hint="look at the host's load",
            )
        try:
            yield
        finally:
            self._sessions.release()

    @property
    def server_version(self) -> str:
        """The name and version that the SSH server gives itself. Raises Unreachable."""
        return self._link.opened().remote_version

    @property
    def becomes(self) -> bool:
        """Whether commands are run as root through sudo."""
        return self.host.connection.become

    def _as_root(self, argv: Sequence[str]) -> list[str]:
        return become.as_root(argv) if self.becomes else list(argv)

    def _prove_root(self, *, deadline_s: float) -> None:
        """Raise sudo's refusal, if it was sudo that ended the last command and not the command itself.

        Asked only after such an end: what a command says of itself could be anything, sudo's words included.
        """
        proof = secrets.token_hex(8)
        done = self._run(["echo", proof], stdin=b"", deadline_s=min(deadline_s, CHANNEL_S), cap_bytes=CAP_BYTES)
        if proof not in done.text.split():
            raise become.refusal(self.host.name, done.error_text, user=self._link.user, status=done.status)

    def script(
        self, text: str, *args: str, stdin: bytes = b"", deadline_s: float, check: bool = False
    ) -> CommandResult:
        """Run a POSIX sh script with ``args`` as its ``$1`` and so on; ``stdin`` is left to the script."""
        if "dropbear" in self.server_version:  # it hangs up at a command of more than 9,000 bytes
            text, args, stdin = read_first(text, args, stdin)
        return self.run(["sh", "-c", text, "fleetdeploy", *args], stdin=stdin, deadline_s=deadline_s, check=check)

    def open_unix_channel(self, path: str, *, deadline_s: float = CHANNEL_S) -> paramiko.Channel:
        """A byte stream to a UNIX socket of the host. Raises Unreachable when the host forbids it."""
        with translated(self.host.name, f"connecting to {path}"), self.tracing.wire(f"channel to {path}"):
            return self._link.channel(lambda link: open_streamlocal(link, path, deadline_s=deadline_s))

    def open_tcp_channel(self, address: str, port: int, *, deadline_s: float = CHANNEL_S) -> paramiko.Channel:
        """A byte stream to a TCP port as the host reaches it. Raises Unreachable when nothing listens there."""
        return self._tcp_channel(self._link.channel, (address, port), deadline_s=deadline_s)

    def tcp_channel_at_hand(self, address: str, port: int, *, deadline_s: float) -> paramiko.Channel:
        """The same through the connection as it is. Raises Unreachable where it is not open."""
        link = self._link.at_hand()
        if link is None:
            raise Unreachable("not connected", where=self.host.name)
        return self._tcp_channel(lambda opening: opening(link), (address, port), deadline_s=deadline_s)

    def _tcp_channel(self, through: Through, place: tuple[str, int], *, deadline_s: float) -> paramiko.Channel:
        said, ends = f"{place[0]} port {place[1]}", (place, ("127.0.0.1", 0))
        with translated(self.host.name, f"connecting to {said}"), self.tracing.wire(f"channel to {said}"):
            return through(lambda link: link.open_channel("direct-tcpip", *ends, timeout=deadline_s))

    def open_command_channel(self, argv: Sequence[str], *, deadline_s: float = CHANNEL_S) -> paramiko.Channel:
        """A byte stream to a command's standard input and output, for as long as the channel is open.

        The command is run as by :meth:`run`, but a sudo that refuses is only seen as an end without an answer.
        """
        command = self.as_started(argv, mark=secrets.token_hex(8), limit_s=_STREAM_S)
        with translated(self.host.name, f"starting {argv[0]}"), self.tracing.command(argv):
            channel = self._link.channel(lambda link: link.open_session(timeout=deadline_s))
            channel.settimeout(deadline_s)
            try:
                start_on(channel, command, deadline_s=deadline_s)
            except BaseException:
                channel.close()
                raise
            return channel

    def route(self) -> tuple[Hop, ...]:
        """The host and its gateways, as :func:`sshconfig.write_ssh_config` takes them."""
        return self._link.route()

    def close(self) -> None:
        """End the connection and those to its gateways."""
        self._link.close()
