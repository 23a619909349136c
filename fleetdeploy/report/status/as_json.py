"""The status as JSON values. Their shape is part of the command line's contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from fleetdeploy.domain.observed import Absent, ObservedService, Present, Unknown
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.report.fleet_state import FleetState, Members, services_of, unknown_of
from fleetdeploy.report.status.parts import (
    NO_DEBTS,
    container_of,
    drift_of,
    image_of,
    last_line,
    models_of,
    plan_of,
    seen_of,
    served_of,
)
from fleetdeploy.rollout.debt.ledger import Debt
from fleetdeploy.rollout.host.watching import told_watch

FORMAT = 1
"""The version of this shape. A key that goes, or means something else, is a new one."""


def as_json(plan: Plan, members: Members, owed: Mapping[str, Debt] = NO_DEBTS) -> dict[str, object]:
    """``null`` is what is not known; ``balancer`` is left out where there is none."""
    return {
        "format": FORMAT,
        "hosts": {name: _host(host, members) for name, host in plan.hosts.items()},
        "unreachable": dict(plan.unreachable),
        "owed": {name: asdict(debt) for name, debt in owed.items()},
        "balancers_not_asked": dict(FleetState.of(plan, members).silent_balancers),
        "summary": last_line(plan, members),
    }


def _host(host: HostPlan, members: Members) -> dict[str, object]:
    gpus = host.observed.gpus
    found: dict[str, object] = {
        "refusals": [
            {"message": item.message, "hint": item.hint, "exit_code": item.exit_code} for item in host.refusals
        ],
        "gpus": [
            {
                "index": gpu.index,
                "name": gpu.name,
                "memory_bytes": gpu.memory_bytes,
                "memory_used_bytes": gpu.memory_used_bytes,
            }
            for gpu in gpus.value
        ]
        if isinstance(gpus, Present)
        else None,
        "services": {name: _service(host, name) for name in services_of(host)},
    }
    reading = members.get(host.host.name, Absent())
    if isinstance(reading, Present):
        found["balancer"] = [
            {"pool": item.pool, "server": item.server, "traffic": item.traffic.value, "weight": item.weight}
            for item in reading.value
        ]
    elif isinstance(reading, Unknown):
        found["balancer"] = None
    return found


def _service(host: HostPlan, name: str) -> dict[str, object]:
    seen = seen_of(host, name)
    container = container_of(seen)
    unknown = dict(unknown_of(seen))
    unknown |= {f"served {model}": item.reason for model, item in seen.served.items() if isinstance(item, Unknown)}
    return {
        "release": seen.release.value.id if isinstance(seen.release, Present) else None,
        "took_back": (seen.release.value.took_back or None) if isinstance(seen.release, Present) else None,
        "container": container
        and {
            "name": container.name,
            "status": container.status,
            "image": image_of(host, name) or None,
            "image_id": container.image_id,
            "started_at": container.started_at or None,
            "restarts": container.restart_count,
        },
        "served": {model: _served(seen, model) for model in models_of(host, name)},
        "drained_by": seen.drained_by.value if isinstance(seen.drained_by, Present) else None,
        "watchdog": {"state": watch.state.value, "run": watch.run, "release": watch.release, "reason": watch.reason}
        if (watch := told_watch(seen))
        else None,
        "drift": "; ".join(drift_of(plan_of(host, name), seen)) or None,
        "unknown": unknown,
    }


def _served(seen: ObservedService, model: str) -> list[dict[str, object]] | None:
    reading = served_of(seen, model)
    if isinstance(reading, Present):
        return [
            {"version": item.number, "state": item.state.value, "error": item.error or None} for item in reading.value
        ]
    return None if isinstance(reading, Unknown) else []
