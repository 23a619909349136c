"""Limits of the kernel: files that may be open."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn

LEAST = 1024
NEARLY = 0.9


def look(facts: HostFacts) -> Iterator[Finding]:
    """Of a session of ours, and of the whole host."""
    limit = facts.text("nofile").strip()
    if limit != "unlimited" and int(limit) < LEAST:
        yield warn(
            f"a session may have {limit} files open",
            why="rsync of a large model needs more",
            fix="on {host}: raise `nofile` in /etc/security/limits.conf",
        )
    else:
        yield fine(f"a session may have {limit} files open")
    used, _, most = map(int, facts.text("file_nr").split())
    if used > NEARLY * most:
        yield warn(
            f"{used} of {most} files of the whole host are open",
            why="then nothing can be opened any more",
            fix="on {host}: sudo sysctl fs.file-max=2000000",
        )


CHECK = Check(Group.SYSTEM, "the kernel's limits", look, "ssh {host} ulimit -n", services=False, aside=True)
