"""The HTTP adapter over channels, against a socket pair in place of a channel."""

from __future__ import annotations

import socket
import threading

import pytest
import requests

from fleetdeploy.remote.dockerhttp import _Adapter

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
