"""Commands that have ended, as metrics and notifications are told of them."""

from __future__ import annotations

from typing import Any

from fleetdeploy.domain.outcome import HostOutcome, HostState, RunOutcome
from fleetdeploy.report.ending import Ending

LAST = {0: "OK: 1 of 2 hosts changed", 3: "FAILED: gpu2; every host serves what it served before"}


def ended(exit_code: int, *states: HostState, **more: Any) -> Ending:
    """A `sync` of hosts gpu1, gpu2, ... that ended in these states; without any it was refused."""
    hosts = {
        f"gpu{number}": HostOutcome(f"gpu{number}", state, "" if state is HostState.OK else f"why {number}")
        for number, state in enumerate(states, 1)
    }
    outcome = RunOutcome("20260131T000000Z-ab12", exit_code, LAST.get(exit_code, "LAST"), hosts) if hosts else None
    return Ending(
        "sync", "inventories/prod", 1000.0, 1012.5, exit_code,
        **{"error": "" if hosts else "another run works on gpu1", "outcome": outcome, **more},
    )  # fmt: skip
