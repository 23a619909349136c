"""Metrics of the stand-in server: counting, and the text for Prometheus."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from fleetdeploy.lab.modelserver.metrics.cells import Counter, Gauge, Histogram, exponential
from fleetdeploy.lab.modelserver.metrics.exposition import exposed_name, page
from fleetdeploy.lab.modelserver.metrics.measured import counting_examples, timed
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics
from fleetdeploy.lab.modelserver.servable import Feed, Servable, ServableId
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs


def test_counter() -> None:
    """A counter has one line per cell, ordered by the values of its labels."""
    counter = Counter("/a/b_c/d-e", "model_name", "status")
    counter.add("b", "OK")
    counter.add("a", "OK", by=3)
    counter.add("a", "NOT_FOUND")
    counter.add("b", "OK")
    assert page([counter]) == (
        "# TYPE :a:b_c:d:e counter\n"
        ':a:b_c:d:e{model_name="a",status="NOT_FOUND"} 1\n'
        ':a:b_c:d:e{model_name="a",status="OK"} 3\n'
        ':a:b_c:d:e{model_name="b",status="OK"} 2\n'
    )


def test_nothing_counted() -> None:
    """A metric without cells has its TYPE line; one that grew by nothing has a cell with 0."""
    counter, histogram = Counter("/counter"), Histogram("/histogram", "x", limits=(1,))
    assert page([histogram, counter]) == "# TYPE :counter counter\n# TYPE :histogram histogram\n"
    counter.add(by=0)
    assert page([counter]) == "# TYPE :counter counter\n:counter{} 0\n"


def test_gauge_shows_zero() -> None:
    """A gauge of truth values or texts shows 0, whatever it was set to."""
    gauge = Gauge("/gauge", "model")
    gauge.set("b", to=True)
    gauge.set("a", to="text")
    assert page([gauge]) == '# TYPE :gauge gauge\n:gauge{model="a"} 0\n:gauge{model="b"} 0\n'


def test_histogram() -> None:
    """Buckets are cumulative, the last is +Inf, and sum and count follow."""
    histogram = Histogram("/h", "model", limits=(1, 2.5))
    for value in (0.5, 2, 2, 7):
        histogram.add("m", value=value)
    assert page([histogram]).splitlines() == [
        "# TYPE :h histogram",
        ':h_bucket{model="m",le="1"} 1',
        ':h_bucket{model="m",le="2.5"} 3',
        ':h_bucket{model="m",le="+Inf"} 4',
        ':h_sum{model="m"} 11.5',
        ':h_count{model="m"} 4',
    ]


def test_histogram_without_labels() -> None:
    """Without labels only `le` stands in a bucket's braces, and nothing in those of sum and count."""
    histogram = Histogram("/h", limits=(1,))
    histogram.add(value=0)
    assert page([histogram]).splitlines()[1:] == [
        ':h_bucket{le="1"} 1',
        ':h_bucket{le="+Inf"} 1',
        ":h_sum{} 0",
        ":h_count{} 1",
    ]


def test_value_on_a_limit_goes_above() -> None:
    """A value that equals a limit is counted in the bucket above it."""
    histogram = Histogram("/h", limits=(10, 18))
    histogram.add(value=10)
    histogram.add(value=18)
    assert [cell.counts for _, cell in histogram.cells()] == [(0, 1, 1)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999999, "999999"), (1000000, "1e+06"), (7680720.0, "7.68072e+06"), (123.4567, "123.457"), (0.5, "0.5")],
)
def test_six_digits(value: float, text: str) -> None:
    """Sums have six digits at most."""
    histogram = Histogram("/h", limits=())
    histogram.add(value=value)
    assert f":h_sum{{}} {text}" in page([histogram]).splitlines()


def test_exponential_limits() -> None:
    """Limits grow by a factor; the real server shows the last of 33 as 1.47476e+09."""
    limits = [f"{limit:g}" for limit in exponential(10, 1.8, count=33)]
    assert (len(limits), limits[:5], limits[-1]) == (33, ["10", "18", "32.4", "58.32", "104.976"], "1.47476e+09")


@pytest.mark.parametrize(
    ("name", "shown"), [("/tensorflow/core/x-y.z", ":tensorflow:core:x:y:z"), ("9/lives", "_9:lives")]
)
def test_names(name: str, shown: str) -> None:
    """Other characters than letters, digits and underscores become colons; a digit at the start is hidden."""
    assert exposed_name(name) == shown


