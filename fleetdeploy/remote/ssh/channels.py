"""What happens on one SSH channel: run a command to its end under a deadline, or open a path to a UNIX socket.

paramiko has no call for ``direct-streamlocal@openssh.com`` (its ``open_channel`` sends no path) nor for ``signal``, so
these messages are put together here from paramiko's inner names; tests send them to a real sshd with the pinned
paramiko.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_OPEN, cMSG_CHANNEL_REQUEST

from fleetdeploy.domain.reaching import HEARD_S, STDERR, STDOUT, Hear
from fleetdeploy.errors import DeadlineExceeded, RemoteCommandFailed, Unreachable
from fleetdeploy.remote.ssh.failures import FOREIGN

_CHUNK_BYTES = 64 * 1024
_SEND_POLL_S = 0.02
"""A channel does not say when its window opens for more input; what it brings ends the wait at once."""
_LOOK_S = 0.1
"""How often it is asked whether the connection still stands; an answer ends the wait at once."""

GRACE_S = 1.0
"""What a command that is ended before its time gets between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class CommandResult:
    """How a remote command ended. ``status`` is its exit status, -1 when a signal ended it."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """Standard error as text, stripped."""
        return self.stderr.decode("utf-8", "replace").strip()

    def last_lines(self, count: int = 12) -> str:
        """The end of what the command said, standard error first."""
        return "\n".join((self.error_text or self.text.strip()).splitlines()[-count:])


def run_on(
    channel: paramiko.Channel,
    command: str,
    *,
    stdin: bytes,
    deadline_s: float,
    cap_bytes: int,
    host: str,
    sweep: Callable[[], None] = lambda: None,
    hear: Hear | None = None,
) -> CommandResult:
    """Run ``command`` on a fresh session channel and close it, whatever happens. With ``hear`` its output is handed on
    as it comes, however much that is, and not returned.

    Raises DeadlineExceeded after ``deadline_s``, RemoteCommandFailed when it wrote more than ``cap_bytes`` (both
    streams together), Unreachable when the connection ended before the exit status came. Whatever ends this before the
    command ends that too: by signals through the channel, and by ``sweep`` on a connection that lives when it has not
    ended within GRACE_S.
    """
    end = time.monotonic() + deadline_s
    streams = (bytearray(), bytearray())
    try:
        channel.settimeout(deadline_s)
        _request(channel, "exec", command, reply=True)
        _converse(channel, memoryview(stdin), streams, end=end, cap_bytes=cap_bytes, host=host, hear=hear)
        if not _has_status(channel, end=end, hear=hear):
            raise DeadlineExceeded(f"a command did not end within {deadline_s:g} s", where=host)
        if channel.exit_status == -1 and not (channel.transport and channel.transport.is_active()):
            raise Unreachable("the connection was lost while a command ran", where=host, hint="read back, then retry")
        return CommandResult(channel.exit_status, bytes(streams[0]), bytes(streams[1]))
    except TimeoutError as error:
        raise DeadlineExceeded(f"a command gave no answer within {deadline_s:g} s", where=host) from error
    finally:
        ended = channel.status_event.is_set() or end_command(channel)
        transport = channel.transport
        channel.close()
        if not ended and transport is not None and transport.is_active():
            sweep()


def end_command(channel: paramiko.Channel) -> bool:
    """Send the command's process group SIGTERM, and SIGKILL after GRACE_S; return whether it has ended by then.

    RFC 4254, section 6.9. OpenSSH knows it since 7.9, and refuses it to root before 9.8. There is no answer.
    """
    with contextlib.suppress(*FOREIGN):
        _request(channel, "signal", "TERM", reply=False)
        if channel.status_event.wait(GRACE_S):
            return True
        _request(channel, "signal", "KILL", reply=False)
    return False


def _request(channel: paramiko.Channel, kind: str, text: str, *, reply: bool) -> None:
    """Send a request that carries one string (RFC 4254, section 5.4). A ``reply`` that is asked for is not waited for.

    ``Channel.exec_command`` waits for it with no deadline, and costs a round trip. A refusal closes the channel, which
    :func:`run_on` sees as an end without a status.
    """
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string(kind)
    message.add_boolean(reply)
    message.add_string(text)
    transport: Any = channel.transport
    transport._send_user_message(message)  # noqa: SLF001  see the module's docstring


def start_on(channel: paramiko.Channel, command: str, *, deadline_s: float) -> None:
    """Start ``command`` on a fresh session channel, and return once sshd has said that it did.

    Raises TimeoutError at the deadline, and ChannelException when sshd refuses.
    """
    channel.event.clear()
    channel.event_ready = False
    _request(channel, "exec", command, reply=True)
    if not channel.event.wait(deadline_s):
        raise TimeoutError(f"no answer to a request for a command within {deadline_s:g} s")
    if not channel.event_ready:
        lost = channel.transport.get_exception() if channel.transport else None
        raise lost or paramiko.ChannelException(1, "sshd refused the command")


def _converse(
    channel: paramiko.Channel,
    stdin: memoryview,
    streams: tuple[bytearray, bytearray],
    *,
    end: float,
    cap_bytes: int,
    host: str,
    hear: Hear | None,
) -> None:
    """Send all input and read all output, neither waiting for the other."""
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    open_for_input = True
    while True:
        # Order matters: what is in the buffers after the end was seen is all there will be.
        ended = channel.eof_received or channel.closed
        if open_for_input and not ended:
            while stdin and channel.send_ready() and not channel.recv_ready():
                stdin = stdin[channel.send(stdin[:_CHUNK_BYTES].tobytes()) :]
            if not stdin:
                channel.shutdown_write()
                open_for_input = False
        _drain(channel, streams, cap_bytes=cap_bytes)
        if hear is not None:
            _hand_on(streams, hear)
        if len(streams[0]) + len(streams[1]) > cap_bytes:
            raise RemoteCommandFailed(f"a command wrote more than {cap_bytes} bytes", where=host)
        if ended:
            return
        left_s = end - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded("a command did not end in time", where=host, hint="look at the host's load")
        poll.poll(1000 * min(left_s, _SEND_POLL_S if open_for_input else HEARD_S if hear else left_s))


def _drain(channel: paramiko.Channel, streams: tuple[bytearray, bytearray], *, cap_bytes: int) -> None:
    while channel.recv_ready() and len(streams[0]) <= cap_bytes:
        streams[0].extend(channel.recv(_CHUNK_BYTES))
    while channel.recv_stderr_ready() and len(streams[1]) <= cap_bytes:
        streams[1].extend(channel.recv_stderr(_CHUNK_BYTES))


def _hand_on(streams: tuple[bytearray, bytearray], hear: Hear) -> None:
    for number, stream in zip((STDOUT, STDERR), streams, strict=True):
        data = bytes(stream)
        stream.clear()
        hear(number, data)


def _has_status(channel: paramiko.Channel, *, end: float, hear: Hear | None) -> bool:
    """Wait for a command's status, which may come long after it has closed its outputs."""
    while True:
        left_s = max(0.0, end - time.monotonic())
        if channel.status_event.wait(min(left_s, HEARD_S) if hear else left_s):
            return True
        if hear is None or not left_s:
            return False
        hear(STDOUT, b"")


