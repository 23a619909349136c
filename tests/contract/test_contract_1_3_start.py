"""Section 1.3 of the contract: the order of start-up, and what waits, ends or goes on without a port."""

import time

import pytest
from contract_server import AVAILABLE, FAST_RETRIES, ModelServer, ModelStore, Start, free_port, model_list, wait_for


def test_log_has_the_ready_markers(steady: ModelServer) -> None:
    """The log names both ports when they are open, gRPC first."""
    log = wait_for(lambda: steady.log if "Exporting HTTP/REST API at" in steady.log else "", "the REST marker")
    assert f"Running gRPC ModelServer at 0.0.0.0:{steady.port} ..." in log
    assert f"Exporting HTTP/REST API at:localhost:{steady.rest_port} ..." in log
    assert log.index("Running gRPC ModelServer at") < log.index("Exporting HTTP/REST API at")


def test_ports_stay_closed_until_every_model_is_there(start: Start, models: ModelStore) -> None:
    """A missing base path keeps both ports closed; the server starts as soon as the model appears."""
    models.place("good", 1)
    server = start(config=model_list(models.config("good"), models.config("late")))
    wait_for(lambda: server.log.count("Could not find base path") > 1, "two scans without the base path")
    assert server.process.poll() is None
    assert not server.listens(server.port)
    assert not server.listens(server.rest_port)
    assert "Loading servable version" not in server.log, "one missing base path stops the scan for all"
    models.place("late", 1)
    server.ready()
    assert server.states("good") == server.states("late") == {1: AVAILABLE}


def test_ports_stay_closed_while_a_load_is_retried(start: Start, models: ModelStore) -> None:
    """A connection is refused as long as one model is still being tried, though the others have loaded."""
    models.place("good", 1)
    broken = models.spoil("slowly", 1, missing="saved_model.pb")
    server = start(
        "--max_num_load_retries=100",
        "--load_retry_interval_micros=300000",
        config=model_list(models.config("good"), models.config("slowly")),
    )
    wait_for(lambda: "Successfully loaded servable version {name: good version: 1}" in server.log, "the good model")
    wait_for(lambda: server.log.count("{name: slowly version: 1} failed: NOT_FOUND") > 1, "a retry")
    assert not server.listens(server.port)
    (broken / "saved_model.pb").write_bytes((models.exported / "affine" / "1" / "saved_model.pb").read_bytes())
    assert server.ready().y("slowly", x=2.0) == 3.0


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ("", "No versions of servable m found under base path"),
        ("specific { versions: 5 }", "Version 5 of servable m, which was requested"),
        ("specific { }", "No specific versions requested for servable m"),
    ],
    ids=["no number", "absent number", "no numbers wanted"],
)
def test_model_without_versions_is_waited_for(start: Start, models: ModelStore, policy: str, complaint: str) -> None:
    """A base path without a wanted version is no error: the server complains at every scan and opens no port."""
    models.place("m", 1).rename(models.root / "m" / "not-yet" if not policy else models.root / "m" / "1")
    entry = f'name: "m" base_path: "{models.root / "m"}" model_platform: "tensorflow"'
    server = start(config=model_list(f"config {{ {entry} model_version_policy {{ {policy} }} }}"))
    wait_for(lambda: server.log.count(complaint) > 2, "the complaint at several scans")
    assert server.process.poll() is None
    assert not server.listens(server.port)


def test_failing_model_at_start_exits_255(start: Start, models: ModelStore) -> None:
    """A model that fails to load at start ends the whole server, after the retries, with the loader's own words."""
    models.place("good", 1)
    models.spoil("bad", 7, missing="saved_model.pb")
    server = start(*FAST_RETRIES, config=model_list(models.config("good"), models.config("bad")))
    assert server.exit_status() == 255
    assert (
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
        "{{{name: bad version: 7} due to error: NOT_FOUND: " in server.output
    )
    assert "Could not find SavedModel .pb or .pbtxt" in server.output
    assert server.output.endswith("}, }\n")


def test_second_server_shares_the_grpc_port(start: Start, models: ModelStore) -> None:
    """A second server on the same gRPC port starts and silently takes a share (read from the source, not seen)."""
    models.place("affine", 1)
    port = free_port()
    flags = ("--model_name=affine", f"--model_base_path={models.root / 'affine'}", f"--port={port}")
    for server in (start(*flags), start(*flags)):
        wait_for(lambda: "Running gRPC ModelServer at" in server.log, "the ready marker")  # noqa: B023
        assert server.process.poll() is None


def test_sigterm_ends_it_without_drain(start: Start, models: ModelStore) -> None:
    """SIGTERM simply kills the process: there is no handler, and requests in flight are cut."""
    models.place("slow", 1, of="slow")
    server = start("--model_name=slow", f"--model_base_path={models.root / 'slow'}").ready()
    request = server.begin_slow(20_000)
    assert server.states("slow") == {1: AVAILABLE}  # answered after the request has begun: both use one connection
    began = time.monotonic()
    server.process.terminate()
    assert server.ended_by_sigterm()
    assert time.monotonic() - began < 10
    assert request.exception(timeout=30).code().name in {"UNAVAILABLE", "UNKNOWN"}