def test_labels() -> None:
    """Names of labels get underscores; in values only backslashes and quotes are escaped."""
    counter = Counter("/c", "a-b", "1st")
    counter.add('x"y\\z', "line\nbreak")
    assert page([counter]) == '# TYPE :c counter\n:c{a_b="x\\"y\\\\z",_1st="line\nbreak"} 1\n'


def test_wrong_number_of_labels() -> None:
    """A cell cannot be named with too few or too many values."""
    with pytest.raises(ValueError, match="/c has the labels"):
        Counter("/c", "model").add("a", "b")
    with pytest.raises(ValueError, match="/h has the labels"):
        Histogram("/h", "model", limits=()).add(value=1)


def test_threads() -> None:
    """Nothing is lost when several threads count at once."""
    counter, histogram = Counter("/c", "x"), Histogram("/h", "x", limits=(1,))

    def count() -> None:
        for _ in range(2000):
            counter.add("a")
            histogram.add("a", value=1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.cells() == [(("a",), 8000)]
    assert histogram.cells() == [(("a",), ((0, 8000), 8000.0))]


def test_metrics_come_by_internal_name() -> None:
    """The page is ordered by names as they are inside, where a slash comes before an underscore."""
    counters = [Counter("/a/b_c"), Counter("/a/b/c"), Counter("/a/b")]
    assert page(counters).splitlines() == [f"# TYPE {name} counter" for name in (":a:b", ":a:b:c", ":a:b_c")]


def test_registered_when_first_used() -> None:
    """The sizes of batches have no TYPE line before the first batch."""
    metrics = ServerMetrics()
    assert "padding_size" not in metrics.page()
    metrics.padding_size.add("4", value=1)
    assert '\n:tensorflow:serving:batching_session:padding_size_count{execution_batch_size="4"} 1\n' in metrics.page()


def test_first_values() -> None:
    """Of a counter the first cell is told, by the metric's internal name; all else is 0."""
    metrics = ServerMetrics()
    metrics.request_count.add("b", "OK", by=5)
    metrics.request_count.add("a", "OK", by=2)
    metrics.request_latency.add("a", "Predict", "GRPC", value=7)
    names = ["/tensorflow/serving/request_count", "/tensorflow/serving/request_latency", "/tensorflow/core/graph_runs"]
    assert metrics.first_values([*names, ":tensorflow:serving:request_count"]) == {
        names[0]: 2,
        names[1]: 0,
        names[2]: 0,
        ":tensorflow:serving:request_count": 0,
    }


def test_runs_of_no_time() -> None:
    """A run below a microsecond is no run for the counters of graphs."""
    metrics = ServerMetrics()
    metrics.graph_ran(0)
    metrics.graph_ran(5)
    assert metrics.graph_runs.cells() == [((), 1)]
    assert metrics.graph_run_time_usecs.cells() == [((), 5)]


class Ran:
    """A model that notes what it was asked, and fails when told to."""

    signatures: Mapping[str, Any] = {}

    def __init__(self, problem: StatusError | None = None) -> None:
        self.problem = problem
        self.closed = False

    def run(self, _feeds: Sequence[Feed], _fetches: Sequence[str], **_options: Any) -> None:
        """Fail or not."""
        if self.problem is not None:
            raise self.problem

    def close(self) -> None:
        """Note it."""
        self.closed = True


def run(model: Ran, wrap: Callable[[Servable], Servable], rows: int = 1) -> None:
    """Run a model that is measured, with a vector of `rows` rows."""
    proto = stubs.tensor_pb2.TensorProto()
    proto.tensor_shape.dim.add().size = rows
    wrap(Servable(ServableId("m", 1), model)).model.run([Feed("x", "x:0", proto)], [], answers=[], timeout_ms=None)


def test_timed_runs() -> None:
    """Runs that succeed count for the runtime, those that fail do not."""
    metrics = ServerMetrics()
    failing = Ran(StatusError(Code.INTERNAL, "no"))
    for model in (Ran(), Ran()):
        run(model, lambda servable: timed(servable, metrics, name="asked", api="Predict"))
    with pytest.raises(StatusError):
        run(failing, lambda servable: timed(servable, metrics, name="asked", api="Predict"))
    ((labels, seen),) = metrics.runtime_latency.cells()
    assert (labels, sum(seen.counts)) == (("asked", "Predict", "TF1"), 2)


def test_counted_examples() -> None:
    """The examples of a run that succeeds are counted by the rows that were fed."""
    metrics = ServerMetrics()
    run(Ran(), lambda servable: counting_examples(servable, metrics, name="m"), rows=3)
    assert metrics.request_example_count_total.cells() == [(("m",), 3)]
    assert metrics.runtime_latency.cells() == []
