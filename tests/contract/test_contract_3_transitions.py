"""Sections 2.2, 3.1, 3.2 and 3.5 of the contract where one thing follows another: refused, failed, repeated wishes."""

import signal
from pathlib import Path

import pytest
from contract_server import (
    AVAILABLE,
    END,
    FAST_RETRIES,
    LOADING,
    ModelServer,
    ModelStore,
    Start,
    model_list,
    refused,
    wait_for,
)

POLL = "--model_config_file_poll_wait_seconds=1"


@pytest.fixture
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the stand-in poll its config file more often than the flag can say."""
    monkeypatch.setenv("STANDIN_CONFIG_POLL_S", "0.1")


def put(path: Path, text: str) -> None:
    """Replace a file at once."""
    staged = path.with_name("staged.config")
    staged.write_text(text)
    staged.rename(path)


def scans(server: ModelServer, models: ModelStore, witness: str) -> None:
    """Let the server scan and act at least once more: a new version of another model is loaded meanwhile."""
    version = max(server.states(witness)) + 1
    models.place(witness, version, from_version=1)
    wait_for(lambda: server.states(witness).get(version) == AVAILABLE, "another model to be loaded")


def test_first_list_after_an_unset_config_that_fails(start: Start, models: ModelStore) -> None:
    """Where the first list comes by reload and fails, nobody scans any more, and each repetition scans once."""
    path = models.root / "model.config"
    put(path, "# no list\n")
    server = start(*FAST_RETRIES, f"--model_config_file={path}").ready()
    models.place("good", 1)
    models.spoil("bad", 1, missing="saved_model.pb")
    both = model_list(models.config("good"), models.config("bad"))
    with refused("UNKNOWN", "1 servable(s) did not become available", "{name: bad version: 1}"):
        server.reload(both)
    wait_for(lambda: server.states("good") == {1: AVAILABLE}, "the other model to serve")
    models.place("bad", 2)
    with refused("UNKNOWN", "1 servable(s) did not become available", "{name: bad version: 1}"):
        server.reload(both)
    wait_for(lambda: server.states("bad") == {2: AVAILABLE, 1: END}, "what the one scan found to be loaded")
    server.reload(both)
    models.place("good", 2)
    wait_for(lambda: server.states("good") == {2: AVAILABLE, 1: END}, "scans to go on after a list that was taken")


def test_first_list_that_failed_leaves_what_it_loaded(start: Start, models: ModelStore) -> None:
    """After a first list by reload has failed, an empty list does not unload what the failed one has loaded."""
    path = models.root / "model.config"
    put(path, "# no list\n")
    server = start(*FAST_RETRIES, f"--model_config_file={path}").ready()
    for name in ("good", "witness"):
        models.place(name, 1)
    models.spoil("bad", 1, missing="saved_model.pb")
    with refused("UNKNOWN"):
        server.reload(model_list(models.config("good"), models.config("bad")))
    server.reload(model_list())
    server.reload(model_list(models.config("witness")))
    scans(server, models, "witness")
    assert server.states("good") == {1: AVAILABLE}


@pytest.mark.usefixtures("quick_polls")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# no list\n", "Cannot transition to requested config"),
        ("custom_model_config {}", "Cannot transition to requested config"),
        ("", "Failed to read ModelServerConfig file"),
        ("model_config_list { nonsense }", "Failed to read ModelServerConfig file"),
        ("ENTRY ENTRY", "multiple times in config list"),
        ("RELATIVE", "to have an absolute path or URI"),
        ("PLATFORM", "Illegal to change a model's platform"),
        ("LABEL", "not currently available for inference"),
        ("NEW", "requests unsupported platform"),
        ("LOGGING", "No request-logger-creator provided."),
    ],
)
def test_polled_file_that_is_refused(start: Start, models: ModelStore, text: str, complaint: str) -> None:
    """A polled file that a reload would refuse is complained about in the log, and what serves, serves on."""
    models.place("affine", 1)
    entry = models.config("affine")
    known = {
        "ENTRY": entry,
        "RELATIVE": entry.replace(f"{models.root}/", ""),
        "PLATFORM": entry.replace('"tensorflow"', '"other"'),
        "LABEL": models.config("affine", extra='version_labels { key: "stable" value: 9 }'),
        "NEW": entry + models.config("new").replace('"tensorflow"', '"other"'),
        "LOGGING": models.config("affine", extra="logging_config {}"),
    }
    path = models.root / "model.config"
    put(path, model_list(entry))
    server = start(POLL, f"--model_config_file={path}").ready()
    written = " ".join(known.get(word, word) for word in text.split(" "))
    put(path, model_list(written) if text.split(" ", maxsplit=1)[0] in known else written)
    wait_for(lambda: complaint in server.log, "the complaint")
    assert server.y(x=2.0) == 3.0
    assert server.states("affine") == {1: AVAILABLE}


@pytest.mark.usefixtures("quick_polls")
def test_polled_file_that_vanishes(start: Start, models: ModelStore) -> None:
    """A polled file that is gone is complained about, and taken again when it is back."""
    models.place("affine", 1)
    models.place("other", 1)
    path = models.root / "model.config"
    put(path, model_list(models.config("affine")))
    server = start(POLL, f"--model_config_file={path}").ready()
    path.unlink()
    wait_for(lambda: "Failed to read ModelServerConfig file" in server.log, "the complaint")
    assert server.y(x=2.0) == 3.0
    put(path, model_list(models.config("affine"), models.config("other")))
    wait_for(lambda: server.states("other") == {1: AVAILABLE}, "the file to be taken again")


@pytest.mark.usefixtures("quick_polls")
def test_custom_config_polled_before_any_list(start: Start, models: ModelStore) -> None:
    """A custom config aborts the process while there is no list yet, also when it comes by polling."""
    path = models.root / "model.config"
    put(path, "# no list\n")
    server = start(POLL, f"--model_config_file={path}").ready()
    put(path, "custom_model_config {}")
    assert server.exit_status() in (-signal.SIGABRT, 128 + signal.SIGABRT)


@pytest.mark.parametrize("wish", [(1,), (1, 3)])
def test_wish_for_the_old_version_after_a_failure_is_postponed(
    start: Start, models: ModelStore, wish: tuple[int, ...]
) -> None:
    """After version 2 has failed, a list with version 1 is put off for ever; 3 alone works, and then 1 again."""
    for name, version in (("affine", 1), ("affine", 3), ("witness", 1)):
        models.place(name, version)
    models.spoil("affine", 2, missing="saved_model.pb")

    def config(*versions: int) -> str:
        return model_list(models.config("affine", *versions), models.config("witness"))

    server = start(*FAST_RETRIES, config=config(1)).ready()
    server.reload(config(2))
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "version 2 to fail")
    server.reload(config(*wish))
    scans(server, models, "witness")
    scans(server, models, "witness")
    assert server.states("affine") == {2: END, 1: AVAILABLE}
    server.reload(config(3))
    wait_for(lambda: server.states("affine") == {3: AVAILABLE, 2: END, 1: END}, "version 3 alone")
    server.reload(config(1))
    wait_for(lambda: server.states("affine") == {3: END, 2: END, 1: AVAILABLE}, "version 1 again")


def test_without_load_threads_a_failing_load_holds_up_all_others(start: Start, models: ModelStore) -> None:
    """With num_load_threads=0 nothing else is loaded during the retries of a version that fails."""
    for name in ("affine", "other"):
        models.place(name, 1)
    retries = ("--max_num_load_retries=1", "--load_retry_interval_micros=2000000")
    server = start(*retries, config=model_list(models.config("affine"), models.config("other"))).ready()
    models.spoil("affine", 2, missing="saved_model.pb")
    wait_for(lambda: server.states("affine").get(2) == LOADING, "the failing version")
    models.place("other", 2)
    wait_for(lambda: server.states("other").get(2) == AVAILABLE, "the other version")
    assert server.states("affine") == {2: END, 1: AVAILABLE}, "it had to end first"
