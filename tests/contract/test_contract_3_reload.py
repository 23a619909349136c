"""Sections 3.1 to 3.5 of the contract: reloads, scans, loads and unloads."""

import time

import grpc
from contract_server import (
    AVAILABLE,
    END,
    FAST_RETRIES,
    LOADING,
    UNLOADING,
    ModelStore,
    Start,
    floats,
    milliseconds,
    model_list,
    refused,
    wait_for,
)


def test_reload_waits_for_a_new_model(start: Start, models: ModelStore) -> None:
    """A reload with a model whose name is new returns OK when that model serves."""
    models.place("affine", 1)
    server = start(config=model_list()).ready()
    answer = server.reload(model_list(models.config("affine")))
    assert answer.status.error_code == 0
    assert server.states("affine") == {1: AVAILABLE}


def test_reload_does_not_wait_for_versions_of_a_listed_model(start: Start, models: ModelStore) -> None:
    """A reload that names another version of a listed model returns at once, also if that version does not exist."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine", 1))).ready()
    server.reload(model_list(models.config("affine", 1, 9)), timeout_s=5)
    assert server.states("affine") == {1: AVAILABLE}


def test_failing_new_model_fails_the_reload_and_the_same_again_is_ok(start: Start, models: ModelStore) -> None:
    """A new model that fails to load fails the reload; repeating it returns OK while the model is still broken."""
    models.place("good", 1)
    models.spoil("bad", 7, missing="saved_model.pb")
    server = start(*FAST_RETRIES, config=model_list()).ready()
    config = model_list(models.config("good"), models.config("bad"))
    with refused("UNKNOWN", "1 model(s) did not become available: {{{name: bad version: 7} due to error: NOT_FOUND: "):
        server.reload(config)
    assert server.states("good") == {1: AVAILABLE}, "nothing is rolled back"
    server.reload(config)
    (entry,) = server.status("bad")
    assert (entry.state, entry.status.error_code) == (END, grpc.StatusCode.NOT_FOUND.value[0])


def test_reload_of_absent_model_waits_and_blocks_the_next(start: Start, models: ModelStore) -> None:
    """A new model without files makes the reload wait for ever, past the client's deadline, and others behind it."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine"))).ready()
    with refused("DEADLINE_EXCEEDED"):
        server.reload(model_list(models.config("affine"), models.config("absent")), timeout_s=0.5)
    with refused("DEADLINE_EXCEEDED"):
        server.reload(model_list(models.config("affine")), timeout_s=0.5)
    assert server.y(x=2.0) == 3.0, "requests are answered meanwhile"
    models.place("absent", 1)
    wait_for(lambda: server.states("absent") == {1: END}, "the first reload to load it, the second to remove it")


def test_config_file_is_polled_and_applied_again(start: Start, models: ModelStore) -> None:
    """With polling the file is applied over and over, so that it undoes what a reload changed."""
    models.place("affine", 1)
    models.place("other", 1)
    server = start("--model_config_file_poll_wait_seconds=1", config=model_list(models.config("affine"))).ready()
    server.reload(model_list(models.config("affine"), models.config("other")))
    wait_for(lambda: server.states("other") == {1: END}, "the file to win over the reload")


def test_unreadable_polled_file_keeps_the_old_state(start: Start, models: ModelStore) -> None:
    """A polled file that does not parse is logged, and what was served is served on."""
    models.place("affine", 1)
    path = models.root / "polled.config"
    path.write_text(model_list(models.config("affine")))
    server = start(f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1").ready()
    path.write_text("model_config_list { nonsense }")
    wait_for(lambda: "Failed to read ModelServerConfig file" in server.log, "the complaint in the log")
    assert server.y(x=2.0) == 3.0


def test_new_version_is_found_and_replaces_the_old(start: Start, models: ModelStore) -> None:
    """A new number in the base path loads by itself; the old version is unloaded afterwards and kept in the status."""
    models.place("affine", 1)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    models.place("affine", 2)
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the new version alone")
    assert server.y(x=2.0) == 12.0
    with refused("NOT_FOUND", "Servable not found for request: Specific(affine, 1)"):
        server.y(version=1)


def test_old_version_serves_until_the_new_one_does(start: Start, models: ModelStore) -> None:
    """During a change of version every request is answered, by one version or the other."""
    models.place("affine", 1)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    answers: set[float] = set()
    models.place("affine", 2)
    end = time.monotonic() + 30
    while server.states("affine") != {2: AVAILABLE, 1: END}:
        answers.add(server.y(x=2.0))
        assert time.monotonic() < end
    answers.add(server.y(x=2.0))
    assert answers <= {3.0, 12.0}
    assert 12.0 in answers


def test_only_whole_numbers_are_versions(start: Start, models: ModelStore) -> None:
    """Staging names are not versions, and leading zeros are part of a number."""
    for name in ("2.tmp", ".3", "tmp-4"):
        models.place("affine", 9, from_version=1).rename(models.root / "affine" / name)
    models.place("affine", 9, from_version=1).rename(models.root / "affine" / "00000123")
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    assert server.states("affine") == {123: AVAILABLE}


def test_one_missing_base_path_stops_the_scan_for_all(start: Start, models: ModelStore) -> None:
    """While the base path of one model is missing no new version of any other is loaded, and what serves, serves on."""
    models.place("affine", 1)
    models.place("other", 1)
    server = start(config=model_list(models.config("affine"), models.config("other"))).ready()
    away = models.root / "away"
    (models.root / "other").rename(away)
    wait_for(lambda: "Could not find base path" in server.log, "a scan without the base path")
    models.place("affine", 2)
    seen = server.log.count("Could not find base path")
    wait_for(lambda: server.log.count("Could not find base path") > seen + 2, "two more scans")
    assert server.states("affine") == {1: AVAILABLE}
    assert server.y("other") == 3.0
    away.rename(models.root / "other")
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the scan to go on")


def test_base_path_without_versions_unloads_all(start: Start, models: ModelStore) -> None:
    """A base path that is there but has no versions left unloads the model."""
    models.place("affine", 1)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    (models.root / "affine" / "1").rename(models.root / "affine" / "gone")
    wait_for(lambda: server.states("affine") == {1: END}, "the version to be unloaded")


def test_missing_variables_load_and_then_fail_requests(start: Start, models: ModelStore) -> None:
    """A version without variables/ is AVAILABLE, and every request to it fails with FAILED_PRECONDITION."""
    models.spoil("tf2", 1, missing="variables")
    models.spoil("tf1", 1, missing="variables", of="graph")
    server = start(config=model_list(models.config("tf2"), models.config("tf1"))).ready()
    assert server.states("tf2") == server.states("tf1") == {1: AVAILABLE}
    for model in ("tf2", "tf1"):
        with refused("FAILED_PRECONDITION"):
            server.predict(model, x=floats(1.0))


def test_truncated_model_fails_with_the_loaders_code(start: Start, models: ModelStore) -> None:
    """Each kind of damage ends the version with the code of TensorFlow's own loader."""
    damages = {"no_graph": 5, "short_graph": 11, "no_data": 5}
    models.spoil("no_graph", 1, missing="saved_model.pb")
    models.spoil("no_data", 1, missing="variables/variables.data-00000-of-00001")
    graph = models.place("short_graph", 1) / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:100])
    server = start(*FAST_RETRIES, config=model_list()).ready()
    with refused("UNKNOWN", "3 model(s) did not become available"):
        server.reload(model_list(*(models.config(name) for name in damages)))
    assert {name: server.status(name)[0].status.error_code for name in damages} == damages


