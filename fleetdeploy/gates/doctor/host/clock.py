"""The host's clock against ours, and whether anything keeps it right."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn

AWAY_S = 5.0


def look(facts: HostFacts) -> Iterator[Finding]:
    """No promise hangs on clocks; what is written down by them, and certificates, do."""
    offset_s = known(facts.clock_offset_s) or 0.0
    if abs(offset_s) > AWAY_S:
        # Rounded, so that hosts that are away alike are told together.
        yield warn(
            f"the clock is about {_about(abs(offset_s))} {'ahead of' if offset_s > 0 else 'behind'} this machine's",
            why="logs do not fit together, certificates fail",
            fix="on {host}: sudo timedatectl set-ntp true || sudo chronyc makestep",
        )
    else:
        yield fine("the clock agrees with this machine's")


def _about(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if round(seconds / size) >= 2:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


CHECK = Check(Group.SYSTEM, "the host's clock", look, "ssh {host} date -u", services=False)
