"""How root is asked for, and what sudo's refusals mean."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.errors import RemoteCommandFailed
from fleetdeploy.remote.ssh import become
from fleetdeploy.remote.ssh import connection as ssh
from fleetdeploy.remote.ssh.channels import CommandResult
from fleetdeploy.remote.ssh.connection import SshConnection
from fleetdeploy.remote.ssh.handshakes import Handshakes

SUDO = ["env", "LC_ALL=C", "sudo", "-n", "-H", "-u", "root", "--"]


def test_root_is_asked_for_without_a_password() -> None:
    """sudo never asks (-n), speaks English, and takes every word behind -- as the command's."""
    assert become.as_root(["-x", "a b"]) == [*SUDO, "-x", "a b"]


def test_the_copy_ends_in_a_rsync_of_root() -> None:
    """rsync's receiving end is started like any command: through the same sudo, and only where the host becomes."""
    for wished, start in ((True, ["exec", *SUDO, "sh"]), (False, ["exec", "sh"])):
        host = Host("gpu1", Connection("x", become=wished))
        link = SshConnection(host, connect_timeout_s=1, handshakes=Handshakes())
        assert shlex.split(link.as_started(["rsync"], mark="ab", limit_s=9))[: len(start)] == start


@pytest.mark.parametrize(
    ("status", "said", "message", "hint"),
    [
        (1, "sudo: a password is required", "asks ops for a password", "ops ALL=(root) NOPASSWD: ALL"),
        (1, "sudo: sorry, you must have a tty to run sudo", "terminal", "Defaults:ops !requiretty"),
        (1, "ops is not in the sudoers file.", "does not know ops", "ops ALL=(root) NOPASSWD: ALL"),
        (1, "Sorry, user ops is not allowed to execute '/bin/sh' as root on gpu1.", "does not let ops", "NOPASSWD"),
        (1, "Sorry, user ops may not run sudo on gpu1.", "does not let ops", "NOPASSWD"),
        (1, 'sudo: The "no new privileges" flag is set, which', "new privileges", "NoNewPrivileges"),
        (1, "sudo: effective uid is not 0, is /usr/bin/sudo on", "setuid", "nosuid"),
        (1, "sudo: account validation failure, is your account locked?", "ops is locked", "chage -l ops"),
        (1, "sudo: some new words", "sudo failed: sudo: some new words", "NOPASSWD"),
        (1, "", "status 1 and no word", "NOPASSWD"),
        (127, "env: 'sudo': No such file or directory", "has no sudo", "install sudo"),
        (127, "env: can't execute 'sudo': No such file or directory", "has no sudo", "install sudo"),
    ],
)
def test_a_refusal_is_explained(status: int, said: str, message: str, hint: str) -> None:
    """Each way in which sudo refuses has its own meaning and what to do, in the host's name and with sudo's words."""
    error = become.refusal("gpu1", said, user="ops", status=status)
    assert error.where == "gpu1"
    assert message in error.message
    assert hint in error.hint
    assert error.detail == said


def test_a_host_that_root_logs_in_to_needs_no_sudo() -> None:
    """Where sudo is missing and the user is root already, dropping the variable is the way out."""
    assert "remove ansible_become" in become.refusal("gpu1", "", user="root", status=127).hint


def test_the_sudoers_line_can_be_pasted() -> None:
    """A user of a domain is written as sudoers(5) wants it."""
    assert r"corp\\ops ALL=(root)" in become.sudoers_hint(r"corp\ops")


def answering(monkeypatch: pytest.MonkeyPatch, *, refused: bool, status: int) -> tuple[SshConnection, list[str]]:
    """A connection to a host on which commands end with ``status``, by sudo's doing or their own."""
    commands: list[str] = []

    def run_on(_channel: object, command: str, **_: Any) -> CommandResult:
        commands.append(command)
        if refused:
            return CommandResult(status, b"", b"sudo: a password is required\n")
        if shlex.split(command)[-2:-1] == ["echo"]:
            return CommandResult(0, f"welcome\n{shlex.split(command)[-1]}\n".encode(), b"")
        return CommandResult(status, b"", b"sudo: a password is required\n")

    class Link:
        user = "ops"

        def channel(self, _opening: object) -> None: ...

    connection = SshConnection(Host("gpu1", Connection("x", become=True)), connect_timeout_s=1, handshakes=Handshakes())
    monkeypatch.setattr(ssh, "run_on", run_on)
    monkeypatch.setattr(connection, "_link", Link())
    return connection, commands


@pytest.mark.parametrize("status", [0, 41, 124])
def test_a_command_that_ran_costs_no_second_one(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an end that sudo could have made is looked into."""
    connection, commands = answering(monkeypatch, refused=False, status=status)
    assert connection.run(["true"], deadline_s=5).status == status
    assert len(commands) == 1
    assert shlex.split(commands[0])[: len(SUDO) + 1] == ["exec", *SUDO]


@pytest.mark.parametrize("status", [1, 126, 127])
def test_whose_failure_it_was_is_asked_not_guessed(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends as a refusing sudo does is told from one by whether root can say a random word."""
    connection, commands = answering(monkeypatch, refused=False, status=status)
    assert connection.run(["grep", "x"], deadline_s=5).status == status
    assert len(commands) == 2
    connection, _ = answering(monkeypatch, refused=True, status=status)
    with pytest.raises(RemoteCommandFailed):
        connection.run(["grep", "x"], deadline_s=5)
