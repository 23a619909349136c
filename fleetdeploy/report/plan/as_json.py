"""A plan as JSON values. Their shape is part of the command line's contract."""

from __future__ import annotations

from collections.abc import Sequence

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.plan import HostPlan, ServicePlan
from fleetdeploy.domain.signatures import SignatureComparison
from fleetdeploy.report.as_json import signature_changes
from fleetdeploy.report.plan.changes_text import shown_fields


def plan(forecast: Forecast) -> dict[str, object]:
    """A whole plan: ``hosts`` by name, ``unreachable`` with reasons, and whether anything would change."""
    plan = forecast.plan
    return {
        "changed": bool(forecast.changing),
        "hosts": {name: _host(host, forecast.further.get(name, ())) for name, host in plan.hosts.items()},
        "unreachable": dict(plan.unreachable),
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
