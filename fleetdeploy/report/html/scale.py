"""Times of a run on a page: as places on an axis, in percent of its width."""

from __future__ import annotations

from dataclasses import dataclass

from fleetdeploy.report.times import lasted

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
_MOST_TICKS = 8
_LEAST_PERCENT = 0.15
"""What took no time is still seen."""


@dataclass(frozen=True)
class Tick:
    """A mark on the axis. On narrow pages only every second one has its text: ``even`` ones."""

    at: float
    text: str
    even: bool


@dataclass(frozen=True)
class Scale:
    """The time from ``start_s`` to ``end_s``, both Unix time; at least a second."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return max(self.end_s - self.start_s, 1.0)

    def at(self, time_s: float) -> float:
        """The place of a moment, from 0 to 100."""
        return round(min(max(100 * (time_s - self.start_s) / self.length_s, 0.0), 100.0), 3)

    def span(self, from_s: float, to_s: float) -> tuple[float, float]:
        """Where a time begins, and how wide it is; never too narrow to be seen, never over the end."""
        left = self.at(from_s)
        width = max(self.at(to_s) - left, _LEAST_PERCENT)
        left = min(left, 100 - width)
        return round(left, 3), round(width, 3)

    def ticks(self) -> tuple[Tick, ...]:
        """At most nine marks, at round times since the start."""
        days = 86_400 * (1 + int(self.length_s / 86_400 / _MOST_TICKS))
        step = next((step for step in _STEPS_S if self.length_s / step <= _MOST_TICKS), days)
        return tuple(
            Tick(self.at(self.start_s + number * step), lasted(number * step) if number else "0", not number % 2)
            for number in range(int(self.length_s / step) + 1)
        )
