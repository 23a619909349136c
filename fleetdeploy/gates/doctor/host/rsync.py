"""rsync on the host, which receives models."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, Untold
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn
from fleetdeploy.gates.doctor.versions import install, rsync_version, shown

OLDEST = (3, 1)
SYNCS_SINCE = (3, 2, 4)
"""What brought ``--fsync``."""


def look(facts: HostFacts) -> Iterator[Finding]:
    """One that is not there is a fault, not a thing that nobody knows."""
    try:
        text = facts.text("rsync")
    except Untold as reason:
        if "not found" not in str(reason):
            raise
        yield bad(
            "rsync is missing on the host",
            why="models are copied by it",
            fix=install(facts, "rsync"),
        )
        return
    version = rsync_version(text)
    if version < OLDEST:
        yield bad(
            f"rsync {shown(version)} is older than {shown(OLDEST)}",
            why="models are copied by it",
            fix=install(facts, "rsync"),
        )
    elif version < SYNCS_SINCE:
        yield warn(
            f"rsync {shown(version)} has no --fsync, which came with {shown(SYNCS_SINCE)}",
            why="copies are synced all at once behind their end, which takes longer",
            fix=install(facts, "rsync"),
        )
    else:
        yield fine(f"rsync {shown(version)}")


CHECK = Check(Group.TOOLS, "rsync's version", look, "ssh {host} rsync --version")
