"""The page that Prometheus reads.

Follows tensorflow_serving/util/prometheus_exporter.cc: metrics in the order of their internal names, a TYPE line for
each even if it has no cells, no HELP lines, empty braces where there are no labels, floating point with six digits.
"""

import re
from collections.abc import Iterable
from typing import Final

from fleetdeploy.lab.modelserver.metrics.cells import Counter, Gauge, Histogram, Labels

AnyMetric = Counter | Gauge | Histogram
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_]")
_NOT_IN_LABELS: Final = re.compile(r"[^a-zA-Z0-9]")


def page(metrics: Iterable[AnyMetric]) -> str:
    """Write all metrics."""
    lines: list[str] = []
    for metric in sorted(metrics, key=lambda each: each.name):
        name = exposed_name(metric.name)
        lines.append(f"# TYPE {name} {metric.kind}")
        if isinstance(metric, Histogram):
            lines += _histogram_lines(name, metric)
        else:
            lines += [f"{name}{{{_labels(metric.labels, values)}}} {number}" for values, number in metric.cells()]
    return "\n".join(lines) + "\n"


def exposed_name(name: str) -> str:
    """Name of a metric on the page: `:tensorflow:serving:request_count` for `/tensorflow/serving/request_count`."""
    return _not_first_a_digit(_NOT_IN_NAMES.sub(":", name))


def _histogram_lines(name: str, metric: Histogram) -> list[str]:
    limits = [*(f"{limit:g}" for limit in metric.limits), "+Inf"]
    lines: list[str] = []
    for values, distribution in metric.cells():
        labels = _labels(metric.labels, values)
        before = labels + "," if labels else ""
        seen = 0
        for limit, count in zip(limits, distribution.counts, strict=True):
            seen += count
            lines.append(f'{name}_bucket{{{before}le="{limit}"}} {seen}')
        lines += [f"{name}_sum{{{labels}}} {distribution.total:g}", f"{name}_count{{{labels}}} {seen}"]
    return lines


def _labels(names: Labels, values: Labels) -> str:
    return ",".join(f'{_label_name(name)}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _label_name(name: str) -> str:
    return _not_first_a_digit(_NOT_IN_LABELS.sub("_", name))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')  # and no more: a line break goes out as it is


def _not_first_a_digit(name: str) -> str:
    return f"_{name}" if name[:1].isdigit() else name
