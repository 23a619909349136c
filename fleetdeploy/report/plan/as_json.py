"""A plan as JSON values. Their shape is part of the command line's contract; ``schema.py`` beside it describes it."""

from __future__ import annotations

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.plan import Change, FileKind, HostPlan, ServicePlan, StageItem
from fleetdeploy.domain.signatures import SignatureComparison
from fleetdeploy.report.as_json import signature_changes
from fleetdeploy.report.plan import freeze, waves_json
from fleetdeploy.report.plan.changes_text import CONTAINER
from fleetdeploy.report.plan.container_changes import FieldChange, container_changes, shown_fields
from fleetdeploy.report.plan.gpu_text import gpu_fit_values
from fleetdeploy.report.plan.server_json import server

FORMAT = 1
"""Of the shape. A new key is no new format, a key that goes or means something else is."""


def plan(forecast: Forecast) -> dict[str, object]:
    """A whole plan: ``hosts`` by name, ``unreachable`` with reasons, and whether anything would change."""
    plan = forecast.plan
    return {
        "format": FORMAT,
        "changed": bool(forecast.changing),
        "hosts": {name: _host(name, host, forecast) for name, host in plan.hosts.items()},
        "unreachable": dict(plan.unreachable),
        **waves_json.run(forecast),
        "freeze": freeze.values(forecast),
    }


def _host(name: str, value: HostPlan, forecast: Forecast) -> dict[str, object]:
    return {
        "changed": forecast.changes(name),
        "refusals": [{"message": item.message, "hint": item.hint} for item in value.refusals],
        "services": {service.desired.name: _service(service) for service in value.services},
        "signatures": [_signatures(item) for item in value.signatures],
        "gpu_fits": [gpu_fit_values(item) for item in value.gpu_fits],
        "further": list(forecast.further(name)),
        "pending": [
            {"service": need.service, "task": need.task, "what": need.what} for need in forecast.pending.get(name, ())
        ],
    }


def _signatures(value: SignatureComparison) -> dict[str, object]:
    """A served and a new version. ``unknown`` says why they could not be compared, else ``changes`` is complete."""
    return {
        "service": value.service,
        "model": value.model,
        "served": value.served,
        "new": value.new,
        "label": value.label,
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
        "stage": [_stage(item) for item in value.stage],
        "changes": [*map(_field, container_changes(value)), *map(_change, value.changes)],
        "container": shown_fields(value),
        "server": server(value.server),
    }


def _stage(item: StageItem) -> dict[str, object]:
    """One version to be put in place; ``files`` holds it against the version ``against``, null where there is none."""
    files = item.files
    listed = {
        kind.value: [{"path": change.path, "size_bytes": change.size_bytes} for change in files.of(kind)]
        for kind in FileKind
    }
    return {
        "model": item.model,
        "version": item.version.number,
        "copy_bytes": item.copy_bytes,
        "link_from": item.link_from,
        "files": {
            "against": files.against,
            **listed,
            "same": {"count": files.same_count, "size_bytes": files.same_bytes},
        },
    }


def _change(item: Change) -> dict[str, object]:
    return {"what": item.what, "before": item.before, "after": item.after, "entries": []}


def _field(item: FieldChange) -> dict[str, object]:
    """A field of the container; of a list or a mapping ``entries`` are those that differ, null where there is none."""
    entries = [{"name": entry.name, "before": entry.before, "after": entry.after} for entry in item.entries]
    return {"what": f"{CONTAINER}{item.name}", "before": item.before, "after": item.after, "entries": entries}
