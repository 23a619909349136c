"""The page with the metrics, on the REST port.

See ProcessPrometheusRequest and CreateAndStartHttpServer in tensorflow_serving/model_servers/http_server.cc.
"""

from typing import Final

from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.messages import MonitoringConfig
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics
from fleetdeploy.lab.modelserver.text_proto import read_text_proto

DEFAULT_PATH: Final = "/monitoring/prometheus/metrics"
CONTENT_TYPE: Final = "text/plain"


class MonitoringPage:
    """The page and its path; it is answered whatever the method of a request."""

    def __init__(self, path: str, metrics: ServerMetrics) -> None:
        self.path = path
        self._metrics = metrics

    def answer(self, target: str) -> tuple[int, str]:
        """HTTP status and text for a request to `path`; `target` is the path with the query, which must be empty."""
        if target != self.path:
            return 400, f"Unexpected path: {target}. Should be {self.path}"
        return 200, self._metrics.page()


def monitoring_page(flags: Flags, metrics: ServerMetrics) -> MonitoringPage | None:
    """The page as --monitoring_config_file asks for it; None without the file, or if it does not enable the page.

    Raises NOT_FOUND for a missing file and INVALID_ARGUMENT for one that does not parse.
    """
    if not flags.monitoring_config_file:
        return None
    config = read_text_proto(flags.monitoring_config_file, MonitoringConfig()).prometheus_config
    return MonitoringPage(config.path or DEFAULT_PATH, metrics) if config.enable else None
