"""The page of metrics over a channel, with a socket pair in its place, and that nothing is connected for it."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.measured import ServerLoad
from fleetdeploy.errors import NotHealthy, Unreachable
from fleetdeploy.remote.server_metrics import read_metrics
from fleetdeploy.remote.ssh import kept_link
from fleetdeploy.remote.ssh.connection import SshConnection
from fleetdeploy.remote.ssh.handshakes import Handshakes

pytestmark = pytest.mark.sockets
PAGE = b':tensorflow:serving:request_count{model_name="a",status="INTERNAL"} 3\n'
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(PAGE)
HERE = Host("gpu1", Connection("127.0.0.1"))


def answered(answer: bytes, *, deadline_s: float = 60.0, stays: bool = False) -> ServerLoad:
    """What is read of a server that says this, and then hangs up unless it ``stays``."""
    ours, theirs = socket.socketpair()
    asked = list[bytes]()

    def serve() -> None:
        asked.append(theirs.recv(65536))
        theirs.sendall(answer)
        if stays:
            theirs.recv(1)
        theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    channel: Any = ours
    try:
        return read_metrics(channel, host="gpu1", deadline_s=deadline_s)
    finally:
        assert ours.fileno() == -1
        server.join(60)
        assert asked[0].startswith(b"GET /monitoring/prometheus/metrics HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "head",
    [
        SIZED + b"\r\n",
        SIZED + b"Connection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
    ],
)
def test_a_page_is_read_to_its_end(head: bytes) -> None:
    """Whether the server gives its length or hangs up behind it."""
    assert answered(head + PAGE) == ServerLoad(0, 3)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        SIZED + b"\r\n" + PAGE[:-20],
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * len(PAGE)) + PAGE,
        b'HTTP/1.0 200 OK\r\n\r\n:tensorflow:serving:request_latency_count{API="Predict"} x\n',
    ],
)
def test_what_is_no_page_is_not_healthy(answer: bytes) -> None:
    """One error, whatever the port says; half a page is not taken for a whole one."""
    with pytest.raises(NotHealthy, match="no metrics") as failed:
        answered(answer)
    assert failed.value.where == "gpu1"


def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    """Its deadline ends the question."""
    with pytest.raises(NotHealthy, match="no metrics"):
        answered(SIZED, deadline_s=0.05, stays=True)


def test_nothing_is_connected_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is not open stays so: Unreachable at once."""
    tried = list[object]()
    monkeypatch.setattr(kept_link, "make_link", tried.append)
    connection = SshConnection(HERE, connect_timeout_s=1, handshakes=Handshakes())
    with pytest.raises(Unreachable, match="not connected"):
        connection.tcp_channel_at_hand("127.0.0.1", 8501, deadline_s=1)
    assert tried == []
