"""Plans and outcomes as JSON values. The shapes are part of the command line's contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleetdeploy.domain.outcome import RunOutcome
from fleetdeploy.domain.plan import HostPlan, Plan, ServicePlan
from fleetdeploy.domain.signatures import SignatureChange, SignatureComparison
from fleetdeploy.report.plan_text import shown_fields


def plan(value: Plan, extra: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """A whole plan: ``hosts`` by name, ``unreachable`` with reasons, and whether anything would change."""
    return {
        "changed": bool(value.changed_hosts) or any(extra.values()),
        "hosts": {name: _host(host, extra.get(name, ())) for name, host in value.hosts.items()},
        "unreachable": dict(value.unreachable),
    }


def outcome(value: RunOutcome) -> dict[str, object]:
    """The result of a run."""
    return {
        "run": value.run,
        "exit_code": value.exit_code,
        "summary": value.last_line,
        "hosts": {
            name: {
                "state": item.state.value,
                "reason": item.reason,
                "hint": item.hint,
                "mixed": item.mixed,
                "steps_changed": item.steps_changed,
                "steps_ok": item.steps_ok,
            }
            for name, item in value.hosts.items()
        },
    }


def _host(value: HostPlan, extra: Sequence[str]) -> dict[str, object]:
    return {
        "changed": value.changed or bool(extra),
        "refusals": [{"message": item.message, "hint": item.hint} for item in value.refusals],
        "services": {service.desired.name: _service(service) for service in value.services},
        "signatures": [_signatures(item) for item in value.signatures],
        "further": list(extra),
    }


def _signatures(value: SignatureComparison) -> dict[str, object]:
    """A served and a new version. ``unknown`` says why they could not be compared, else ``changes`` is complete."""
    return {
        "service": value.service,
        "model": value.model,
        "served": value.served,
        "new": value.new,
        "breaking": bool(value.breaking),
        "allowed": value.allowed,
        "unknown": value.unknown,
        "changes": signature_changes(value.changes),
    }


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


def _service(value: ServicePlan) -> dict[str, object]:
    return {
        "activation": value.activation.value,
        "reason": value.reason,
        "release": value.release_id,
        "pull_image": value.pull_image,
        "undrain": value.undrain,
        "stage": [
            {
                "model": item.model,
                "version": item.version.number,
                "copy_bytes": item.copy_bytes,
                "link_from": item.link_from,
            }
            for item in value.stage
        ],
        "changes": [{"what": item.what, "before": item.before, "after": item.after} for item in value.changes],
        "container": shown_fields(value),
    }
