"""Counters, gauges and histograms with labels, as TensorFlow's own monitoring has them.

Follows tsl/lib/monitoring/{counter,gauge,sampler,buckets}.h: a cell comes into being when its labels are first used,
and a metric without cells has nothing to show. The prometheus-client package is no base for this: it writes HELP lines,
`_total` and `_created` names and numbers in a format of its own, and the exposition must be the real server's.
"""

import threading
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

Labels = tuple[str, ...]


class Metric:
    """What all kinds have: a name in the form `/tensorflow/serving/request_count`, and the names of the labels."""

    kind = "untyped"

    def __init__(self, name: str, *labels: str) -> None:
        self.name: Final = name
        self.labels: Final = labels
        self._lock: Final = threading.Lock()

    def _check(self, values: Labels) -> None:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {values}")


class Counter(Metric):
    """A number that grows."""

    kind = "counter"

    def __init__(self, name: str, *labels: str) -> None:
        super().__init__(name, *labels)
        self._cells: dict[Labels, int] = {}

    def add(self, *values: str, by: int = 1) -> None:
        """Count; `values` are those of the labels, in their order. Even `by=0` makes the cell appear."""
        with self._lock:
            if values in self._cells:
                self._cells[values] += by
            else:
                self._check(values)
                self._cells[values] = by

    def cells(self) -> list[tuple[Labels, int]]:
        """All cells, ordered by the values of their labels."""
        with self._lock:
            return sorted(self._cells.items())


class Gauge(Metric):
    """A truth value or a text: the exporter prints the integer of a cell, which these have not, so that 0 is shown."""

    kind = "gauge"

    def __init__(self, name: str, *labels: str) -> None:
        super().__init__(name, *labels)
        self._cells: dict[Labels, bool | str] = {}

    def set(self, *values: str, to: bool | str) -> None:
        """Set the cell with these values of the labels."""
        self._check(values)
        with self._lock:
            self._cells[values] = to

    def cells(self) -> list[tuple[Labels, int]]:
        """All cells with the number that the exporter shows, ordered by the values of their labels."""
        with self._lock:
            return [(values, 0) for values in sorted(self._cells)]


class Distribution(NamedTuple):
    """What a histogram has seen for one set of labels."""

    counts: tuple[int, ...]
    """Per bucket, not cumulative; one more than there are limits."""
    total: float
    """Sum of the values."""


class Histogram(Metric):
    """How often values fell between limits. A value that equals a limit belongs to the bucket above it."""

    kind = "histogram"

    def __init__(self, name: str, *labels: str, limits: Sequence[float]) -> None:
        super().__init__(name, *labels)
        self.limits: Final = tuple(limits)
        self._cells: dict[Labels, tuple[list[int], list[float]]] = {}

    def add(self, *values: str, value: float) -> None:
        """Take note of one value; `values` are those of the labels, in their order."""
        bucket = bisect_right(self.limits, value)
        with self._lock:
            cell = self._cells.get(values)
            if cell is None:
                self._check(values)
                cell = self._cells[values] = [0] * (len(self.limits) + 1), [0.0]
            cell[0][bucket] += 1
            cell[1][0] += value

    def cells(self) -> list[tuple[Labels, Distribution]]:
        """All cells, ordered by the values of their labels."""
        with self._lock:
            return sorted((key, Distribution(tuple(counts), total[0])) for key, (counts, total) in self._cells.items())


def exponential(scale: float, growth: float, *, count: int) -> tuple[float, ...]:
    """Limits of `count` buckets: scale, scale * growth, ...; the one above the last limit is not among them."""
    limits = [scale]
    while len(limits) < count:
        limits.append(limits[-1] * growth)
    return tuple(limits)
