"""Section 3.6 of the contract: GetModelStatus."""

import json

from contract_server import (
    AVAILABLE,
    END,
    FAST_RETRIES,
    ModelServer,
    ModelStore,
    Start,
    model_list,
    refused,
    wait_for,
)

from fleetdeploy.tfserving import stubs


def test_status_lists_versions_in_descending_order(steady: ModelServer) -> None:
    """Without a version GetModelStatus answers every version seen, the largest first, with OK in each."""
    entries = steady.status("affine")
    assert [entry.version for entry in entries] == [2, 1]
    assert {entry.state for entry in entries} == {AVAILABLE}
    assert all(entry.HasField("status") and entry.status.error_code == 0 for entry in entries)


def test_status_ignores_labels(steady: ModelServer) -> None:
    """GetModelStatus does not look at a version label, not even at one that does not exist."""
    assert [entry.version for entry in steady.status("affine", label="no-such-label")] == [2, 1]


def test_status_of_unknown_model_and_version(steady: ModelServer) -> None:
    """What was never seen is NOT_FOUND, and a request without a model spec is INVALID_ARGUMENT."""
    with refused("NOT_FOUND", "Could not find any versions of model nobody"):
        steady.status("nobody")
    with refused("NOT_FOUND", "Could not find version 9 of model affine"):
        steady.status("affine", version=9)
    module = stubs.get_model_status_pb2
    with refused("INVALID_ARGUMENT", "Missing ModelSpec"):
        steady.call("ModelService/GetModelStatus", module.GetModelStatusRequest(), module.GetModelStatusResponse)


def test_versions_that_ended_are_kept(start: Start, models: ModelStore) -> None:
    """Every version ever seen stays in the status; after a roll-back the first one is not the one that serves."""
    for version in (1, 2, 3):
        models.place("affine", version)
    server = start(config=model_list(models.config("affine", 1))).ready()
    for version in (2, 3, 1):
        server.reload(model_list(models.config("affine", version)))
        wait_for(
            lambda: [each for each, state in server.states("affine").items() if state != END] == [version],  # noqa: B023
            f"version {version} alone",
        )
    assert list(server.states("affine").items()) == [(3, END), (2, END), (1, AVAILABLE)]
    assert all(entry.status.error_code == 0 and not entry.status.error_message for entry in server.status("affine"))


def test_removed_model_is_known(start: Start, models: ModelStore) -> None:
    """A model that was removed answers END and OK, and 200 over REST, not NOT_FOUND."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine"))).ready()
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {1: END}, "the removal")
    (entry,) = server.status("affine")
    assert (entry.status.error_code, entry.status.error_message) == (0, "")
    answer = server.http("GET", "/v1/models/affine")
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "model_version_status": [
            {"version": "1", "state": "END", "status": {"error_code": "OK", "error_message": ""}},
        ]
    }


def test_failed_load_is_reported_with_its_error(start: Start, models: ModelStore) -> None:
    """A failed load is END with the loader's code and text, also in the 200 of REST."""
    models.spoil("bad", 7, missing="saved_model.pb")
    server = start(*FAST_RETRIES, config=model_list()).ready()
    with refused("UNKNOWN"):
        server.reload(model_list(models.config("bad")))
    (entry,) = server.status("bad", version=7)
    assert (entry.version, entry.state, entry.status.error_code) == (7, END, 5)
    assert entry.status.error_message.startswith("Could not find SavedModel .pb or .pbtxt")
    answer = server.http("GET", "/v1/models/bad")
    assert answer.status == 200
    (shown,) = json.loads(answer.body)["model_version_status"]
    assert (shown["state"], shown["status"]["error_code"]) == ("END", "NOT_FOUND")
    assert shown["status"]["error_message"] == entry.status.error_message
