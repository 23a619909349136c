"""Who works on the host now."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn


def look(facts: HostFacts) -> Iterator[Finding]:
    """Leases that still hold; one whose time is over is in nobody's way."""
    held = False
    for name, service in facts.observed.services.items():
        lease = known(service.lease)
        if lease is not None and lease.live:
            held = True
            yield warn(
                f"{lease.holder} works on service {name} now",
                why="other runs are turned away meanwhile",
                fix="wait for it; if it hangs: fleetdeploy lock break {fleet}{host} --reason TEXT",
            )
    if not held:
        yield fine("nobody works on it now")


CHECK = Check(Group.FLEET, "who works on the host", look, "fleetdeploy lock show {fleet}{host}")
