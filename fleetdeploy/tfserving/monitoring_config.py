"""The file that has a model server tell Prometheus what it counts."""

from __future__ import annotations

PATH = "/monitoring/prometheus/metrics"
"""Where it tells, on its REST port."""
TEXT = f'prometheus_config {{\n  enable: true\n  path: "{PATH}"\n}}\n'
