"""Section 4 of the contract: the page for Prometheus, and the names on it."""

import re
from pathlib import Path

import pytest
from contract_server import ModelServer, Start, model_list, wait_for
from prometheus_page import PATH, page, with_page

pytest_plugins = ["prometheus_plugin"]


def test_page(monitored: ModelServer) -> None:
    """The page is text/plain with TYPE lines and samples, no HELP line, and ends with a line break."""
    answer = monitored.http("GET", PATH)
    assert (answer.status, answer.content_type) == (200, "text/plain")
    assert answer.body.endswith("\n")
    assert not answer.body.endswith("\n\n")
    for line in answer.body.splitlines():
        assert re.fullmatch(
            r"# TYPE :[a-zA-Z0-9_:]+ (counter|gauge|histogram|untyped)|:[a-zA-Z0-9_:]+\{.*\} [0-9.e+-]+", line
        ), line


@pytest.mark.parametrize("path", [f"{PATH}/", "/monitoring/prometheus", "/metrics", PATH.upper(), f"{PATH}%20"])
def test_only_the_exact_path(monitored: ModelServer, path: str) -> None:
    """Any other path than the configured one is 404."""
    assert monitored.http("GET", path).status == 404


def test_query_is_refused(monitored: ModelServer) -> None:
    """A query makes it another path, which is refused in plain text."""
    answer = monitored.http("GET", f"{PATH}?x=1")
    assert (answer.status, answer.content_type) == (400, "text/plain")
    assert answer.body == f"Unexpected path: {PATH}?x=1. Should be {PATH}"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_any_method(monitored: ModelServer, method: str) -> None:
    """The page is answered whatever the method."""
    answer = monitored.http(method, PATH)
    assert answer.status == 200
    assert answer.body.startswith("# TYPE ")


def test_own_path(start: Start, tmp_path: Path) -> None:
    """The path of the file holds instead of the default one."""
    flag = with_page(tmp_path, 'prometheus_config { enable: true path: "/own/page" }')
    server = start(flag, config=model_list()).ready()
    assert page(server, "/own/page")
    assert server.http("GET", PATH).status == 404


@pytest.mark.parametrize("text", ["prometheus_config { enable: false }", "prometheus_config {}", "# nothing", None])
def test_not_enabled(start: Start, tmp_path: Path, text: str | None) -> None:
    """There is no page without a file, or with one that does not enable it."""
    flags = [] if text is None else [with_page(tmp_path, text)]
    server = start(*flags, config=model_list()).ready()
    assert server.http("GET", PATH).status == 404


@pytest.mark.parametrize("text", [None, "prometheus_config { nope: true }"])
def test_file_that_cannot_be_used(start: Start, tmp_path: Path, text: str | None) -> None:
    """A file that is missing or does not parse ends the start with status 255."""
    flag = f"--monitoring_config_file={tmp_path / 'missing'}" if text is None else with_page(tmp_path, text)
    server = start(flag, config=model_list())
    assert server.exit_status() == 255
    wanted = "missing; No such file or directory" if text is None else "Invalid protobuf file: '"
    assert wanted in server.output


def test_file_is_not_read_without_rest(start: Start, tmp_path: Path) -> None:
    """Without the REST port nobody reads the file, be it missing."""
    server = start(f"--monitoring_config_file={tmp_path / 'missing'}", "--rest_api_port=0", config=model_list())
    wait_for(lambda: server.listens(server.port), "the gRPC port open")
    assert not server.listens(server.rest_port)


def test_type_lines_before_first_use(start: Start, tmp_path: Path) -> None:
    """Every metric has its TYPE line from the start, and nothing else until it is used."""
    lines = page(start(with_page(tmp_path), config=model_list()).ready())
    for line in (
        "# TYPE :tensorflow:cc:saved_model:load_attempt_count counter",
        "# TYPE :tensorflow:cc:saved_model:load_latency counter",
        "# TYPE :tensorflow:cc:saved_model:load_latency_by_stage histogram",
        "# TYPE :tensorflow:core:direct_session_runs counter",
        "# TYPE :tensorflow:core:graph_run_time_usecs counter",
        "# TYPE :tensorflow:core:graph_run_time_usecs_histogram histogram",
        "# TYPE :tensorflow:core:graph_runs counter",
        "# TYPE :tensorflow:core:session_created gauge",
        "# TYPE :tensorflow:serving:batching_session:queuing_latency histogram",
        "# TYPE :tensorflow:serving:batching_session:wrapped_run_count counter",
        "# TYPE :tensorflow:serving:mlmd_map gauge",
        "# TYPE :tensorflow:serving:model_warmup_latency histogram",
        "# TYPE :tensorflow:serving:model_warmup_records_read counter",
        "# TYPE :tensorflow:serving:request_count counter",
        "# TYPE :tensorflow:serving:request_example_count_total counter",
        "# TYPE :tensorflow:serving:request_example_counts histogram",
        "# TYPE :tensorflow:serving:request_latency histogram",
        "# TYPE :tensorflow:serving:request_log_count counter",
        "# TYPE :tensorflow:serving:runtime_latency histogram",
    ):
        assert lines.count(line) == 1, line
    assert not [line for line in lines if line.startswith((":tensorflow:serving:", ":tensorflow:cc:"))]


def test_metrics_come_by_name(monitored: ModelServer) -> None:
    """TYPE lines are ordered by the metrics' names, each before its samples."""
    names = [line.split()[2] for line in page(monitored) if line.startswith("#")]
    assert names == sorted(names, key=lambda name: name.replace(":", "/"))
    assert len(names) == len(set(names))
