"""The plays of a plan as JSON values: waves, capacity and seconds. Part of the plan's shape; see ``as_json.py``."""

from __future__ import annotations

from fleetdeploy.domain.forecast import Expected, Forecast, PlayForecast, RunRefusal, ServiceForecast, WaveForecast


def run(forecast: Forecast) -> dict[str, object]:
    """What a plan says of the run: ``plays`` with work, ``refusals`` of the run as a whole, and its ``seconds``."""
    return {
        "plays": [_play(play) for play in forecast.plays],
        "refusals": [_refusal(item) for item in forecast.refusals],
        **_seconds(forecast.expected),
    }


def _refusal(value: RunRefusal) -> dict[str, object]:
    return {"where": value.where, "message": value.message, "hint": value.hint, "hosts": list(value.hosts)}


def _seconds(expected: Expected | None) -> dict[str, object]:
    """By what earlier runs took: null where they say nothing; ``seconds_at_least`` where they do not say all."""
    return {
        "seconds": None if expected is None else round(expected.seconds, 1),
        "seconds_at_least": expected is not None and expected.at_least,
    }


def _play(play: PlayForecast) -> dict[str, object]:
    return {
        "name": play.name,
        "hosts_total": play.total,
        "max_unavailable": play.max_unavailable,
        "min_available": play.min_available,
        "spread": play.spread,
        "soak_seconds": play.soak_s,
        "watched_seconds": play.watched_s,
        "takes_out": play.bound,
        "foreseen": play.foreseen,
        "refused": bool(play.refusals),
        "waves": [_wave(wave) for wave in play.waves],
        **_seconds(play.expected),
    }


def _wave(wave: WaveForecast) -> dict[str, object]:
    return {
        "number": wave.number,
        "hosts": list(wave.hosts),
        "in_service": _in_service(wave.service),
        **_seconds(wave.expected),
    }


def _in_service(service: ServiceForecast | None) -> dict[str, object] | None:
    """Of all hosts of the play, whatever ``--limit`` leaves. Null where nothing that serves is touched, or nobody knows
    what serves.
    """
    if service is None:
        return None
    domain = service.domain
    return {
        "before": service.before,
        "lowest": service.lowest,
        "taken_out": list(service.taken_out),
        "side_by_side": service.side_by_side,
        "domain": domain
        and {"name": domain.name, "lowest": domain.lowest, "total": domain.total, "least": domain.least},
    }
