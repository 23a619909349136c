"""Section 3.5 of the contract: how versions are loaded, replaced, retried and unloaded."""

import time
from collections.abc import Iterator

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
    milliseconds,
    model_list,
    refused,
    wait_for,
)

CANCELLED, NOT_FOUND = 1, 5
SLOW_RETRIES = ("--max_num_load_retries=1000", "--load_retry_interval_micros=300000")


def mend(models: ModelStore, model: str, version: int) -> None:
    """Put the file in place that a spoilt version of affine lacks."""
    whole = models.exported / "affine" / str(version) / "saved_model.pb"
    (models.root / model / str(version) / "saved_model.pb").write_bytes(whole.read_bytes())


def failures(server: ModelServer, model: str, version: int) -> int:
    """How often a load has failed so far."""
    return server.log.count(f"Loading servable: {{name: {model} version: {version}}} failed: ")


def events(server: ModelServer, *versions: str) -> list[str]:
    """Loads (+) and unloads (-) of such versions of affine, in the order of the log."""
    marks = {f"+{each}": f"] Loading servable version {{name: affine version: {each}}}" for each in versions}
    marks |= {f"-{each}": f"] Quiescing servable version {{name: affine version: {each}}}" for each in versions}

    def found(line: str) -> Iterator[str]:
        return (mark for mark, text in marks.items() if text in line)

    return [mark for line in server.log.splitlines() for mark in found(line)]


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
    assert server.log.index("Successfully loaded servable version {name: affine version: 2}") < server.log.index(
        "Quiescing servable version {name: affine version: 1}"
    ), "both were in memory at once"


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        ((1,), (2, 3), ["+3", "-1", "+2"]),
        ((1, 2), (3,), ["-1", "+3", "-2"]),
        ((), (1, 2, 3), ["+3", "+2", "+1"]),
        ((1, 2, 3), (), ["-1", "-2", "-3"]),
    ],
    ids=["one for two", "two for one", "only loads", "only unloads"],
)
def test_order_of_loads_and_unloads(
    start: Start, models: ModelStore, before: tuple[int, ...], after: tuple[int, ...], order: list[str]
) -> None:
    """Unloads go before loads, the lowest first, down to the last that serves; of new versions the highest is first."""
    for version in (1, 2, 3):
        models.place("affine", version)
    server = start(config=model_list(*([models.config("affine", *before)] if before else []))).ready()
    wait_for(lambda: list(server.states("affine").values()) == [AVAILABLE] * len(before), "the versions before")
    seen = len(events(server, "1", "2", "3"))
    server.reload(model_list(*([models.config("affine", *after)] if after else [])))
    wait_for(lambda: len(events(server, "1", "2", "3")) == seen + len(order), "all loads and unloads")
    assert events(server, "1", "2", "3")[seen:] == order


def test_retries_happen_inside_loading(start: Start, models: ModelStore) -> None:
    """A failing version stays LOADING between its retries, and loads when it has become whole."""
    models.place("affine", 1)
    server = start(*SLOW_RETRIES, "--num_load_threads=1", config=model_list(models.config("affine"))).ready()
    models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: failures(server, "affine", 2) > 1, "a second attempt")
    (entry, old) = server.status("affine")
    assert (entry.version, entry.state, entry.status.error_code) == (2, LOADING, 0)
    assert (old.version, old.state) == (1, AVAILABLE)
    mend(models, "affine", 2)
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the retry that succeeds")