class _Answer(paramiko.ChannelFile):
    """What is read from a channel. Nothing waits in it to be written when it goes, whatever of it has gone before."""

    def __del__(self) -> None:
        """Paramiko's own writes what is left, and fails with words on stderr where its buffer went first."""


class OneDeadline:
    """A channel whose timeout is for everything from when it is set, not for each read: one that trickles ends too.

    Otherwise the channel itself, as far as urllib3 and http.client want a socket.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._end: float | None = None

    def settimeout(self, timeout_s: float | None) -> None:
        self._end = None if timeout_s is None else time.monotonic() + timeout_s

    def recv(self, size: int) -> bytes:
        """Raises TimeoutError at the deadline."""
        self._arm()
        return self._channel.recv(size)

    def sendall(self, data: bytes) -> None:
        """Raises TimeoutError at the deadline."""
        while data:
            self._arm()
            data = data[self._channel.send(data[:_CHUNK_BYTES]) :]

    def makefile(self, mode: str = "r", size: int = -1) -> paramiko.ChannelFile:
        file: Any = _Answer
        made: paramiko.ChannelFile = file(self, mode, size)
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def _arm(self) -> None:
        left_s = None if self._end is None else self._end - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise TimeoutError("no answer in time")
        self._channel.settimeout(left_s)


def open_streamlocal(transport: paramiko.Transport, path: str, *, deadline_s: float) -> paramiko.Channel:
    """A channel to a UNIX socket of the host (OpenSSH's PROTOCOL, section 2.4).

    Raises ChannelException when sshd or the socket refuses, TimeoutError at the deadline.
    """
    inner: Any = transport
    with inner.lock:
        number = inner._next_channel()  # noqa: SLF001  see the module's docstring
        channel = paramiko.Channel(number)
        inner._channels.put(number, channel)  # noqa: SLF001
        opened = inner.channel_events[number] = threading.Event()
        inner.channels_seen[number] = True
        wired: Any = channel
        wired._set_transport(transport)  # noqa: SLF001
        wired._set_window(inner.default_window_size, inner.default_max_packet_size)  # noqa: SLF001
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_OPEN)
    message.add_string("direct-streamlocal@openssh.com")
    message.add_int(number)
    message.add_int(inner.default_window_size)
    message.add_int(inner.default_max_packet_size)
    message.add_string(path)
    message.add_string("")
    message.add_int(0)
    inner._send_user_message(message)  # noqa: SLF001
    _await_open(transport, opened, deadline_s=deadline_s)
    answered = inner._channels.get(number)  # noqa: SLF001
    if answered is None:
        raise transport.get_exception() or paramiko.ChannelException(2, "the channel was refused")
    return channel


def _await_open(transport: paramiko.Transport, opened: threading.Event, *, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while not opened.wait(_LOOK_S):
        if not transport.is_active():
            raise transport.get_exception() or EOFError("the connection was lost")
        if time.monotonic() > end:
            raise TimeoutError(f"no answer to a channel request within {deadline_s:g} s")
