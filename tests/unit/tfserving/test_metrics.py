"""What of a server's page for Prometheus is taken, and what its counts come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.domain.measured import PoolLoad, ServerLoad
from fleetdeploy.lab.modelserver.messages import MonitoringConfig
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics
from fleetdeploy.lab.modelserver.text_proto import read_text_proto
from fleetdeploy.tfserving import metrics, monitoring_config

OF = 'model_name="ranker",API="Predict",entrypoint="GRPC"'
LONG = f"""# TYPE :tensorflow:serving:request_latency histogram
:tensorflow:serving:request_latency_bucket{{{OF},le="10"}} 0
:tensorflow:serving:request_latency_bucket{{{OF},le="11019.9"}} 0
:tensorflow:serving:request_latency_bucket{{{OF},le="19835.8"}} COUNT
:tensorflow:serving:request_latency_bucket{{{OF},le="+Inf"}} COUNT
:tensorflow:serving:request_latency_sum{{{OF}}} 3.9e+12
:tensorflow:serving:request_latency_count{{{OF}}} COUNT
"""
"""A month of 13 ms a request."""


def answered(told: ServerMetrics, api: str, *, took_us: float, model: str = "ranker", times: int = 1) -> None:
    for _ in range(times):
        told.request_latency.add(model, api, "GRPC" if api.istitle() else "REST", value=took_us)
        told.request_count.add(model, "OK")


def test_a_new_server_has_counted_nothing() -> None:
    """Metrics that have only their TYPE line are no error, and an empty page is none either."""
    page = ServerMetrics().page()
    assert "# TYPE :tensorflow:serving:request_latency histogram\n" in page
    assert metrics.read(page) == metrics.read("") == ServerLoad()


def test_answers_of_all_models_and_both_protocols_are_added_up() -> None:
    """Predict, Classify and Regress as gRPC and as REST write them; how long they took is told in seconds."""
    told = ServerMetrics()
    for api, model in (("Predict", "a"), ("Classify", "a"), ("Regress", "b"), ("predict", "a"), ("regress", "b")):
        answered(told, api, took_us=200_000, model=model)
    load = metrics.read(told.page())
    assert (load.answered, load.errors) == (5, 0)
    assert load.spent_s == pytest.approx(1.0)


def test_looks_at_the_status_are_no_requests() -> None:
    """Our own by REST count as OK and have a latency, those at a model that is not there yet end with NOT_FOUND."""
    told = ServerMetrics()
    told.request_count.add("ranker", "OK", by=50)
    told.request_latency.add("ranker", "", "REST", value=100.0)
    told.request_count.add("other", "NOT_FOUND", by=7)
    assert metrics.read(told.page()) == ServerLoad()


@pytest.mark.parametrize(
    ("status", "errors"),
    [("INTERNAL", 3), ("UNAVAILABLE", 3), ("FAILED_PRECONDITION", 3), ("RESOURCE_EXHAUSTED", 3), ("NEWER", 3),
     ("DEADLINE_EXCEEDED", 3), ("INVALID_ARGUMENT", 0), ("NOT_FOUND", 0), ("CANCELLED", 0), ("OUT_OF_RANGE", 0)],
)  # fmt: skip
def test_a_clients_mistakes_are_no_errors(status: str, errors: int) -> None:
    """Only what the server is to blame for counts, among it whatever nobody knows here."""
    told = ServerMetrics()
    told.request_count.add("a", status)
    told.request_count.add("b", status, by=2)
    assert metrics.read(told.page()).errors == errors


def test_what_else_is_on_the_page_is_passed_over() -> None:
    """Metrics whose names begin alike are others."""
    assert (
        metrics.read(
            ':tensorflow:serving:request_count_of_tomorrow{status="INTERNAL"} 5\n'
            ':tensorflow:serving:request_latency_of_tomorrow_count{API="Predict"} 5\n'
            ':tensorflow:serving:runtime_latency_count{API="Predict"} 5\n'
        )
        == ServerLoad()
    )


@pytest.mark.parametrize("value", ["x", "NaN", "+Inf"])
def test_a_count_that_is_no_number(value: str) -> None:
    """ValueError, whatever it is."""
    with pytest.raises(ValueError, match=r"."):
        metrics.read(f':tensorflow:serving:request_latency_count{{API="Predict"}} {value}\n')


def test_the_mean_is_of_what_came_in_between() -> None:
    """Of a server that was just started it is exact; answers of before are not in it."""
    told = ServerMetrics()
    before = metrics.read(told.page())
    answered(told, "Predict", took_us=13_000, times=10)
    between = metrics.read(told.page())
    assert between.since(before).as_pool == PoolLoad(10, 0, pytest.approx(0.013))
    answered(told, "Predict", took_us=130_000, times=10)
    slower = metrics.read(told.page()).since(between).as_pool
    assert (slower.requests, slower.answer_s) == (10, pytest.approx(0.13, rel=0.3))


def test_a_server_that_has_run_for_long_tells_the_mean_as_well() -> None:
    """Its sum has six digits, which a few answers do not change; its histogram tells them all the same."""
    before, now = (metrics.read(LONG.replace("COUNT", str(300_000_000 + more))) for more in (0, 4))
    assert now.spent_s == before.spent_s
    assert now.since(before).as_pool == PoolLoad(4, 0, pytest.approx(0.013, rel=1e-3))


@pytest.mark.parametrize("now", [ServerLoad(5, 0, 1.0, 1.0), ServerLoad(20, 1, 9.0, 9.0), ServerLoad(20, 3, 0.2, 0.2)])
def test_whatever_fell_began_anew(now: ServerLoad) -> None:
    """A server with fewer answers, errors or seconds than before was started in between: all it counts is new."""
    assert now.since(ServerLoad(10, 2, 5.0, 5.0)) == now


def test_without_answers_there_is_no_mean() -> None:
    """Errors are requests, and take no time that anybody counts."""
    assert ServerLoad(0, 3).since(ServerLoad(0, 1)).as_pool == PoolLoad(2, 2, None)


def test_the_file_turns_the_page_on(tmp_path: Path) -> None:
    """It is read as the server reads it, and names the path that is asked for."""
    path = tmp_path / "monitoring.config"
    path.write_text(monitoring_config.TEXT, encoding="utf-8")
    config = read_text_proto(str(path), MonitoringConfig()).prometheus_config
    assert (config.enable, config.path) == (True, monitoring_config.PATH)
