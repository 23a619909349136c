"""The HTTP adapter over channels, against a socket pair in place of a channel."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
import requests

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.errors import DeadlineExceeded
from fleetdeploy.remote.docker.containers import _translate
from fleetdeploy.remote.docker.http import ChannelClient, _Adapter
from fleetdeploy.remote.ssh.connection import SshConnection
from fleetdeploy.remote.ssh.handshakes import Handshakes

pytestmark = pytest.mark.sockets
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


class Channel:
    """One end of a socket pair with what the pool asks a paramiko channel for."""

    closed = False
    eof_received = False

    def __init__(self, answer: bytes) -> None:
        self._ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs, answer), daemon=True).start()

    @staticmethod
    def _serve(theirs: socket.socket, answer: bytes) -> None:
        with theirs:
            theirs.recv(65536)
            theirs.sendall(answer)

    def __getattr__(self, name: str) -> object:
        return getattr(self._ours, name)


def session(answers: list[bytes]) -> requests.Session:
    made = requests.Session()
    made.mount("http+docker://", _Adapter(lambda: Channel(answers.pop(0))))
    return made


def test_a_question_whose_connection_broke_is_asked_again() -> None:
    """A dropped connection costs a GET one more channel, not the host its rollout."""
    with session([b"", ANSWER]) as docker:
        assert docker.get("http+docker://ssh/_ping", timeout=60).text == "OK"


def test_an_order_whose_connection_broke_is_not_given_again() -> None:
    """Whether a POST was carried out is not known: it must be read back, never repeated blindly."""
    answers = [b"", ANSWER]
    with session(answers) as docker, pytest.raises(requests.ConnectionError):
        docker.post("http+docker://ssh/containers/x/start", timeout=60)
    assert answers == [ANSWER]


class Trickle(Channel):
    """Answers byte by byte, each long before a timeout of its own would be over."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.stop = threading.Event()
        super().__init__(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n" + b"x" * 90)

    def _serve(self, theirs: socket.socket, answer: bytes) -> None:  # type: ignore[override]
        with theirs, contextlib.suppress(OSError):
            theirs.recv(65536)
            for byte in answer:
                theirs.sendall(bytes([byte]))
                if self.stop.wait(0.05):
                    return


def test_an_answer_that_trickles_has_one_deadline() -> None:
    """A timeout is for the whole answer and not for each byte of it, and what was too late is not asked again."""
    Trickle.made = 0
    with requests.Session() as docker:
        docker.mount("http+docker://", _Adapter(Trickle))
        with pytest.raises(requests.RequestException) as late:
            docker.get("http+docker://ssh/_ping", timeout=1)
    assert isinstance(_translate(late.value, "gpu1", "asking"), DeadlineExceeded)
    assert Trickle.made == 1


def test_a_call_without_a_timeout_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the SDK would wait for ever, as for a pull, the caller's deadline holds, or ours when it names none."""
    seen: list[object] = []

    def send(_self: object, _request: object, **settings: object) -> None:
        seen.append(settings["timeout"])

    monkeypatch.setattr(requests.Session, "send", send)
    host = Host("gpu1", Connection("127.0.0.1"))
    link = SshConnection(host, connect_timeout_s=1, handshakes=Handshakes())
    client = ChannelClient(link, version="1.40", timeout_s=60)
    asked = requests.Request("GET", "http+docker://ssh/_ping").prepare()
    with client.taking(7):
        client.send(asked, timeout=None)
        client.send(asked, timeout=5)
    client.send(asked, timeout=None)
    assert seen == [7, 5, 3600.0]
