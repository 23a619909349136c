"""What a model server tells Prometheus: what of its page says how it served."""

from __future__ import annotations

import math
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from fleetdeploy.domain.measured import ServerLoad

_COUNT, _LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
_ANSWERS = frozenset({"predict", "classify", "regress"})
"""What a request asks for. A REST GET, such as a look at a model's status, has none of these names."""

_NOT_OURS = frozenset(
    {
        "OK",
        "CANCELLED",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
    }
)
"""Statuses by which the server says that the request was wrong, or that nobody waits for an answer any more. A client
that sends such requests does so before, during and after a rollout. NOT_FOUND is among them although a rollout may take
away a version that is asked for by its number: looks at the status of a model that is not there yet end with it too.
Every other one, FAILED_PRECONDITION included (a table or variable that was not initialised), is about the server.
"""


def read(page: str) -> ServerLoad:
    """What the page says of requests, all models and both protocols together; a metric that was not used yet stands
    there without numbers. Raises ValueError for what is no such page.

    Answers are counted by their latencies: ``request_count`` has every REST request as OK, looks at the status too.
    """
    # Most of the page is about other things; without their TYPE lines, names come out as they stand there.
    lines = (line for line in page.splitlines() if line.startswith((f"{_COUNT}{{", f"{_LATENCY}_")))
    series: dict[str, list[Sample]] = defaultdict(list)
    for family in text_string_to_metric_families("\n".join(lines)):
        for sample in family.samples:
            series[sample.name].append(sample)
    try:
        errors = sum(int(item.value) for item in series[_COUNT] if item.labels.get("status", "OK") not in _NOT_OURS)
        answered = sum(int(item.value) for item in _answers(series[f"{_LATENCY}_count"]))
    except OverflowError as error:
        raise ValueError("a count on the page is no number") from error
    spent_us = math.fsum(item.value for item in _answers(series[f"{_LATENCY}_sum"]))
    return ServerLoad(answered, errors, spent_us / 1e6, _by_histogram_us(series[f"{_LATENCY}_bucket"]) / 1e6)


def _answers(samples: list[Sample]) -> list[Sample]:
    return [item for item in samples if item.labels.get("API", "").lower() in _ANSWERS]


def _by_histogram_us(buckets: list[Sample]) -> float:
    """All answers took as long as the middle of their bucket; those beyond the last limit as long as that."""
    total_us, below = 0.0, dict[tuple[str, ...], tuple[float, float]]()
    for item in _answers(buckets):
        of = tuple(item.labels.get(name, "") for name in ("model_name", "API", "entrypoint"))
        limit, (before, counted) = float(item.labels["le"]), below.get(of, (0.0, 0.0))
        total_us += (item.value - counted) * (before if math.isinf(limit) else (before + limit) / 2)
        below[of] = (limit, item.value)
    return total_us
