"""Whether sshd lets us through to what listens on the host: model servers by TCP, Docker by its socket."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.domain.observed import Present
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, unknown, warn

_RELOAD = "then: sudo systemctl reload ssh"


def look(facts: HostFacts) -> Iterator[Finding]:
    """Tried, not read: a Match block or a key's own options forbid it as well."""
    if known(facts.link.tcp):
        yield fine("sshd lets connections through to TCP ports")
    else:
        yield bad(
            "sshd forbids connections to TCP ports",
            why="model servers are asked by gRPC through SSH",
            fix=f"on {{host}}: set `AllowTcpForwarding yes`, and no `PermitOpen`, in sshd_config, {_RELOAD}",
        )
        return  # OpenSSH lets nothing through to sockets either then
    if facts.host.connection.become or not isinstance(facts.observed.docker, Present):
        return  # root asks Docker in another way; and of an engine that is silent, that is told already
    if not isinstance(facts.link.sockets, Present):
        why = getattr(facts.link.sockets, "reason", "")
        yield unknown("whether sshd lets connections through to sockets is not told", why=why, aside=True)
    elif facts.link.sockets.value:
        yield fine("sshd lets connections through to sockets")
    else:
        yield warn(
            "sshd forbids connections to sockets",
            why="Docker is reached by its command line, which is slower",
            fix=f"on {{host}}: set `AllowStreamLocalForwarding yes` in sshd_config, {_RELOAD}",
        )


CHECK = Check(Group.SSH, "whether sshd lets connections through", look, "sudo sshd -T | grep -i forwarding")
