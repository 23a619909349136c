"""Whose word is taken for what: refused host keys of balancers, commands that sshd does not start."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from fleetdeploy.domain.inventory import BalancerWish, Connection, Host
from fleetdeploy.errors import BalancerSilent, HostKeyRefused, Unreachable
from fleetdeploy.remote.fleet import SshFleet
from fleetdeploy.remote.ssh import channels

WISH = BalancerWish("haproxy", "lb", "/run/haproxy.sock", "gpu1", {"ranking": ("pool",)})


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (HostKeyRefused("the host key has changed", where="lb"), HostKeyRefused, 2),
        (Unreachable("no route", where="lb"), BalancerSilent, 4),
    ],
)
def test_a_balancers_refused_key_stays_what_it_is(
    error: Exception, kind: type[Exception], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is not the pinned one is never told as a balancer that is out of order."""

    def refuse(*_: object) -> None:
        raise error

    fleet = SshFleet(hosts={"lb": Host("lb", Connection("127.0.0.1"))})
    monkeypatch.setattr(fleet, "session", refuse)
    try:
        with pytest.raises(kind) as caught:
            fleet.balancer(WISH).members(["pool"])
    finally:
        fleet.close()
    assert type(caught.value) is kind
    assert getattr(caught.value, "exit_code", 0) == code


class _Channel:
    """The parts of a paramiko channel that a request for a command uses; ``answer`` is what sshd does with it."""

    def __init__(self, answer: str) -> None:
        self.remote_chanid = 1
        self.event = threading.Event()
        self.event_ready = True
        self._answer = answer
        self.transport = SimpleNamespace(_send_user_message=self._sent, get_exception=lambda: None)

    def _sent(self, _message: Any) -> None:
        self.event_ready = self._answer == "yes"
        if self._answer != "silence":
            self.event.set()


def test_starting_a_command_has_a_deadline() -> None:
    """An sshd that does not answer costs the deadline, one that refuses is heard at once."""
    channels.start_on(_Channel("yes"), "true", deadline_s=1)  # type: ignore[arg-type]
    with pytest.raises(TimeoutError, match="no answer"):
        channels.start_on(_Channel("silence"), "true", deadline_s=0.01)  # type: ignore[arg-type]
    with pytest.raises(paramiko.ChannelException, match="refused"):
        channels.start_on(_Channel("no"), "true", deadline_s=1)  # type: ignore[arg-type]
