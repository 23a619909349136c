"""Faults on demand and clocks of the stand-in: what tests of rollouts ask of it, which no real server offers."""

import json
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from contract_server import (
    AVAILABLE,
    END,
    FAST_RETRIES,
    LOADING,
    UNLOADING,
    ModelServer,
    ModelStore,
    Start,
    floats,
    is_stand_in,
    model_list,
    model_spec,
    refused,
    wait_for,
)

from fleetdeploy.tfserving import stubs

pytestmark = pytest.mark.skipif(not is_stand_in(), reason="faults on demand are the stand-in's own")

HANGS = {"hang": "request"}

Ask = Callable[..., None]
"""Write the faults file: `ask(affine={...})`, `ask({"affine/2": {...}}, memory_budget_bytes=5)`."""


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Switch faults on and off while a server runs, by a file in a directory of its own."""
    directory = tmp_path / "asked"
    directory.mkdir()
    monkeypatch.setenv("STANDIN_FAULTS", str(directory / "faults.json"))

    def write(models: dict[str, Any] | None = None, *, budget: int | None = None, **more: Any) -> None:
        staged = directory / "staged"
        staged.write_text(json.dumps({"memory_budget_bytes": budget, "models": {**(models or {}), **more}}))
        staged.rename(directory / "faults.json")

    return write


def ship(version: Path, **faults: Any) -> None:
    """Have a version bring its faults with it."""
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "standin_faults.json").write_text(json.dumps(faults))


def outcome(server: ModelServer, **options: Any) -> str:
    """`NaN`, `OK` or the name of the error of one request."""
    try:
        value = server.predict("affine", x=floats(2.0), **options).outputs["y"].float_val[0]
    except grpc.RpcError as problem:
        code: str = problem.code().name
        return code
    return "NaN" if math.isnan(value) else "OK"


def serve(start: Start, models: ModelStore, *flags: str, config: str | None = None) -> ModelServer:
    """Start a server with the affine model, one version of it unless there are more already."""
    if not (models.root / "affine").exists():
        models.place("affine", 1)
    return start(*flags, config=config or model_list(models.config("affine"))).ready()


def test_slow_load(start: Start, models: ModelStore, ask: Ask) -> None:
    """A load takes at least load_s, during which the version is LOADING and the old one serves."""
    server = serve(start, models, *FAST_RETRIES)
    ask({"affine/2": {"load_s": 4.0}})
    began = time.monotonic()
    models.place("affine", 2)
    wait_for(lambda: server.states("affine") == {2: LOADING, 1: AVAILABLE}, "the new version to be loading")
    assert server.y(x=2.0) == 3.0
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the new version to serve")
    assert time.monotonic() - began >= 4.0


def test_shipped_load_error_at_start(start: Start, models: ModelStore) -> None:
    """A version that brings a load error keeps the server from starting, with that error's code and text."""
    ship(models.place("affine", 1), load_error="DATA_LOSS: the shard is gone")
    server = start(*FAST_RETRIES, config=model_list(models.config("affine")))
    assert server.exit_status() == 255
    assert "{{name: affine version: 1} due to error: DATA_LOSS: the shard is gone}" in server.output


def test_load_error_of_every_attempt(start: Start, models: ModelStore) -> None:
    """A load error ends the version after all retries, while the old one serves on."""
    server = serve(start, models, *FAST_RETRIES)
    bad = models.place("staged", 2)
    ship(bad, load_error="INTERNAL: broken kernel")
    bad.rename(models.root / "affine" / "2")
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "the new version to fail")
    failed = server.status("affine")[0].status
    assert (failed.error_code, failed.error_message) == (13, "broken kernel")
    assert server.log.count("failed: INTERNAL: broken kernel") == 2, "one attempt and one retry"


def test_load_error_of_the_first_attempts(start: Start, models: ModelStore) -> None:
    """With load_error_attempts a version loads on a later attempt, inside the same LOADING."""
    ship(models.place("affine", 1), load_error="UNAVAILABLE: not yet", load_error_attempts=2)
    retries = ("--max_num_load_retries=2", "--load_retry_interval_micros=1000")
    server = start(*retries, config=model_list(models.config("affine"))).ready()
    assert server.log.count("failed: UNAVAILABLE: not yet") == 2
    assert server.states("affine") == {1: AVAILABLE}


