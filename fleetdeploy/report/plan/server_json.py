"""What a model server does under a plan, as JSON values."""

from __future__ import annotations

from fleetdeploy.domain.server_changes import LabelMove, ModelPhase, ServerChanges, ServerPhase


def server(value: ServerChanges) -> dict[str, object]:
    """``phases`` in order; ``burnt`` and ``obstacles`` are why no reload would do; ``unread`` has reasons by model."""
    return {
        "phases": [_phase(item) for item in value.phases],
        "burnt": [
            {"model": item.model, "version": item.number, "error": item.error} for item in value.hindrances.burnt
        ],
        "obstacles": list(value.hindrances.others),
        "removed": list(value.removed),
        "unread": dict(value.unread),
    }


def _phase(value: ServerPhase) -> dict[str, object]:
    return {
        "kind": value.kind.value,
        "models": {item.model: _model(item) for item in value.models},
        "golden": {model: list(numbers) for model, numbers in value.golden.items()},
    }


def _model(value: ModelPhase) -> dict[str, object]:
    return {
        "loads": list(value.loads),
        "beside": list(value.beside),
        "waits": list(value.waits),
        "unloads": list(value.unloads),
        "labels": {item.label: _move(item) for item in value.labels},
        "listed": not value.unlisted,
    }


def _move(value: LabelMove) -> dict[str, object]:
    """``before`` or ``after`` is null where there is no such label."""
    return {"before": value.before, "after": value.after}
