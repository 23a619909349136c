"""Whose turn it is to start a connection, and how long that is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.errors import Unreachable
from fleetdeploy.remote.ssh import kept_link
from fleetdeploy.remote.ssh.connection import SshConnection
from fleetdeploy.remote.ssh.handshakes import Handshakes


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[SshConnection]:
    """A connection whose turn never comes; those that may start are open at once."""
    handshakes = Handshakes(2)
    opened = SimpleNamespace(get_transport=lambda: None)
    link = SimpleNamespace(user="deploy", host="gpu1", port=22, client=opened)
    monkeypatch.setattr(kept_link, "make_link", lambda *_, **__: link)
    monkeypatch.setattr(kept_link, "open_link", lambda _: None)
    monkeypatch.setattr(kept_link, "close_link", lambda _: None)
    with handshakes.turn("dead1", wait_s=0), handshakes.turn("dead2", wait_s=0):
        yield SshConnection(Host("gpu1", Connection("x")), connect_timeout_s=0.01, handshakes=handshakes)


def test_a_turn_that_does_not_come_is_an_error(held: SshConnection) -> None:
    """Where hosts that do not answer hold every turn, the wait has an end, which names the host and the reason."""
    with pytest.raises(Unreachable, match=r"too many connections were starting.*within 0\.1 s") as caught:
        held.open()
    assert caught.value.where == "gpu1"
    assert "--forks" in caught.value.hint


def test_a_turn_is_given_back() -> None:
    """Whoever has connected, or failed to, lets the next one start."""
    one = Handshakes(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), one.turn("gpu1", wait_s=0):
            raise ZeroDivisionError
    with one.turn("gpu1", wait_s=0):
        pass


def test_a_confirm_waits_for_no_other_host(held: SshConnection) -> None:
    """A further connection, over which a watchdog is told that all is well, starts whatever else is waited for."""
    held.another(connect_timeout_s=0.01).open()


def test_nobody_waits_for_a_connection_that_is_being_opened_to_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is closed meanwhile is ended by who opens it, once it is open."""
    at_it, go_on, ended = threading.Event(), threading.Event(), list[object]()

    def open_link(_: object) -> None:
        at_it.set()
        assert go_on.wait(20)

    client = SimpleNamespace(get_transport=lambda: None)
    link = SimpleNamespace(user="deploy", host="gpu1", port=22, client=client)
    monkeypatch.setattr(kept_link, "make_link", lambda *_, **__: link)
    monkeypatch.setattr(kept_link, "open_link", open_link)
    monkeypatch.setattr(kept_link, "close_link", ended.append)
    connection = SshConnection(Host("gpu1", Connection("x")), connect_timeout_s=1, handshakes=Handshakes())
    opening = threading.Thread(target=connection.open, daemon=True)
    opening.start()
    assert at_it.wait(20)
    closing = threading.Thread(target=connection.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    go_on.set()
    opening.join(20)
    assert ended == [link]
