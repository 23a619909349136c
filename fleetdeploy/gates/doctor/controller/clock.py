"""The clock of this machine, against which those of hosts are held."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import ControllerFacts, Finding
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn


def look(facts: ControllerFacts) -> Iterator[Finding]:
    """Hosts are held against this clock."""
    said = facts.text("ntp")
    if "NTPSynchronized=yes" in said:
        yield fine("this machine's clock is synchronised")
    elif "NTPSynchronized=no" in said:
        yield warn(
            "nothing keeps this machine's clock right",
            why="hosts are held against it, runs are named by it",
            fix="sudo timedatectl set-ntp true",
        )
    else:
        raise ValueError(f"{said.strip()[:60]!r} says neither yes nor no")


CHECK = Check(Group.SYSTEM, "whether this machine's clock is synchronised", look, "timedatectl", aside=True)
