"""What the server counts: names, labels and bucket limits are those of tensorflow/serving and of TensorFlow.

One object of `ServerMetrics` is made when the program starts and handed to those who count.
"""

import time
from collections.abc import Iterable

from fleetdeploy.lab.modelserver.metrics import exposition
from fleetdeploy.lab.modelserver.metrics.cells import Counter, Gauge, Histogram, exponential
from fleetdeploy.lab.modelserver.metrics.exposition import AnyMetric
from fleetdeploy.lab.modelserver.metrics.unused import unused_metrics


def now_us() -> int:
    """Microseconds on a clock that only goes forward."""
    return time.monotonic_ns() // 1000


class ServerMetrics:
    """Every metric of the server. All times are in microseconds; label values go in the order of the definitions."""

    def __init__(self) -> None:
        latencies = exponential(10, 1.8, count=33)
        queues = exponential(100, 1.2, count=52)

        # tensorflow_serving/servables/tensorflow/util.cc
        self.request_count = Counter("/tensorflow/serving/request_count", "model_name", "status")
        self.request_latency = Histogram(
            "/tensorflow/serving/request_latency", "model_name", "API", "entrypoint", limits=latencies
        )
        self.runtime_latency = Histogram(
            "/tensorflow/serving/runtime_latency", "model_name", "API", "runtime", limits=latencies
        )
        self.request_example_counts = Histogram(
            "/tensorflow/serving/request_example_counts", "model", limits=exponential(1, 2, count=15)
        )
        self.request_example_count_total = Counter("/tensorflow/serving/request_example_count_total", "model")

        # tensorflow_serving/servables/tensorflow/saved_model_warmup_util.cc, batching/batching_session.cc
        self.model_warmup_latency = Histogram(
            "/tensorflow/serving/model_warmup_latency", "model_path", "status", limits=latencies
        )
        self.model_warmup_records_read = Counter(
            "/tensorflow/serving/model_warmup_records_read", "model_path", "status"
        )
        self.queuing_latency = Histogram(
            "/tensorflow/serving/batching_session/queuing_latency", "thread_pool_name", limits=queues
        )
        self.wrapped_run_count = Counter("/tensorflow/serving/batching_session/wrapped_run_count")
        # Registered when first used, so that nothing names them before (batching/batching_util.h).
        batch_sizes = exponential(1, 2, count=14)
        self.padding_size = Histogram(
            "/tensorflow/serving/batching_session/padding_size", "execution_batch_size", limits=batch_sizes
        )
        self.input_batch_size = Histogram("/tensorflow/serving/batching_session/input_batch_size", limits=batch_sizes)
        self.processed_batch_size = Histogram(
            "/tensorflow/serving/batching_session/processed_batch_size", limits=batch_sizes
        )
        self._registered_late = (self.padding_size, self.input_batch_size, self.processed_batch_size)

        # tensorflow/cc/saved_model/loader.cc and metrics.cc
        self.load_attempt_count = Counter("/tensorflow/cc/saved_model/load_attempt_count", "model_path", "status")
        self.load_latency = Counter("/tensorflow/cc/saved_model/load_latency", "model_path")
        self.load_latency_by_stage = Histogram(
            "/tensorflow/cc/saved_model/load_latency_by_stage", "model_path", "stage", limits=latencies
        )
        self.saved_model_read_api = Counter("/tensorflow/core/saved_model/read/api", "api_label")
        self.saved_model_read_count = Counter("/tensorflow/core/saved_model/read/count", "write_version")
        self.saved_model_read_fingerprint = Gauge("/tensorflow/core/saved_model/read/fingerprint")
        self.saved_model_read_path = Gauge("/tensorflow/core/saved_model/read/path")

        # tensorflow/core/common_runtime/direct_session.cc and session.cc, core/framework/metrics.cc
        self.direct_session_runs = Counter("/tensorflow/core/direct_session_runs")
        self.graph_runs = Counter("/tensorflow/core/graph_runs")
        self.graph_run_time_usecs = Counter("/tensorflow/core/graph_run_time_usecs")
        self.graph_run_time_usecs_histogram = Histogram(
            "/tensorflow/core/graph_run_time_usecs_histogram", limits=exponential(1000, 2, count=20)
        )
        self.session_created = Gauge("/tensorflow/core/session_created")

        own = [each for each in vars(self).values() if isinstance(each, (Counter, Gauge, Histogram))]
        self._by_name: dict[str, AnyMetric] = {each.name: each for each in [*own, *unused_metrics()]}

    def page(self) -> str:
        """Write the page for Prometheus."""
        return exposition.page(
            each for each in self._by_name.values() if each not in self._registered_late or each.cells()
        )

    def first_values(self, names: Iterable[str]) -> dict[str, int]:
        """Name of a metric (its internal one, with slashes) to the number in its first cell.

        0 stands for a metric that is unknown, has no cells, or is a histogram (GetMetrics in
        tensorflow_serving/model_servers/model_service_impl.cc).
        """
        values: dict[str, int] = {}
        for name in names:
            metric = self._by_name.get(name)
            cells = metric.cells() if isinstance(metric, (Counter, Gauge)) else []
            values[name] = cells[0][1] if cells else 0
        return values

    def load_failed(self, path: str, *, took_us: int) -> None:
        """Count an attempt to load a SavedModel that failed."""
        self._load_ended(path, "fail", took_us)

    def loaded(self, path: str, *, took_us: int, write_version: str, has_fingerprint: bool, runs: int) -> None:
        """Count a SavedModel that was loaded, `runs` being the runs of its graph that this took.

        How long restoring and initializing took is known for both together only, so that the page shows it as
        restoring; the runs are counted, but not their time.
        """
        self._load_ended(path, "success", took_us)
        self.load_latency_by_stage.add(path, "restore_graph", value=took_us)
        self.load_latency_by_stage.add(path, "init_graph", value=0)
        self.saved_model_read_count.add(write_version)
        self.saved_model_read_path.set(to=path)
        if has_fingerprint:
            self.saved_model_read_fingerprint.set(to=True)
        self.session_created.set(to=True)
        self.direct_session_runs.add(by=runs)
        self.graph_runs.add(by=runs)

    def _load_ended(self, path: str, status: str, took_us: int) -> None:
        self.saved_model_read_api.add("cc_load")
        self.load_attempt_count.add(path, status)
        self.load_latency.add(path, by=took_us)

    def graph_ran(self, took_us: int) -> None:
        """Count a run of a graph that succeeded; one that took less than a microsecond is not counted there either."""
        if took_us > 0:
            self.graph_runs.add()
            self.graph_run_time_usecs.add(by=took_us)
            self.graph_run_time_usecs_histogram.add(value=took_us)

    def examples_read(self, model: str, count: int) -> None:
        """Count the tensorflow.Examples of one MultiInference request; no other request is counted by its examples."""
        self.request_example_counts.add(model, value=count)
        self.request_example_count_total.add(model, by=count)

    def warmed_up(self, path: str, status: str, *, took_us: int, records: int) -> None:
        """Count the replay of a warm-up file that was read to its end or to an error of reading.

        `status` is `OK` or the error as `CODE: text`. A record that cannot be parsed or whose request fails ends the
        replay before anything is counted (saved_model_warmup_util.cc).
        """
        self.model_warmup_latency.add(path, status, value=took_us)
        self.model_warmup_records_read.add(path, status, by=records)
