"""Whether anything keeps the host's clock right."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn

_KEPT = ("NTPSynchronized=yes", "Leap status     : Normal", "sync_ntp", "leap_none")
_LEFT = ("NTPSynchronized=no", "Leap status     : Not synchronised", "sync_unspec", "leap_alarm")


def look(facts: HostFacts) -> Iterator[Finding]:
    """By timedatectl, chronyc or ntpq, whichever the host has."""
    said = facts.text("ntp")
    if any(words in said for words in _LEFT):
        yield warn(
            "nothing keeps the clock right (not synchronised)",
            why="it drifts by seconds a week",
            fix="on {host}: sudo timedatectl set-ntp true",
        )
    elif any(words in said for words in _KEPT):
        yield fine("the clock is synchronised")
    else:
        raise ValueError(f"{said.strip()[:60]!r} says neither yes nor no")


CHECK = Check(
    Group.SYSTEM, "whether the clock is synchronised", look, "ssh {host} timedatectl", services=False, aside=True
)
