"""What ``-vv`` and ``-vvv`` are told of a host's connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.errors import DeadlineExceeded
from fleetdeploy.remote.environment import with_environment
from fleetdeploy.remote.ssh.channels import CommandResult
from fleetdeploy.remote.ssh.connection import SshConnection
from fleetdeploy.remote.ssh.handshakes import Handshakes
from fleetdeploy.remote.ssh.tracing import Tracing


class Told(list[tuple[str, str, bool]]):
    def __call__(self, host: str, what: str, *, seconds: float, wire: bool) -> None:
        assert seconds >= 0
        self.append((host, what, wire))


def words(argv: Sequence[str], *, status: int = 0) -> str:
    told = Told()
    with Tracing("gpu1", told).command(argv) as ended:
        ended(status)
    ((host, what, wire),) = told
    assert (host, wire) == ("gpu1", False)
    return what


def test_a_command_is_told_as_it_would_be_typed() -> None:
    """Its words quoted, and how it ended unless well."""
    assert words(["ls", "a b"]) == "ls 'a b'"
    assert words(["false"], status=1) == "false: status 1"


def test_our_scripts_are_told_by_what_they_are_asked_for() -> None:
    """Their text is long and always the same."""
    assert words(["sh", "-c", "set -eu; long", "fleetdeploy", "renew", "x y"]) == "fleetdeploy renew 'x y'"
    assert words(["sh", "-c", "echo $1", "mine", "x"]) == "sh -c 'echo $1' mine x"


def test_an_environment_is_never_told() -> None:
    """Its values travel on standard input, and only the command's words are told."""
    argv, _ = with_environment(["curl", "there"], {"TOKEN": "hunter2"})
    assert words(argv) == "fleetdeploy curl there"


def test_what_fails_is_told_and_raised() -> None:
    """With the kind of its error; the text goes the usual way."""
    told = Told()
    with pytest.raises(DeadlineExceeded), Tracing("gpu1", told).command(["sleep", "9"]):
        raise DeadlineExceeded("late")
    assert told == [("gpu1", "sleep 9: DeadlineExceeded", False)]


def test_a_terminal_that_went_away_fails_no_host() -> None:
    """A trace that cannot be shown is left out."""

    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError

    with Tracing("gpu1", broken).command(["id"]) as ended:
        ended(0)


def test_a_connection_tells_of_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command, and those of a further connection to the host as well."""
    told = Told()
    made = SshConnection(Host("gpu1", Connection("x")), connect_timeout_s=1, handshakes=Handshakes(), trace=told)
    monkeypatch.setattr(SshConnection, "_run", lambda *_, **__: CommandResult(3, b"", b""))
    made.run(["id", "-u"], deadline_s=1)
    made.another(connect_timeout_s=1).run(["id"], deadline_s=1)
    assert told == [("gpu1", "id -u: status 3", False), ("gpu1", "id: status 3", False)]


def test_without_a_trace_nothing_is_put_together() -> None:
    """A command of many words costs nothing that nobody looks at."""

    class Costly(list[str]):
        def __iter__(self) -> Any:
            raise AssertionError("looked at")

    with Tracing("gpu1", None).command(Costly(["x"])) as ended:
        ended(0)
