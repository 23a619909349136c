"""Moments and time spans as operators read them: the same words in every view."""

from __future__ import annotations

from datetime import datetime, timezone


def lasted(seconds: float) -> str:
    """``0.4 s``, ``14 s``, ``3 min 20 s``, ``1 h 05 min``, ``2 d 3 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def ticking(seconds: float) -> str:
    """A span that is drawn anew while it grows: ``0:07``, ``12:30``, ``1:02:05``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(time_s: float) -> str:
    """The time of day in UTC, from Unix time: ``12:03:01``."""
    return datetime.fromtimestamp(time_s, tz=timezone.utc).strftime("%H:%M:%S")


def moment(time_s: float) -> str:
    """``2026-01-31 12:03:01Z``, from Unix time."""
    return datetime.fromtimestamp(time_s, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
