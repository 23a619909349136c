"""What the host has missed, and whether a run has left it out of its balancer."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn


def look(facts: HostFacts) -> Iterator[Finding]:
    """By this controller's records and the host's own marker."""
    if facts.owes:
        yield warn(f"it has missed a release: {facts.owes}", fix="fleetdeploy deploy {fleet}-l {host}")
    drained = False
    for name, service in facts.observed.services.items():
        if run := known(service.drained_by):
            drained = True
            yield warn(
                f"run {run} took it out of its balancer for service {name}, and has not put it back",
                why="the fleet has less capacity",
                fix=f"fleetdeploy resume {run}  (or `fleetdeploy deploy {{fleet}}-l {{host}}`)",
            )
    if not facts.owes and not drained:
        yield fine("it owes nothing")


CHECK = Check(Group.FLEET, "what the host owes", look, "fleetdeploy status {fleet}{host}")
