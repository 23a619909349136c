"""What the task ``run`` asks of a host, against a real sshd."""

from __future__ import annotations

import pytest

from fleetdeploy.errors import DeadlineExceeded, RemoteCommandFailed
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.remote.private_sshd import PrivateSshd


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