def test_retries_happen_inside_loading(start: Start, models: ModelStore) -> None:
    """A failing version stays LOADING between its retries, and loads when it has become whole."""
    models.place("affine", 1)
    server = start(
        "--max_num_load_retries=20",
        "--load_retry_interval_micros=300000",
        "--num_load_threads=1",
        config=model_list(models.config("affine")),
    ).ready()
    broken = models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: server.log.count("{name: affine version: 2} failed: NOT_FOUND") > 1, "a second attempt")
    assert server.states("affine") == {2: LOADING, 1: AVAILABLE}
    (broken / "saved_model.pb").write_bytes((models.exported / "affine" / "2" / "saved_model.pb").read_bytes())
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the retry that succeeds")


def test_failed_version_leaves_the_old_one_serving(start: Start, models: ModelStore) -> None:
    """A new version that fails ends with its error, and the old one serves on."""
    models.place("affine", 1)
    server = start(*FAST_RETRIES, "--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "the new version to fail")
    assert "Could not find SavedModel" in server.status("affine", version=2)[0].status.error_message
    assert server.y(x=2.0) == 3.0


def test_failed_number_is_burnt_and_a_higher_one_works(start: Start, models: ModelStore) -> None:
    """A number that failed is not tried again though its files are whole now; a higher number loads."""
    models.place("affine", 1)
    server = start(*FAST_RETRIES, config=model_list(models.config("affine"))).ready()
    broken = models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "version 2 to fail")
    (broken / "saved_model.pb").write_bytes((models.exported / "affine" / "2" / "saved_model.pb").read_bytes())
    attempts = server.log.count("{name: affine version: 2}")
    models.place("affine", 3)
    wait_for(lambda: server.states("affine") == {3: AVAILABLE, 2: END, 1: END}, "version 3 alone")
    assert server.log.count("Loading servable version {name: affine version: 2}") <= 1 <= attempts


def test_rolling_back_loads_from_disk_again(start: Start, models: ModelStore) -> None:
    """A version that was unloaded can be asked for again and is loaded from its files."""
    models.place("affine", 1)
    models.place("affine", 2)
    server = start(config=model_list(models.config("affine", 1))).ready()
    for version, y in ((2, 12.0), (1, 3.0)):
        server.reload(model_list(models.config("affine", version)))
        wait_for(lambda: server.states("affine").get(version) == AVAILABLE, "the version asked for")  # noqa: B023
        wait_for(lambda: list(server.states("affine").values()).count(END) == 1, "the other to end")
        assert server.y(x=2.0) == y


def test_unload_waits_for_requests_in_flight(start: Start, models: ModelStore) -> None:
    """A removed model stays UNLOADING until its running request is answered, while new ones get NOT_FOUND."""
    models.place("slow", 1, of="slow")
    server = start(config=model_list(models.config("slow"))).ready()
    request = server.begin_slow(700)
    assert server.states("slow") == {1: AVAILABLE}  # answered after the request has begun: both use one connection
    server.reload(model_list())
    wait_for(lambda: server.states("slow") == {1: UNLOADING}, "the unload to begin")
    with refused("NOT_FOUND"):
        server.predict("slow", ms=milliseconds(1))
    assert not request.done()
    assert request.result(30).outputs["slept"].int64_val[0] == 700
    wait_for(lambda: server.states("slow") == {1: END}, "the unload to end")
