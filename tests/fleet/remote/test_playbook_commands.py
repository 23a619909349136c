"""What the task ``run`` asks of a host, against a real sshd."""

from __future__ import annotations

import pytest

from fleetdeploy.errors import DeadlineExceeded, RemoteCommandFailed
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.remote.private_sshd import PrivateSshd

LOOK = """printf '%s|%s|%s' "$TOKEN" "$#" "${PATH:+path}"; cat
pid=$$
while [ "$pid" -gt 1 ]; do
  tr '\\0' ' ' < /proc/$pid/cmdline
  pid=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$pid/status)
done"""
"""Prints a variable, then its (empty) input and the command lines of everything above itself."""


def test_a_playbook_s_command(sshd: PrivateSshd, fleet: SshFleet) -> None:
    """Words arrive as they are, status and both outputs come back, and deadline and size limit hold."""
    session = fleet.session(sshd.host())
    ended = session.command(["printf", "<%s>", "a b", "$HOME", "it's"], deadline_s=10)
    assert (ended.status, ended.text) == (0, "<a b><$HOME><it's>")
    ended = session.command(["sh", "-c", "echo out; echo err >&2; exit 4"], deadline_s=10)
    assert (ended.status, ended.text) == (4, "out\nerr")
    with pytest.raises(DeadlineExceeded):
        session.command(["sleep", "60"], deadline_s=1)
    with pytest.raises(RemoteCommandFailed):
        session.command(["head", "-c", "3000000", "/dev/zero"], deadline_s=10)
    assert session.command(["fleetdeploy-nowhere"], deadline_s=10).status == 127


def test_the_environment_of_a_playbook_s_command(sshd: PrivateSshd, fleet: SshFleet) -> None:
    """Values arrive as they are, besides what the host gives, and stand on no command line of the host."""
    value = 'it\'s a `secret` "$HOME"\nwith é'
    session = fleet.session(sshd.host())
    ended = session.command(["sh", "-c", LOOK, "x", "a b"], deadline_s=20, environment={"TOKEN": value, "B": "1"})
    assert ended.status == 0
    printed, _, lines = ended.text.partition("|1|path")
    assert printed == value
    assert "timeout -k" in lines
    assert 'eval "$(cat)"' in lines, "what started the command is among the lines"
    assert "a `secret`" not in lines
    assert session.command(["sh", "-c", "exit 7"], deadline_s=20, environment={"A": "b"}).status == 7
    assert session.command(["fleetdeploy-nowhere"], deadline_s=20, environment={"A": "b"}).status == 127
    with pytest.raises(DeadlineExceeded):
        session.command(["sleep", "60"], deadline_s=1, environment={"A": "b"})
