"""Data on time zones, which freeze windows need."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import ControllerFacts, Finding
from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn


def look(facts: ControllerFacts) -> Iterator[Finding]:
    """Slim images of containers come without."""
    if isinstance(facts.zone, Present):
        yield fine(f"time zones are known; this machine's is {facts.zone.value}")
    elif isinstance(facts.zone, Unknown) and "no data" in facts.zone.reason:
        yield warn("this machine has no data on time zones", why=facts.zone.reason, fix="sudo apt-get install tzdata")
    else:
        raise ValueError("nobody asked")


CHECK = Check(Group.SYSTEM, "time zones", look, "ls /usr/share/zoneinfo")