def test_two_versions_exceed_a_budget_that_one_fits(
    start: Start, models: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that would exceed the budget fails as out of memory; once the old version is gone there is room."""
    monkeypatch.setenv("STANDIN_MEMORY_BUDGET_BYTES", "100")
    for version in (1, 2, 3):
        ship(models.place("affine", version), memory_bytes=60)
    server = serve(start, models, *FAST_RETRIES, config=model_list(models.config("affine", 1)))
    server.reload(model_list(models.config("affine", 2)))
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "the second version to fail")
    failed = server.status("affine", version=2)[0].status
    assert failed.error_code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert failed.error_message.startswith("OOM when allocating tensor")
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {2: END, 1: END}, "memory to be free")
    server.reload(model_list(models.config("affine", 3)))
    assert server.y(x=2.0) == 104.0


def test_out_of_memory_is_retried(start: Start, models: ModelStore, ask: Ask) -> None:
    """A version that does not fit is retried inside LOADING, and loads when the budget has grown to its files."""
    ask(budget=1000)
    models.place("affine", 1)
    retries = ("--max_num_load_retries=1000", "--load_retry_interval_micros=20000")
    server = start(*retries, config=model_list(models.config("affine")))
    wait_for(lambda: server.log.count("failed: RESOURCE_EXHAUSTED: OOM") > 1, "retries")
    assert not server.listens(server.port)
    ask(budget=10_000_000)
    assert server.ready().states("affine") == {1: AVAILABLE}


def test_slow_unload(start: Start, models: ModelStore, ask: Ask) -> None:
    """An unload takes at least unload_s, during which the version is UNLOADING."""
    server = serve(start, models)
    ask(affine={"unload_s": 4.0})
    began = time.monotonic()
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {1: UNLOADING}, "the unload to begin")
    wait_for(lambda: server.states("affine") == {1: END}, "the unload to end")
    assert time.monotonic() - began >= 4.0


def test_latency_of_a_share_of_requests(start: Start, models: ModelStore, ask: Ask) -> None:
    """Exactly the share of requests that is asked for is slowed, over REST as over gRPC, and the answers are right."""
    ask(affine={"latency_ms": 4000, "latency_rate": 0.5})
    server = serve(start, models)
    took = []
    for number in range(6):
        began = time.monotonic()
        if number % 3:
            assert server.y(x=2.0) == 3.0
        else:
            assert server.http("POST", "/v1/models/affine:predict", '{"instances": [2.0]}').status == 200
        took.append(time.monotonic() - began >= 4.0)
    assert took == [False, True, False, True, False, True]


def test_latency_beyond_the_deadline(start: Start, models: ModelStore, ask: Ask) -> None:
    """A request that is slowed beyond its time ends with DEADLINE_EXCEEDED over both APIs."""
    ask(affine={"latency_ms": 20_000})
    server = serve(start, models, "--rest_api_timeout_in_ms=200")
    with refused("DEADLINE_EXCEEDED"):
        server.predict("affine", x=floats(2.0), timeout_s=0.2)
    answer = server.http("POST", "/v1/models/affine:predict", '{"instances": [2.0]}')
    assert (answer.status, json.loads(answer.body)) == (504, {"error": "Timed out waiting for notification"})


def test_error_rate(start: Start, models: ModelStore, ask: Ask) -> None:
    """Exactly the share of requests that is asked for fails, evenly spread, with the code and text asked for."""
    ask(affine={"error_rate": 0.3, "error": "RESOURCE_EXHAUSTED: no room"})
    server = serve(start, models)
    outcomes = [outcome(server) for _ in range(20)]
    assert [number for number, each in enumerate(outcomes, 1) if each != "OK"] == [4, 7, 10, 14, 17, 20]
    assert set(outcomes) == {"OK", "RESOURCE_EXHAUSTED"}


def test_default_error(start: Start, models: ModelStore, ask: Ask) -> None:
    """Without an error of its own a failing request gives INTERNAL, which is a 500 over REST."""
    ask(affine={"error_rate": 1})
    server = serve(start, models)
    with refused("INTERNAL", "injected"):
        server.y()
    answer = server.http("POST", "/v1/models/affine:predict", '{"instances": [2.0]}')
    assert (answer.status, json.loads(answer.body)) == (500, {"error": "injected"})


def test_faults_of_one_version(start: Start, models: ModelStore, ask: Ask) -> None:
    """A fault of one version leaves another version of the same model as it is."""
    models.place("affine", 1)
    models.place("affine", 2)
    ask({"affine/2": {"error_rate": 1}})
    server = serve(start, models, config=model_list(models.config("affine", 1, 2)))
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: AVAILABLE}, "both versions")
    assert [outcome(server, spec={"version": version}) for version in (1, 2, 1)] == ["OK", "INTERNAL", "OK"]


def test_faults_come_and_go_at_run_time(start: Start, models: ModelStore, ask: Ask) -> None:
    """A fault begins soon after the file asks for it and ends soon after it does not, without a reload."""
    server = serve(start, models)
    for _ in range(2):
        ask(affine={"error_rate": 1})
        wait_for(lambda: outcome(server) == "INTERNAL", "the fault")
        ask()
        wait_for(lambda: outcome(server) == "OK", "the end of the fault")


def test_nan(start: Start, models: ModelStore, ask: Ask) -> None:
    """Exactly the share of answers that is asked for is NaN, over REST as a bare NaN."""
    ask(affine={"nan": True, "nan_rate": 0.25})
    server = serve(start, models)
    assert [outcome(server) for _ in range(8)] == ["OK", "OK", "OK", "NaN"] * 2
    ask(affine={"nan": True})
    # One of four was NaN before: four in a row are not that any more.
    wait_for(lambda: all(outcome(server) == "NaN" for _ in range(4)), "all answers to be NaN")
    answer = server.http("POST", "/v1/models/affine:predict", '{"instances": [2.0]}')
    assert answer.status == 200
    assert math.isnan(json.loads(answer.body)["predictions"][0])


def test_hanging_load(start: Start, models: ModelStore, ask: Ask) -> None:
    """A load that hangs leaves the version LOADING and the old one serving, until it is no longer asked for."""
    server = serve(start, models, *FAST_RETRIES)
    ask({"affine/2": {"hang": "load"}})
    models.place("affine", 2)
    wait_for(lambda: server.states("affine") == {2: LOADING, 1: AVAILABLE}, "the load to hang")
    assert outcome(server) == "OK"
    ask()
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the load to end")


def test_hanging_request_holds_its_version(start: Start, models: ModelStore, ask: Ask) -> None:
    """A request that hangs ends at its deadline, and until then its version cannot be unloaded."""
    ask(affine={"hang": "request", "hang_rate": 0.5})
    server = serve(start, models)
    assert outcome(server) == "OK"
    began = time.monotonic()
    request = _begin(server, timeout_s=5)
    wait_for(lambda: time.monotonic() - began > 0.5, "the request to arrive")
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {1: UNLOADING}, "the unload to begin")
    assert request.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: server.states("affine") == {1: END}, "the unload to end with the request")
    assert time.monotonic() - began >= 4.9


def test_withdrawn_hang_lets_requests_go(start: Start, models: ModelStore, ask: Ask) -> None:
    """A request that hangs is answered when the fault is withdrawn, also one without a deadline."""
    ask(affine=HANGS)
    server = serve(start, models)
    waiting = [_begin(server, timeout_s=timeout_s) for timeout_s in (30, None)]
    assert [outcome(server, timeout_s=0.5), *(request.done() for request in waiting)] == [
        "DEADLINE_EXCEEDED", False, False,
    ]  # fmt: skip
    ask()
    assert [request.result(30).outputs["y"].float_val[0] for request in waiting] == [3.0, 3.0]


def test_hanging_unload(start: Start, models: ModelStore, ask: Ask) -> None:
    """An unload that hangs leaves the version UNLOADING, until it is no longer asked for."""
    server = serve(start, models)
    ask(affine={"hang": "unload"})
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {1: UNLOADING}, "the unload to hang")
    with refused("NOT_FOUND", "Servable not found"):
        server.y()
    ask()
    wait_for(lambda: server.states("affine") == {1: END}, "the unload to end")


def test_unwanted_while_it_loads(start: Start, models: ModelStore, ask: Ask) -> None:
    """A version that is no longer wanted while it loads ends as CANCELLED and is never seen serving."""
    for version in (1, 2, 3):
        models.place("affine", version)
    ask({"affine/2": {"load_s": 5.0}})
    server = serve(start, models, *FAST_RETRIES, config=model_list(models.config("affine", 1)))
    server.reload(model_list(models.config("affine", 2)))
    wait_for(lambda: server.states("affine") == {2: LOADING, 1: AVAILABLE}, "version 2 to be loading")
    server.reload(model_list(models.config("affine", 3)))
    wait_for(lambda: server.states("affine") == {3: AVAILABLE, 2: END, 1: END}, "version 3 alone")
    ended = server.status("affine", version=2)[0].status
    assert (ended.error_code, ended.error_message) == (1, "Loading of servable cancelled")


def test_hanging_request_holds_up_other_models(start: Start, models: ModelStore, ask: Ask) -> None:
    """While a request hangs no new version of any model begins to serve, but one that fails is seen to fail."""
    for name in ("affine", "failing", "good"):
        models.place(name, 1)
    ask({"failing/2": {"load_s": 1.0, "load_error": "INTERNAL: broken"}, "good/2": {"load_s": 0.5}}, affine=HANGS)
    everything = model_list(*(models.config(name) for name in ("affine", "failing", "good")))
    server = serve(start, models, *FAST_RETRIES, config=everything)
    hanging = _begin(server, timeout_s=4)
    for name in ("good", "failing"):
        models.place(name, 2)
    wait_for(lambda: server.states("failing") == {2: END, 1: AVAILABLE}, "the failure to be seen")
    assert server.states("good") == {2: LOADING, 1: AVAILABLE}
    assert not hanging.done()
    assert hanging.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: server.states("good") == {2: AVAILABLE, 1: END}, "the good version to serve")


def test_crash_after_requests(start: Start, models: ModelStore, ask: Ask) -> None:
    """The process answers as many requests as are asked for, and dies of the next as by SIGABRT."""
    ask(affine={"crash_after_requests": 3})
    server = serve(start, models)
    assert [outcome(server) for _ in range(3)] == ["OK"] * 3
    assert outcome(server) == "UNAVAILABLE"
    assert server.exit_status() == -signal.SIGABRT


def test_crash_on_load(start: Start, models: ModelStore) -> None:
    """A version that crashes the process does so while it is loaded."""
    ship(models.place("affine", 1), crash_on_load=True)
    server = start(config=model_list(models.config("affine")))
    assert server.exit_status() == -signal.SIGABRT


def test_broken_faults_file_keeps_the_server_from_starting(start: Start, models: ModelStore, ask: Ask) -> None:
    """A faults file with an unknown key is an error at start that names file and key."""
    models.place("affine", 1)
    ask(affine={"latency": 5})
    server = start(config=model_list(models.config("affine")))
    assert server.exit_status() == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: " in server.output
    assert "faults.json: models: affine: latency: is no fault" in server.output


@pytest.mark.parametrize(
    ("load_s", "rule"), [(-1, "is a number, 0 or more"), (10**400, "is 1000000000 at most"), (1e30, "is 1000000000")]
)
def test_broken_shipped_file_fails_the_load(start: Start, models: ModelStore, load_s: float, rule: str) -> None:
    """A version with a faults file that does not read fails to load with INVALID_ARGUMENT."""
    ship(models.place("affine", 1), load_s=load_s)
    server = start(*FAST_RETRIES, config=model_list(models.config("affine")))
    assert server.exit_status() == 255
    assert "due to error: INVALID_ARGUMENT: " in server.output
    assert f"standin_faults.json: load_s: {rule}" in server.output


def test_config_poll_clock(start: Start, models: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """STANDIN_CONFIG_POLL_S has the config file polled more often than once a second, without the flag."""
    monkeypatch.setenv("STANDIN_CONFIG_POLL_S", "0.05")
    server = serve(start, models)
    began, seen = time.monotonic(), server.log.count("Adding/updating models.")
    wait_for(lambda: server.log.count("Adding/updating models.") >= seen + 10, "10 polls")
    assert time.monotonic() - began < 9, "once a second would take longer"


def test_retry_clock(start: Start, models: ModelStore) -> None:
    """The interval of load retries is the real flag's, also when it is shorter than a second."""
    ship(models.place("affine", 1), load_error="UNAVAILABLE: no", load_error_attempts=3)
    began = time.monotonic()
    retries = ("--max_num_load_retries=3", "--load_retry_interval_micros=300000")
    start(*retries, config=model_list(models.config("affine"))).ready()
    assert 0.9 <= time.monotonic() - began < 20


@pytest.mark.parametrize("variable", ["STANDIN_MEMORY_BUDGET_BYTES", "STANDIN_CONFIG_POLL_S"])
def test_variable_that_is_not_valid(
    start: Start, models: ModelStore, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A variable that is negative keeps the server from starting, by its name."""
    monkeypatch.setenv(variable, "-1")
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine")))
    assert server.exit_status() == 255
    assert f"INVALID_ARGUMENT: {variable} is a " in server.output


def _begin(server: ModelServer, *, timeout_s: float | None) -> Any:
    """Send a request to the affine model and return its future, without waiting for the answer."""
    request = stubs.predict_pb2.PredictRequest(model_spec=model_spec("affine"))
    request.inputs["x"].CopyFrom(floats(2.0))
    stub = server.channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        request_serializer=stubs.predict_pb2.PredictRequest.SerializeToString,
        response_deserializer=stubs.predict_pb2.PredictResponse.FromString,
    )
    return stub.future(request, timeout=timeout_s)
