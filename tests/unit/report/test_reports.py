"""Outcomes as JSON, and sizes in words."""

from __future__ import annotations

import pytest

from fleetdeploy.domain.outcome import HostOutcome, HostState, RunOutcome
from fleetdeploy.report import as_json
from fleetdeploy.report.wording import size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10 * 1024, "10 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 60, "1048576 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    """Binary units, a decimal only below ten."""
    assert size(count) == text


def test_an_outcome_as_json() -> None:
    """Run, exit code, summary, and every host with state, reason and hint."""
    host = HostOutcome("gpu1", HostState.REVERTED, "why", hint="what now", steps_ok=1)
    assert as_json.outcome(RunOutcome("r", 3, "FAILED", {"gpu1": host})) == {
        "format": 1,
        "run": "r",
        "exit_code": 3,
        "summary": "FAILED",
        "hosts": {
            "gpu1": {
                "state": "reverted",
                "reason": "why",
                "hint": "what now",
                "mixed": False,
                "taken_back": False,
                "steps_changed": 0,
                "steps_ok": 1,
            }
        },
    }
