"""Section 3.1 of the contract: HandleReloadConfigRequest."""

import time

import grpc
import pytest
from contract_server import (
    AVAILABLE,
    END,
    FAST_RETRIES,
    ModelServer,
    ModelStore,
    Start,
    milliseconds,
    model_list,
    refused,
    wait_for,
)
from contract_target import HANGS_S
from google.protobuf import text_format

from fleetdeploy.tfserving import stubs


@pytest.fixture(scope="module")
def quick(module_start: Start) -> ModelServer:
    """A server that gives up on a load at once and loads one version after the other, without models at first."""
    return module_start(*FAST_RETRIES, "--num_load_threads=0", config=model_list()).ready()


def test_reload_waits_for_a_new_model(quick: ModelServer, models: ModelStore) -> None:
    """A reload with a model whose name is new returns OK when that model serves."""
    models.place("fresh", 1)
    answer = quick.reload(model_list(models.config("fresh")))
    assert answer.status.error_code == 0
    assert quick.states("fresh") == {1: AVAILABLE}
    quick.reload(model_list())


def test_reload_waits_for_a_model_that_comes_back(quick: ModelServer, models: ModelStore) -> None:
    """A name that was removed is new again: what is known of its ended versions does not count."""
    models.place("back", 1)
    for _ in range(2):
        quick.reload(model_list(models.config("back")))
        assert quick.states("back") == {1: AVAILABLE}
        quick.reload(model_list())
        wait_for(lambda: quick.states("back") == {1: END}, "the removal")


@pytest.mark.parametrize("change", ["another version", "absent version", "policy", "base path"])
def test_reload_does_not_wait_for_changes_of_a_listed_model(start: Start, models: ModelStore, change: str) -> None:
    """New versions, another policy or another path of a listed model are answered before anything happens."""
    models.place("affine", 1)
    broken = models.spoil("affine", 2, missing="saved_model.pb")
    flags = ("--max_num_load_retries=1000", "--load_retry_interval_micros=200000", "--num_load_threads=1")
    server = start(*flags, config=model_list(models.config("affine", 1))).ready()
    config = {
        "another version": models.config("affine", 2),
        "absent version": models.config("affine", 1, 9),
        "policy": models.config("affine", extra="model_version_policy { all { } }"),
        "base path": models.config("affine").replace("/affine", "/nowhere"),
    }[change]
    answer = server.reload(model_list(config), timeout_s=5)
    assert answer.status.error_code == 0
    assert server.states("affine")[1] == AVAILABLE
    assert server.states("affine").get(2) != AVAILABLE
    assert server.y(x=2.0) == 3.0
    assert not (broken / "saved_model.pb").exists()


def test_list_is_replaced_whole(quick: ModelServer, models: ModelStore) -> None:
    """A model that the new list does not have is removed."""
    models.place("first", 1)
    models.place("second", 1)
    quick.reload(model_list(models.config("first")))
    quick.reload(model_list(models.config("second")))
    wait_for(lambda: quick.states("first") == {1: END}, "the first model to end")
    assert quick.states("second") == {1: AVAILABLE}
    quick.reload(model_list())


def test_failing_new_model_rolls_nothing_back(quick: ModelServer, models: ModelStore) -> None:
    """When a new model fails, other new ones stay, removed ones stay removed, and the same reload again is OK."""
    models.place("old", 1)
    models.place("good", 1)
    models.spoil("bad", 7, missing="saved_model.pb")
    quick.reload(model_list(models.config("old")))
    config = model_list(models.config("good"), models.config("bad"))
    with refused("UNKNOWN", "1 model(s) did not become available: {{{name: bad version: 7} due to error: NOT_FOUND: "):
        quick.reload(config)
    wait_for(lambda: quick.states("old") == {1: END}, "the removed model to end")
    assert quick.states("good") == {1: AVAILABLE}
    assert quick.reload(config).status.error_code == 0, "its name is no longer new (from source)"
    (entry,) = quick.status("bad")
    assert (entry.state, entry.status.error_code) == (END, grpc.StatusCode.NOT_FOUND.value[0])
    quick.reload(model_list())


@pytest.mark.parametrize(("bad", "accepted"), [(1, True), (2, False)])
def test_highest_settled_version_decides(quick: ModelServer, models: ModelStore, bad: int, accepted: bool) -> None:
    """Of several versions of a new model the one with the highest number decides about the reload."""
    name = f"decided-{bad}"
    models.place(name, 3 - bad)
    models.spoil(name, bad, missing="saved_model.pb")
    config = model_list(models.config(name, extra="model_version_policy { all { } }"))
    if accepted:
        quick.reload(config)
    else:
        with refused("UNKNOWN", f"{{name: {name} version: {bad}}} due to error: NOT_FOUND"):
            quick.reload(config)
    wait_for(lambda: quick.states(name) == {bad: END, 3 - bad: AVAILABLE}, "both versions to settle")
    quick.reload(model_list())


