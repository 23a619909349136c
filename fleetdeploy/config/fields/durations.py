"""Durations as people write them: ``30s``, ``2m``, ``1h30m``; a plain whole number counts seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

from fleetdeploy.config.syntax.refusal import NotA

_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_LONGEST_S = 7 * 86400.0


def parse_duration(value: object) -> float:
    """Seconds. Units in falling order, each at most once; at most seven days. Raises NotA."""
    return duration_up_to(_LONGEST_S)(value)


def duration_up_to(longest_s: float) -> Callable[[object], float]:
    """The same with another longest duration."""
    return lambda value: _parsed(value, longest_s)


def _parsed(value: object, longest_s: float) -> float:
    expected = NotA("a duration", f"something like 30s, 2m or 1h30m, at most {written_duration(longest_s)}")
    if type(value) is int:
        seconds = float(value)
    elif isinstance(value, float):
        seconds = value
    elif isinstance(value, str) and value and (found := _DURATION.fullmatch(value)):
        if any(len(part) > 9 for part in found.groups() if part):
            raise expected
        seconds = sum(int(part) * unit for part, unit in zip(found.groups(), _UNITS_S.values(), strict=True) if part)
    else:
        raise expected
    if not 0 <= seconds <= longest_s:
        raise expected
    return seconds


Duration = Annotated[
    float,
    PlainValidator(parse_duration),
    WithJsonSchema(
        {
            "title": "duration",
            "type": ["string", "number"],
            "pattern": r"^(?=\d)(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?(\d{1,9}ms)?$",
            "minimum": 0,
            "maximum": _LONGEST_S,
        }
    ),
]


def written_duration(seconds: float) -> str:
    """``seconds`` as a person would write them, with the largest units that fit."""
    rest_ms, parts = round(seconds * 1000), []
    for unit, size_s in _UNITS_S.items():
        count, rest_ms = divmod(rest_ms, round(size_s * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
