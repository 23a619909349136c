"""Outcomes as JSON values. Their shape is part of the command line's contract."""

from __future__ import annotations

from collections.abc import Sequence

from fleetdeploy.domain.outcome import RunOutcome
from fleetdeploy.domain.signatures import SignatureChange

FORMAT = 1
"""The version of a run's result. A key that goes, or means something else, is a new one."""
VALIDATED_FORMAT = 1
"""The same of what ``validate`` found."""


def outcome(value: RunOutcome) -> dict[str, object]:
    """The result of a run."""
    return {
        "format": FORMAT,
        "run": value.run,
        "exit_code": value.exit_code,
        "summary": value.last_line,
        "hosts": hosts(value),
    }


def hosts(value: RunOutcome) -> dict[str, object]:
    """How it ended for each host."""
    return {
        name: {
            "state": item.state.value,
            "reason": item.reason,
            "hint": item.hint,
            "mixed": item.mixed,
            "taken_back": item.taken_back,
            "steps_changed": item.steps_changed,
            "steps_ok": item.steps_ok,
        }
        for name, item in value.hosts.items()
    }


def validated(*, hosts: int, services: int, plays: int) -> dict[str, object]:
    """A project with nothing wrong in it: how many there are of what."""
    return {"format": VALIDATED_FORMAT, "exit_code": 0, "hosts": hosts, "services": services, "plays": plays}


def signature_changes(changes: Sequence[SignatureChange]) -> list[dict[str, object]]:
    """Differences of signatures: ``before`` or ``after`` is empty where there is nothing on that side."""
    return [
        {
            "signature": change.signature,
            "what": change.what,
            "before": change.before,
            "after": change.after,
            "why": change.why,
            "breaking": change.breaking,
        }
        for change in changes
    ]
