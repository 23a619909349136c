"""Keepalives that are counted."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko
import pytest

from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.ssh import pulse

pytestmark = pytest.mark.sockets
DEADLINE_S = 30.0


class Server(paramiko.ServerInterface):
    """Lets everybody in, and notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check_auth_none(self, username: str) -> int:  # noqa: ARG002
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return "none"

    def check_global_request(self, kind: str, msg: paramiko.Message) -> bool:  # noqa: ARG002
        self.asked.append(kind)
        return False

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        return paramiko.OPEN_SUCCEEDED


class Line:
    """Two sockets whose bytes are carried from one to the other until the line goes dead."""

    def __init__(self) -> None:
        self.dead = threading.Event()
        (self.client, near), (far, self.server) = socket.socketpair(), socket.socketpair()
        self._ends = near, far
        self._carriers = [
            threading.Thread(target=self._carry, args=ends, daemon=True) for ends in ((near, far), (far, near))
        ]
        for carrier in self._carriers:
            carrier.start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if self.dead.is_set():  # nothing is read any more either: what is written piles up
                    return
                sink.sendall(data)

    def close(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for carrier in self._carriers:
            carrier.join(DEADLINE_S)
        for end in (*self._ends, self.client, self.server):
            end.close()


@dataclass(frozen=True)
class Link:
    line: Line
    client: paramiko.Transport
    seen: Server


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    """A client and a server of SSH; the client asks ten times a second."""
    monkeypatch.setattr(pulse, "KEEPALIVE_S", 0.1)
    line, seen = Line(), Server()
    server, client = paramiko.Transport(line.server), paramiko.Transport(line.client)
    server.add_server_key(paramiko.ECDSAKey.generate())
    server.start_server(event=threading.Event(), server=seen)
    client.start_client(timeout=DEADLINE_S)
    client.auth_none("x")
    yield Link(line, client, seen)
    client.close()
    server.close()
    for transport in (client, server):
        transport.join(DEADLINE_S)
    line.close()


def test_a_link_that_answers_is_kept(link: Link) -> None:
    """However often an idle link is asked, one whose other end answers lives on."""
    pulse.keep_alive(link.client)
    asked = link.seen.asked
    wait_until(lambda: len(asked) > 3 * pulse.KEEPALIVES, "it was asked often", deadline_s=DEADLINE_S)
    assert set(asked) == {"keepalive@openssh.com"}
    assert link.client.is_active()


@pytest.mark.parametrize("writing", [False, True], ids=["idle", "writing"])
def test_a_link_that_does_not_answer_ends(link: Link, writing: bool) -> None:
    """After three questions without an answer the link ends, although a write to it is stuck as well."""
    channel = link.client.open_session(timeout=DEADLINE_S)
    link.line.dead.set()
    pulse.keep_alive(link.client)
    ended: list[type[BaseException]] = []

    def write() -> None:
        try:
            channel.sendall(b"x" * 1_500_000)
        except (OSError, EOFError, paramiko.SSHException) as error:
            ended.append(type(error))

    writer = threading.Thread(target=write, daemon=True)
    if writing:
        writer.start()
    wait_until(lambda: not link.client.is_active(), "the link is given up", deadline_s=DEADLINE_S)
    assert channel.closed
    if writing:
        writer.join(DEADLINE_S)
        assert ended
