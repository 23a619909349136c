"""The page for Prometheus as tests read it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contract_server import ModelServer

PATH: Final = "/monitoring/prometheus/metrics"
ENABLED: Final = "prometheus_config { enable: true }"
REQUESTS: Final = ":tensorflow:serving:request_count"
LATENCY: Final = ":tensorflow:serving:request_latency"
RUNTIME: Final = ":tensorflow:serving:runtime_latency"
LOADS: Final = ":tensorflow:cc:saved_model:load_attempt_count"
STAGES: Final = ":tensorflow:cc:saved_model:load_latency_by_stage"

LATENCY_LIMITS: Final = [
    "10", "18", "32.4", "58.32", "104.976", "188.957", "340.122", "612.22", "1102", "1983.59", "3570.47", "6426.84",
    "11568.3", "20823", "37481.3", "67466.4", "121440", "218591", "393464", "708235", "1.27482e+06", "2.29468e+06",
    "4.13043e+06", "7.43477e+06", "1.33826e+07", "2.40887e+07", "4.33596e+07", "7.80473e+07", "1.40485e+08",
    "2.52873e+08", "4.55172e+08", "8.19309e+08", "1.47476e+09", "+Inf",
]  # fmt: skip
EXAMPLE_LIMITS: Final = [*(str(2**power) for power in range(15)), "+Inf"]


def with_page(directory: Path, text: str = ENABLED) -> str:
    """The flag for a monitoring file with this text."""
    file = directory / "monitoring.config"
    file.write_text(text)
    return f"--monitoring_config_file={file}"


def page(server: ModelServer, path: str = PATH) -> list[str]:
    """Lines of the page."""
    answer = server.http("GET", path)
    assert answer.status == 200, answer.body
    return answer.body.splitlines()


def samples(server: ModelServer) -> dict[str, float]:
    """`name{labels}` to value."""
    pairs = (line.rpartition(" ") for line in page(server) if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


class Growth:
    """What has grown on the page since this was made."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._before = samples(server)

    def now(self, *names: str) -> dict[str, float]:
        """Increase of the samples of these metrics, those that did not change left out; buckets and sums too."""
        grown = {key: value - self._before.get(key, 0) for key, value in samples(self._server).items()}
        wanted = tuple(f"{name}{{" for name in names)
        return {key: value for key, value in grown.items() if value and key.startswith(wanted)}


def limits(lines: Sequence[str], name: str, labels: str) -> list[str]:
    """Values of `le` of one histogram, in the order of the page."""
    pattern = re.compile(rf'{re.escape(name)}_bucket{{{re.escape(labels)},le="([^"]*)"}} [0-9]+')
    return [match[1] for line in lines if (match := pattern.fullmatch(line))]
