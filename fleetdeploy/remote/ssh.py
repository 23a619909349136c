"""One SSH connection per host, and what a command is on it.

A command is a sequence of words. It is quoted here, once, and nowhere else.
"""

from __future__ import annotations

import logging
import random
import secrets
import shlex
import threading
import time
from collections.abc import Sequence
from typing import Any

import paramiko

from fleetdeploy.domain.inventory import Host
from fleetdeploy.errors import RemoteCommandFailed, Unreachable
from fleetdeploy.remote import become
from fleetdeploy.remote.channels import CommandResult, open_streamlocal, run_on, start_on
from fleetdeploy.remote.failures import FOREIGN, is_early_drop, translate, translated
from fleetdeploy.remote.link import CHANNEL_S, close_link, make_link, open_link, phase_of, route
from fleetdeploy.remote.sshconfig import Hop

CAP_BYTES = 8 * 1024 * 1024
_ATTEMPTS = 5

# Closing the channel does not end a remote process that is silent, and a dead link closes nothing. So where the host
# has timeout(1) with -k (GNU, newer busybox), that ends the process group by itself shortly after our own deadline.
_GUARD = 't=$1; shift; timeout -k 5 1 true >/dev/null 2>&1 && exec timeout -k 5 "$t" "$@"; exec "$@"'


class Handshakes:
    """Lets few connections start at once: sshd drops early connections beyond its MaxStartups (10 by default)."""

    def __init__(self, limit: int = 8) -> None:
        self._slots = threading.BoundedSemaphore(limit)

    def __enter__(self) -> None:
        self._slots.acquire()

    def __exit__(self, *_: object) -> None:
        self._slots.release()


class SshConnection:
    """The connection to one host, opened on first use and again when it was lost between two commands.

    A command during which the link is lost is never repeated here: its outcome is not known. Safe for several threads.
    """

    def __init__(self, host: Host, *, connect_timeout_s: float, handshakes: Handshakes) -> None:
        # Without handlers, Python would print paramiko's log of refused channels on our standard error.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        self.host = host
        self._connect_timeout_s = connect_timeout_s
        self._handshakes = handshakes
        self._lock = threading.Lock()
        self._fabric: Any = None
        # sshd's MaxSessions is 10 by default. Forwarding channels do not count; root's way to Docker is a session too.
        self._sessions = threading.BoundedSemaphore(6 if self.becomes else 8)

    def open(self) -> None:
        """Connect unless connected. Raises HostKeyRefused or Unreachable."""
        self._transport()

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        deadline_s: float,
        cap_bytes: int = CAP_BYTES,
        check: bool = False,
    ) -> CommandResult:
        """Run a command, as root where the host says ``ansible_become``.

        A status other than 0 is a value, or RemoteCommandFailed with ``check``. Also raises DeadlineExceeded,
        Unreachable, and RemoteCommandFailed for output beyond ``cap_bytes`` and for a sudo that refuses.
        """
        done = self._run(argv, stdin=stdin, deadline_s=deadline_s, cap_bytes=cap_bytes)
        if self.becomes and done.status in become.SUSPECT:
            self._prove_root(deadline_s=deadline_s)
        if check and done.status != 0:
            raise RemoteCommandFailed(
                f"{argv[0]} ended with status {done.status}", where=self.host.name, detail=done.last_lines()
            )
        return done

    def _run(self, argv: Sequence[str], *, stdin: bytes, deadline_s: float, cap_bytes: int) -> CommandResult:
        words = self._as_root(["sh", "-c", _GUARD, "fleetdeploy", str(int(deadline_s) + 2), *argv])
        with self._sessions, translated(self.host.name, f"running {argv[0]}"):
            channel = self._transport().open_session(timeout=min(deadline_s, CHANNEL_S))
            return run_on(
                channel,
                shlex.join(words),
                stdin=stdin,
                deadline_s=deadline_s,
                cap_bytes=cap_bytes,
                host=self.host.name,
            )

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
            raise become.refusal(self.host.name, done.error_text, user=self._fabric.user, status=done.status)

    def script(
        self, text: str, *args: str, stdin: bytes = b"", deadline_s: float, check: bool = False
    ) -> CommandResult:
        """Run a POSIX sh script with ``args`` as its ``$1`` and so on; ``stdin`` is left to the script."""
        return self.run(["sh", "-c", text, "fleetdeploy", *args], stdin=stdin, deadline_s=deadline_s, check=check)

    def open_unix_channel(self, path: str, *, deadline_s: float = CHANNEL_S) -> paramiko.Channel:
        """A byte stream to a UNIX socket of the host. Raises Unreachable when the host forbids it."""
        with translated(self.host.name, f"connecting to {path}"):
            return open_streamlocal(self._transport(), path, deadline_s=deadline_s)

    def open_tcp_channel(self, address: str, port: int, *, deadline_s: float = CHANNEL_S) -> paramiko.Channel:
        """A byte stream to a TCP port as the host reaches it. Raises Unreachable when nothing listens there."""
        with translated(self.host.name, f"connecting to {address} port {port}"):
            return self._transport().open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=deadline_s)

    def open_command_channel(self, argv: Sequence[str], *, deadline_s: float = CHANNEL_S) -> paramiko.Channel:
        """A byte stream to a command's standard input and output, for as long as the channel is open.

        The command is run as by :meth:`run`, but a sudo that refuses is only seen as an end without an answer.
        """
        with translated(self.host.name, f"starting {argv[0]}"):
            channel = self._transport().open_session(timeout=deadline_s)
            channel.settimeout(deadline_s)
            try:
                start_on(channel, shlex.join(self._as_root(argv)), deadline_s=deadline_s)
            except BaseException:
                channel.close()
                raise
            return channel

    def route(self) -> tuple[Hop, ...]:
        """The host and its gateways, as :func:`sshconfig.write_ssh_config` takes them."""
        self.open()
        return route(self._fabric)

    def close(self) -> None:
        """End the connection and those to its gateways."""
        with self._lock:
            link, self._fabric = self._fabric, None
        close_link(link)

    def _transport(self) -> paramiko.Transport:
        with self._lock:
            if self._fabric is not None:
                transport: paramiko.Transport | None = self._fabric.client.get_transport()
                if transport is not None and transport.is_active():
                    return transport
                close_link(self._fabric)
                self._fabric = None
            self._fabric = self._connect()
            opened: paramiko.Transport = self._fabric.client.get_transport()
            return opened

    def _connect(self) -> Any:
        """Connect; again after a random pause when sshd hung up before its banner, which is how MaxStartups refuses.

        The time counts from when it is this connection's turn to start.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            link = make_link(self.host, timeout_s=self._connect_timeout_s)
            try:
                with self._handshakes:
                    open_link(link)
                return link
            except FOREIGN as error:
                doing = phase_of(link)
                close_link(link)
                if attempt == _ATTEMPTS or not is_early_drop(error):
                    raise translate(error, host=self.host.name, doing=doing) from error
                time.sleep(random.uniform(0.1, 0.4) * 2 ** (attempt - 1))  # noqa: S311  only spreads the retries
            except BaseException:
                close_link(link)
                raise
        raise Unreachable("no connection", where=self.host.name)
