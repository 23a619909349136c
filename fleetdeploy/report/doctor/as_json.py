"""What ``doctor --json`` prints; :mod:`.schema` describes it."""

from __future__ import annotations

from collections.abc import Sequence

from fleetdeploy.domain.checkup import Finding
from fleetdeploy.report.doctor.verdict import Diagnosis, health_of

FORMAT = 1


def as_json(found: Diagnosis) -> dict[str, object]:
    """Every finding, also of what is fine."""
    return {
        "format": FORMAT,
        "hosts": {name: _findings(findings, name) for name, findings in found.hosts.items()},
        "controller": _findings(found.controller, "HOST"),
        "exit_code": found.exit_code,
        "summary": found.last_line,
    }


def _findings(findings: Sequence[Finding], host: str) -> dict[str, object]:
    return {
        "state": health_of(findings).value,
        "findings": [
            {
                "check": item.check,
                "state": item.health.value,
                "what": item.what,
                "why": item.why,
                "fix": item.fix.replace("{host}", host),
                "aside": item.aside,
            }
            for item in findings
        ],
    }
