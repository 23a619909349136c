"""Which SSH server answers, and how far away it is."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn
from fleetdeploy.gates.doctor.versions import shown, version_in

_SOCKETS_SINCE = (6, 7)
"""OpenSSH that forwards to UNIX sockets, see its release notes."""
_FAR_S = 0.5


def look(facts: HostFacts) -> Iterator[Finding]:
    """OpenSSH and dropbear are known to work."""
    banner = known(facts.link.server) or ""
    name = banner.removeprefix("SSH-2.0-").split(" ")[0]
    if name.startswith("OpenSSH_"):
        version = version_in(name, after="OpenSSH_")
        if version < _SOCKETS_SINCE:
            yield warn(
                f"OpenSSH {shown(version)} is older than {shown(_SOCKETS_SINCE)}",
                why="it forwards to no sockets, so that Docker is reached more slowly",
                fix="on {host}: update openssh-server",
            )
        else:
            yield fine(f"SSH answers: {name}")
    elif name.startswith("dropbear"):
        yield fine(f"SSH answers: {name}; scripts travel on standard input there")
    else:
        yield warn(
            f"the SSH server calls itself {name!r}", why="only OpenSSH and dropbear are tested", fix="use OpenSSH"
        )
    took_s = known(facts.link.round_trip_s) or 0.0
    if took_s > _FAR_S:
        yield warn(
            f"a question and its answer take more than {_FAR_S:g} s",
            why="a rollout asks a host dozens of times",
            fix="look at `ping {host}` and at the host's load",
        )
    else:
        yield fine(f"an answer takes {took_s * 1000:.0f} ms")


CHECK = Check(
    Group.SSH, "the SSH server's name", look, "ssh -v {host} true 2>&1 | grep 'remote software'", services=False
)
