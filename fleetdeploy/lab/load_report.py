"""What the load generator counts, in bounded memory: latencies as a histogram, a row for each second, first errors."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

SECONDS_KEPT: Final = 7200
ERRORS_KEPT: Final = 20

_FIRST_MS: Final = 0.01
_GROWTH: Final = 1.02
_BUCKETS: Final = 900
"""Buckets of 2 % width from 0.01 ms to about ten minutes."""


class Latencies:
    """A histogram from which percentiles are read with an error of at most 2 %."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._total = 0

    def add(self, latency_ms: float) -> None:
        """Count one latency."""
        place = math.ceil(math.log(max(latency_ms, _FIRST_MS) / _FIRST_MS, _GROWTH))
        self._counts[min(place, _BUCKETS - 1)] += 1
        self._total += 1

    def percentile(self, percent: float) -> float:
        """The latency in ms that ``percent`` of all requests did not exceed; 0 when there was none."""
        needed = math.ceil(self._total * percent / 100)
        seen = 0
        for place, count in enumerate(self._counts):
            seen += count
            if count and seen >= needed:
                return round(_FIRST_MS * _GROWTH**place, 3)
        return 0.0


@dataclass
class _Second:
    requests: int = 0
    failed: int = 0
    max_ms: float = 0.0
    versions: Counter[str] = field(default_factory=Counter)


class Tally:
    """Counts of all requests; safe from any thread. ``started_s`` is Unix time."""

    def __init__(self, *, started_s: float | None = None) -> None:
        self._lock = threading.Lock()
        self._started_s = time.time() if started_s is None else started_s
        self._requests: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._first_errors: list[dict[str, object]] = []
        self._seconds: defaultdict[int, _Second] = defaultdict(_Second)
        self._latencies = {"all": Latencies(), "grpc": Latencies(), "rest": Latencies()}

    def answered(self, protocol: str, version: str, *, latency_ms: float, now_s: float) -> None:
        """Count a right answer of ``version`` (``model/number``)."""
        with self._lock:
            self._count(protocol, latency_ms, now_s).versions[version] += 1
            self._versions[version] += 1

    def failed(self, protocol: str, kind: str, detail: str, *, latency_ms: float, now_s: float) -> None:
        """Count a request without a right answer; ``kind`` is short and one of few."""
        with self._lock:
            self._count(protocol, latency_ms, now_s).failed += 1
            self._failed[protocol] += 1
            self._kinds[f"{protocol} {kind}"] += 1
            if len(self._first_errors) < ERRORS_KEPT:
                at_s = round(now_s - self._started_s, 3)
                error = {"time_s": round(now_s, 3), "at_s": at_s, "protocol": protocol, "kind": kind}
                self._first_errors.append(error | {"detail": detail[:500]})

    def _count(self, protocol: str, latency_ms: float, now_s: float) -> _Second:
        self._requests[protocol] += 1
        self._latencies["all"].add(latency_ms)
        self._latencies[protocol].add(latency_ms)
        row = self._seconds[min(max(int(now_s - self._started_s), 0), SECONDS_KEPT)]
        row.requests += 1
        row.max_ms = max(row.max_ms, latency_ms)
        return row

    def report(self, *, now_s: float, finished: bool) -> dict[str, object]:
        """Everything counted so far as JSON values; row ``SECONDS_KEPT`` of the timeline stands for all later ones."""
        with self._lock:
            return {
                "finished": finished,
                "started_s": round(self._started_s, 3),
                "duration_s": round(now_s - self._started_s, 3),
                "requests": self._requests.total(),
                "failed": self._failed.total(),
                "by_protocol": {
                    protocol: {
                        "requests": self._requests[protocol],
                        "failed": self._failed[protocol],
                        "p50_ms": self._latencies[protocol].percentile(50),
                        "p99_ms": self._latencies[protocol].percentile(99),
                    }
                    for protocol in ("grpc", "rest")
                    if self._requests[protocol]
                },
                "p50_ms": self._latencies["all"].percentile(50),
                "p99_ms": self._latencies["all"].percentile(99),
                "versions": dict(sorted(self._versions.items())),
                "errors_by_kind": dict(self._kinds.most_common()),
                "first_errors": list(self._first_errors),
                "timeline": [
                    {
                        "second": second,
                        "requests": row.requests,
                        "failed": row.failed,
                        "max_ms": round(row.max_ms, 3),
                        "versions": dict(sorted(row.versions.items())),
                    }
                    for second, row in sorted(self._seconds.items())
                ],
            }
