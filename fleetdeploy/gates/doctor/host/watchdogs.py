"""What watchdogs on the host wait for, or have done."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn


def look(facts: HostFacts) -> Iterator[Finding]:
    """One that was confirmed has done its work."""
    for name, service in facts.observed.services.items():
        watch = known(service.watch)
        if watch is None or not watch.told:
            yield fine(f"no watchdog of {name} is armed")
        elif watch.state is WatchState.FAILED:
            yield bad(
                f"service {name}: {watch.told}",
                why="what the host serves is what the failed release left",
                fix="fleetdeploy status {fleet}{host}, then fleetdeploy rollback {fleet}-l {host}",
            )
        else:
            yield warn(f"service {name}: {watch.told}", fix="fleetdeploy status {fleet}{host}")


CHECK = Check(Group.FLEET, "the watchdogs' state", look, "fleetdeploy status {fleet}{host}")