def test_long_errors_are_cut(quick: ModelServer, models: ModelStore) -> None:
    """An error's text is cut after 1024 bytes."""
    names = [f"broken-{number}" for number in range(8)]
    for name in names:
        models.spoil(name, 1, missing="saved_model.pb")
    with pytest.raises(grpc.RpcError) as caught:
        quick.reload(model_list(*(models.config(name) for name in names)))
    details = caught.value.details()
    assert details.startswith("8 model(s) did not become available: {")
    assert details.endswith("...TRUNCATED")
    assert len(details) == 1024 + len("...TRUNCATED")
    quick.reload(model_list())


def test_metric_names_are_answered(quick: ModelServer) -> None:
    """Each metric that a reload asks for is answered with its increase, an unknown one with 0."""
    module = stubs.model_management_pb2
    request = module.ReloadConfigRequest(metric_names=["/no/such/metric"])
    text_format.Parse(model_list(), request.config)
    answer = quick.call("ModelService/HandleReloadConfigRequest", request, module.ReloadConfigResponse)
    assert [(each.name, each.int64_value_increase) for each in answer.metric] == [("/no/such/metric", 0)]


def test_removed_model_ends_after_the_answer(start: Start, models: ModelStore) -> None:
    """A reload that removes a model returns while that model is still busy."""
    models.place("slow", 1, of="slow")
    server = start(config=model_list(models.config("slow"))).ready()
    request = server.begin_slow(1500)
    assert server.states("slow") == {1: AVAILABLE}  # answered after the request has begun: both use one connection
    server.reload(model_list())
    assert not request.done()
    assert request.result(30).outputs["slept"].int64_val[0] == 1500
    wait_for(lambda: server.states("slow") == {1: END}, "the unload")


def test_reload_of_absent_model_waits_and_blocks_the_next(start: Start, models: ModelStore) -> None:
    """A new model without files makes the reload wait for ever, past the client's deadline, and others behind it."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine"))).ready()
    with refused("DEADLINE_EXCEEDED"):
        server.reload(model_list(models.config("affine"), models.config("absent")), timeout_s=HANGS_S)
    with refused("DEADLINE_EXCEEDED"):
        server.reload(model_list(models.config("affine")), timeout_s=HANGS_S)
    assert server.y(x=2.0) == 3.0, "requests are answered meanwhile"
    with refused("NOT_FOUND", "Could not find any versions of model absent"):
        server.status("absent")
    models.place("absent", 1)
    wait_for(lambda: server.states("absent") == {1: END}, "the first reload to load it, the second to remove it")


def test_reload_hangs_where_nothing_scans(start: Start, models: ModelStore) -> None:
    """When the file system is scanned only once, a reload that adds a model waits for ever."""
    models.place("affine", 1)
    models.place("late", 1)
    server = start("--file_system_poll_wait_seconds=0", config=model_list(models.config("affine"))).ready()
    with refused("DEADLINE_EXCEEDED"):
        server.reload(model_list(models.config("affine"), models.config("late")), timeout_s=1.5)
    assert server.states("late") == {}


def test_first_list_of_an_unset_server_is_loaded(start: Start, models: ModelStore) -> None:
    """A server that started without any list takes its first one by reload, and waits for all of its models."""
    models.place("affine", 1)
    models.place("slow", 1, of="slow")
    server = start(config="# nothing yet\n").ready()
    server.reload(model_list(models.config("affine"), models.config("slow")))
    assert server.states("affine") == server.states("slow") == {1: AVAILABLE}
    assert server.predict("slow", ms=milliseconds(1)).outputs["slept"].int64_val[0] == 1


def test_reload_takes_a_scan_at_least(start: Start, models: ModelStore) -> None:
    """Loading begins with the next scan, not with the reload."""
    models.place("affine", 1)
    models.place("late", 1)
    server = start("--file_system_poll_wait_seconds=3", config=model_list(models.config("affine"))).ready()
    models.place("affine", 2)
    wait_for(lambda: server.states("affine").get(2) == AVAILABLE, "a scan, so that the next one is 3 s away")
    began = time.monotonic()
    server.reload(model_list(models.config("affine"), models.config("late")))
    assert time.monotonic() - began > 1.5
