"""What is told of a real connection with ``-vv`` and ``-vvv``."""

from __future__ import annotations

from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.remote.private_sshd import PrivateSshd


def test_commands_and_connections_are_told(sshd: PrivateSshd) -> None:
    """The attempt to connect with user and place, then each command with its status, and channels to sockets; nothing
    that a command is given on its standard input.
    """
    told: list[tuple[str, bool]] = []
    host = sshd.host()

    def trace(name: str, what: str, *, seconds: float, wire: bool) -> None:
        assert name == host.name
        assert 0 <= seconds < 60
        told.append((what, wire))

    fleet = SshFleet(trace=trace)
    try:
        session = fleet.session(host)
        session.connection.run(["sh", "-c", "cat >/dev/null; exit 3"], stdin=b"hunter2", deadline_s=20)
        session.command(["true"], deadline_s=20, environment={"TOKEN": "hunter2"})
        session.connection.script("exit 0", "renew", "x", deadline_s=20)
        session.connection.open_tcp_channel("127.0.0.1", host.connection.port or 22).close()
    finally:
        fleet.close()
    (first, wire), *others = told
    assert wire
    assert first.startswith("connecting to ")
    assert first.endswith(f"@{host.connection.address} port {host.connection.port}")
    assert others == [
        ("sh -c 'cat >/dev/null; exit 3': status 3", False),
        ("fleetdeploy true", False),
        ("fleetdeploy renew x", False),
        (f"channel to 127.0.0.1 port {host.connection.port}", True),
    ]
