"""The files of host keys that the inventory names."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import ControllerFacts, Finding
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine


def look(facts: ControllerFacts) -> Iterator[Finding]:
    """Which keys are in them is told host by host."""
    for path, readable in facts.known_hosts.items():
        if readable:
            yield fine(f"host keys are in {path}")
        else:
            yield bad(
                f"there is no {path} that can be read",
                why="a host whose key is not pinned is never talked to",
                fix=f"ssh-keyscan HOST >> {path}  (compare the fingerprints with the hosts' own)",
            )
    if not facts.known_hosts:
        yield fine("host keys are where ssh_config says")


CHECK = Check(Group.SSH, "the files of host keys", look, "ls -l ~/.ssh/known_hosts")