def test_failed_version_leaves_the_old_one_serving(start: Start, models: ModelStore) -> None:
    """A new version that fails ends with its error, and the old one serves on."""
    models.place("affine", 1)
    server = start(*FAST_RETRIES, "--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "the new version to fail")
    (entry,) = server.status("affine", version=2)
    assert entry.status.error_code == NOT_FOUND
    assert "Could not find SavedModel" in entry.status.error_message
    assert server.y(x=2.0) == 3.0


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_failing_load_holds_up_the_others(start: Start, models: ModelStore, threads: int) -> None:
    """Without load threads nothing loads or unloads while a load is retried; one frees unloads, two loads as well."""
    for name in ("affine", "other", "gone"):
        models.place(name, 1)
    kept = [models.config("affine"), models.config("other")]
    server = start(
        "--max_num_load_retries=6",
        "--load_retry_interval_micros=500000",
        f"--num_load_threads={threads}",
        config=model_list(*kept, models.config("gone")),
    ).ready()
    models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: failures(server, "affine", 2), "the first failure")
    models.place("other", 2)
    server.reload(model_list(*kept))
    wait_for(lambda: server.states("other").get(2) == AVAILABLE and server.states("gone") == {1: END}, "both changes")
    wait_for(lambda: server.states("affine").get(2) == END, "the failing version to end")
    log = server.log
    failed = log.index("Encountered an error for servable version {name: affine version: 2}")
    before = {
        "load": log.index("] Loading servable version {name: other version: 2}") < failed,
        "unload": log.index("] Quiescing servable version {name: gone version: 1}") < failed,
    }
    assert before == {"load": threads == 2, "unload": threads > 0}


def test_start_uses_threads_of_its_own(start: Start, models: ModelStore) -> None:
    """At start models load side by side though there are no load threads: one that is retried holds up no other."""
    models.place("good", 1)
    models.spoil("affine", 1, missing="saved_model.pb")
    server = start(*SLOW_RETRIES, config=model_list(models.config("affine"), models.config("good")))
    wait_for(lambda: failures(server, "affine", 1) > 1, "a retry")
    wait_for(lambda: "Successfully loaded servable version {name: good version: 1}" in server.log, "the good model")
    mend(models, "affine", 1)
    server.ready()


def test_failed_number_is_burnt_and_a_higher_one_works(start: Start, models: ModelStore) -> None:
    """A number that failed is not tried again though its files are whole now; a higher number loads."""
    models.place("affine", 1)
    server = start(*FAST_RETRIES, config=model_list(models.config("affine"))).ready()
    models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "version 2 to fail")
    mend(models, "affine", 2)
    server.reload(model_list(models.config("affine", 2)))
    models.place("affine", 3)
    server.reload(model_list(models.config("affine", 2, 3)))
    wait_for(lambda: server.states("affine") == {3: AVAILABLE, 2: END, 1: END}, "version 3 alone")
    assert events(server, "2").count("+2") == 1


def test_old_version_cannot_be_asked_for_after_a_failure(start: Start, models: ModelStore) -> None:
    """After v1 -> v2 (failed) a wish with v1 in it is put off for ever; a new number alone works (from source)."""
    models.place("affine", 1)
    models.place("affine", 3)
    models.place("clock", 1)
    server = start(
        *SLOW_RETRIES, "--num_load_threads=2", config=model_list(models.config("affine", 1), models.config("clock"))
    ).ready()
    models.spoil("affine", 2, missing="saved_model.pb")
    server.reload(model_list(models.config("affine", 2), models.config("clock")))
    wait_for(lambda: failures(server, "affine", 2), "version 2 to fail")
    for number, wish in enumerate([(1,), (1, 3)], start=2):
        server.reload(model_list(models.config("affine", *wish), models.config("clock")))
        models.place("clock", number, from_version=1)
        wait_for(lambda: server.states("clock").get(number) == AVAILABLE, "a scan")  # noqa: B023
        seen = failures(server, "affine", 2)
        wait_for(lambda: failures(server, "affine", 2) > seen + 1, "the retries to go on")  # noqa: B023
        assert server.states("affine") == {2: LOADING, 1: AVAILABLE}
    server.reload(model_list(models.config("affine", 3), models.config("clock")))
    wait_for(lambda: server.states("affine") == {3: AVAILABLE, 2: END, 1: END}, "version 3 alone")


