"""Who we are on the host. A sudo that refuses is told before any check: then nothing could be looked at."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine


def look(facts: HostFacts) -> Iterator[Finding]:
    """With ``ansible_become`` it is root."""
    user = facts.text("user").strip()
    if not user:
        raise ValueError("id told no name")
    if facts.host.connection.become and user != "root":
        yield bad(
            f"sudo makes {user} of us, not root", why="ansible_become asks for root", fix="look at `sudo -l` on {host}"
        )
    else:
        yield fine(f"commands run as {user}" + (", by sudo" if facts.host.connection.become else ""))


CHECK = Check(Group.ROOT, "as whom commands run", look, "ssh {host} id", services=False)
