"""Section 4 of the contract: what the server counts of loads, reloads, warm-up and batching."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
import pytest
from auxiliary import predict_log, put_warm_up, tfrecord
from contract_server import AVAILABLE, END, FAST_RETRIES, ModelServer, ModelStore, Start, floats, model_list, wait_for
from google.protobuf import text_format
from prometheus_page import LATENCY_LIMITS, LOADS, REQUESTS, RUNTIME, STAGES, limits, page, samples, with_page

from fleetdeploy.tfserving import stubs

pytest_plugins = ["prometheus_plugin"]


def reload(server: ModelServer, config: str, names: Sequence[str]) -> Mapping[str, int]:
    """Reload, and return the increases of these metrics."""
    module = stubs.model_management_pb2
    request = module.ReloadConfigRequest(metric_names=names)
    text_format.Parse(config, request.config)
    answer = server.call("ModelService/HandleReloadConfigRequest", request, module.ReloadConfigResponse)
    assert len(answer.metric) == len(set(names))
    return {metric.name: metric.int64_value_increase for metric in answer.metric}


def test_loads(monitored: ModelServer, module_models: ModelStore) -> None:
    """A load counts by the path of the version, which is the only place where a version shows."""
    found = samples(monitored)
    for version in (1, 2):
        path = module_models.root / "affine" / str(version)
        assert found[f'{LOADS}{{model_path="{path}",status="success"}}'] == 1
        assert found[f':tensorflow:cc:saved_model:load_latency{{model_path="{path}"}}'] > 1000
        for stage in ("init_graph", "restore_graph"):
            labels = f'model_path="{path}",stage="{stage}"'
            assert found[f"{STAGES}_count{{{labels}}}"] == 1
            assert limits(page(monitored), STAGES, labels) == LATENCY_LIMITS


def test_session_created_shows_no_truth(monitored: ModelServer) -> None:
    """The gauge for a created session shows 0 although there is one: its value is no integer."""
    assert samples(monitored)[":tensorflow:core:session_created{}"] == 0


def test_loads_that_fail(start: Start, models: ModelStore, tmp_path: Path) -> None:
    """Each attempt to load counts as a failure, with its time but without stages; no SavedModel, no attempt."""
    models.place("affine", 1)
    server = start(*FAST_RETRIES, with_page(tmp_path), config=model_list(models.config("affine"))).ready()
    broken = models.spoil("affine", 2, missing="variables/variables.data-00000-of-00001")
    wait_for(lambda: server.states("affine").get(2) == END, "version 2 failed")
    hollow = models.spoil("affine", 3, missing="saved_model.pb")
    wait_for(lambda: server.states("affine").get(3) == END, "version 3 failed")
    found = samples(server)
    assert found[f'{LOADS}{{model_path="{broken}",status="fail"}}'] == 2
    assert f'{LOADS}{{model_path="{broken}",status="success"}}' not in found
    assert f':tensorflow:cc:saved_model:load_latency{{model_path="{broken}"}}' in found
    assert not [key for key in found if key.startswith(STAGES) and str(broken) in key]
    assert not [key for key in found if str(hollow) in key]


def test_cells_stay_after_an_unload(start: Start, models: ModelStore, tmp_path: Path) -> None:
    """What was counted for a version stays when it is unloaded, and goes on when it is loaded again."""
    models.place("affine", 1)
    models.place("affine", 2)
    server = start(with_page(tmp_path), config=model_list(models.config("affine", 1))).ready()
    for version in (2, 1):
        server.reload(model_list(models.config("affine", version)))
        other = 3 - version
        wait_for(lambda v=version, o=other: server.states("affine") == {v: AVAILABLE, o: END}, "the change of versions")
    assert samples(server)[f'{LOADS}{{model_path="{models.root}/affine/1",status="success"}}'] == 2


def test_reload_tells_increases(start: Start, models: ModelStore, tmp_path: Path) -> None:
    """A reload answers by how much the named metrics grew, looking at the first cell of each only; 0 for the others."""
    models.place("affine", 1)
    models.place("later", 1)
    server = start(with_page(tmp_path), config=model_list(models.config("affine"))).ready()
    names = [
        "/tensorflow/core/direct_session_runs",
        "/tensorflow/cc/saved_model/load_attempt_count",
        "/tensorflow/cc/saved_model/load_latency_by_stage",
        ":tensorflow:core:direct_session_runs",
        "/no/such/metric",
    ]
    both = model_list(models.config("affine"), models.config("later"))
    # Restoring variables and the op for initialization are one run each.
    assert reload(server, both, names) == dict.fromkeys(names, 0) | {"/tensorflow/core/direct_session_runs": 2}
    assert reload(server, both, ["/tensorflow/core/direct_session_runs"] * 2) == {
        "/tensorflow/core/direct_session_runs": 0
    }


def test_reload_that_fails_tells_nothing(monitored: ModelServer) -> None:
    """A reload that is refused ends the call with an error, without a response."""
    with pytest.raises(grpc.RpcError):
        reload(monitored, "custom_model_config {}", ["/tensorflow/core/direct_session_runs"])


# --- warm-up


def test_warm_up(start: Start, models: ModelStore, tmp_path: Path) -> None:
    """A warm-up counts its records by path and status; its requests count for the runtime, but not as requests."""
    version = models.place("affine", 1)
    put_warm_up(version, tfrecord([predict_log("recorded", x=floats(1.0))] * 3))
    flags = (with_page(tmp_path), "--num_request_iterations_for_warmup=2")
    server = start(*flags, config=model_list(models.config("affine"))).ready()
    found = samples(server)
    labels = f'model_path="{version}",status="OK"'
    assert found[f":tensorflow:serving:model_warmup_records_read{{{labels}}}"] == 3
    assert found[f":tensorflow:serving:model_warmup_latency_count{{{labels}}}"] == 1
    assert limits(page(server), ":tensorflow:serving:model_warmup_latency", labels) == LATENCY_LIMITS
    assert found[f'{RUNTIME}_count{{model_name="recorded",API="Predict",runtime="TF1"}}'] == 6
    assert not [key for key in found if key.startswith(REQUESTS)]


def test_warm_up_of_a_damaged_file(start: Start, models: ModelStore, tmp_path: Path) -> None:
    """A file that is damaged after its second record counts these two, under its error as the status."""
    server = start(*FAST_RETRIES, with_page(tmp_path), config=model_list(models.config("affine")))
    models.place("affine", 1)
    server.ready()
    staged = models.place("staged", 2, from_version=1)
    put_warm_up(staged, tfrecord([predict_log("recorded", x=floats(1.0))] * 2) + b"\x01" * 40)
    damaged = staged.rename(models.root / "affine" / "2")
    wait_for(lambda: server.states("affine").get(2) == END, "version 2 failed")
    name = ":tensorflow:serving:model_warmup_records_read"
    found = {key: value for key, value in samples(server).items() if key.startswith(f"{name}{{")}
    ((key, value),) = found.items()
    assert key.startswith(f'{name}{{model_path="{damaged}",status="DATA_LOSS: ')
    assert value == 4  # two attempts


# --- batching


def test_batching(start: Start, models: ModelStore, tmp_path: Path) -> None:
    """Batched requests count the runs, the time in the queue, and the sizes before and after padding."""
    models.place("affine", 1)
    parameters = tmp_path / "batching.config"
    parameters.write_text("max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8")
    flags = ("--enable_batching", f"--batching_parameters_file={parameters}", with_page(tmp_path))
    server = start(*flags, config=model_list(models.config("affine"))).ready()
    batching = ":tensorflow:serving:batching_session:"
    assert not [line for line in page(server) if "padding_size" in line]
    server.predict("affine", x=floats(1.0, 2.0, 3.0))
    found = samples(server)
    assert found[f"{batching}wrapped_run_count{{}}"] == 1
    assert found[f'{batching}queuing_latency_count{{thread_pool_name=""}}'] == 1
    assert found[f'{batching}padding_size_sum{{execution_batch_size="4"}}'] == 1
    assert found[f"{batching}input_batch_size_sum{{}}"] == 3
    assert found[f"{batching}processed_batch_size_sum{{}}"] == 4
    waits = limits(page(server), f"{batching}queuing_latency", 'thread_pool_name=""')
    assert (len(waits), waits[:4], waits[-1]) == (53, ["100", "120", "144", "172.8"], "+Inf")