def test_model_dropped_and_added_again_forgets_a_failure(start: Start, models: ModelStore) -> None:
    """A failed number loads after its model was removed and added again (from source)."""
    models.place("affine", 1)
    server = start(*FAST_RETRIES, config=model_list(models.config("affine"))).ready()
    models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "version 2 to fail")
    mend(models, "affine", 2)
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {2: END, 1: END}, "the removal")
    server.reload(model_list(models.config("affine")))
    assert server.states("affine") == {2: AVAILABLE, 1: END}


@pytest.mark.parametrize(("mended", "code"), [(True, CANCELLED), (False, NOT_FOUND)])
def test_cancelled_load(start: Start, models: ModelStore, mended: bool, code: int) -> None:
    """A load no longer wanted ends CANCELLED if it then succeeds, else with its own error and without more retries."""
    server = start(
        "--max_num_load_retries=1000",
        "--load_retry_interval_micros=5000000",
        "--num_load_threads=1",
        config=model_list(),
    ).ready()
    models.place("affine", 1)
    server.reload(model_list(models.config("affine")))
    models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: failures(server, "affine", 2), "the first failure")
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {2: LOADING, 1: END}, "the wish to arrive")
    if mended:
        mend(models, "affine", 2)
    wait_for(lambda: server.states("affine") == {2: END, 1: END}, "the load to end")
    (entry,) = server.status("affine", version=2)
    assert entry.status.error_code == code
    assert failures(server, "affine", 2) == (1 if mended else 2)


def test_rolling_back_loads_from_disk_again(start: Start, models: ModelStore) -> None:
    """A version that was unloaded can be asked for again and is loaded from its files."""
    models.place("affine", 1)
    models.place("affine", 2)
    server = start(config=model_list(models.config("affine", 1))).ready()
    for version, y in ((2, 12.0), (1, 3.0)):
        server.reload(model_list(models.config("affine", version)))
        wait_for(lambda: server.states("affine") == {version: AVAILABLE, 3 - version: END}, "the change")  # noqa: B023
        assert server.y(x=2.0) == y
    assert events(server, "1", "2") == ["+1", "+2", "-1", "+1", "-2"]


def test_unload_waits_for_requests_in_flight(start: Start, models: ModelStore) -> None:
    """A removed model stays UNLOADING until its running request is answered, while new ones get NOT_FOUND."""
    models.place("slow", 1, of="slow")
    server = start(config=model_list(models.config("slow"))).ready()
    request = server.begin_slow(2500)
    assert server.states("slow") == {1: AVAILABLE}  # answered after the request has begun: both use one connection
    server.reload(model_list())
    wait_for(lambda: server.states("slow") == {1: UNLOADING}, "the unload to begin")
    with refused("NOT_FOUND"):
        server.predict("slow", ms=milliseconds(1))
    assert not request.done()
    assert request.result(30).outputs["slept"].int64_val[0] == 2500
    wait_for(lambda: server.states("slow") == {1: END}, "the unload to end")


def test_hung_request_stalls_the_changes_of_all_models(start: Start, models: ModelStore) -> None:
    """A change of version waits for every request that began before it, of whatever model (from source)."""
    models.place("affine", 1)
    models.place("slow", 1, of="slow")
    server = start(config=model_list(models.config("affine"), models.config("slow"))).ready()
    request = server.begin_slow(4000)
    assert server.states("slow") == {1: AVAILABLE}  # answered after the request has begun: both use one connection
    models.place("affine", 2)
    wait_for(lambda: server.states("affine").get(2) == LOADING, "version 2 to load")
    assert server.y(version=1) == 3.0
    states = [server.states("affine")]
    while not request.done():
        time.sleep(0.05)
        states.append(server.states("affine"))
    during = states[: int(len(states) * 0.9)]  # the last looks may have come after the end of the request
    assert {state[1] for state in during} == {AVAILABLE}
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the change to go on")
