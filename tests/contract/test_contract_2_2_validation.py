"""Section 2.2 of the contract: every check of a config, at start-up, by reload and by polling of the file."""

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from contract_server import AVAILABLE, END, ModelServer, ModelStore, Start, floats, model_list, refused, wait_for
from contract_target import IMAGE

_COMPLETE = 'name: "m" base_path: "/m" model_platform: "tensorflow"'

BAD_LISTS = {
    "name twice": (f"config {{ {_COMPLETE} }} config {{ {_COMPLETE} }}", "list model m multiple times in config list"),
    "relative path": (
        'config { name: "m" base_path: "models/m" model_platform: "tensorflow" }',
        "Expected model m to have an absolute path or URI; got base_path()=models/m",
    ),
    "no path": ('config { name: "m" model_platform: "tensorflow" }', "Expected model m to have an absolute path"),
    "no platform": ('config { name: "m" base_path: "/m" }', "Illegal setting neither ModelServerConfig::model_type"),
    "unknown platform": (
        'config { name: "m" base_path: "/m" model_platform: "caffe" }',
        "Model m requests unsupported platform caffe",
    ),
    "type and platform": (
        f"config {{ {_COMPLETE} model_type: TENSORFLOW }}",
        "Illegal setting both ModelServerConfig::model_type",
    ),
    "other type": ('config { name: "m" base_path: "/m" model_type: OTHER }', "model_type choice"),
}
"""Config lists that are refused with INVALID_ARGUMENT and these words."""

_REMEMBERED = ("no platform", "unknown platform", "type and platform", "other type")
_CHECKED_FIRST = ("name twice", "relative path", "no path")


@pytest.fixture(scope="module")
def serving(module_start: Start, module_models: ModelStore) -> ModelServer:
    """A server with one model, for reloads that leave nothing behind."""
    module_models.place("affine", 1)
    return module_start(config=model_list(module_models.config("affine"))).ready()


@dataclass(frozen=True)
class Polled:
    """A server that polls its config file every second."""

    server: ModelServer
    path: Path

    def write(self, text: str) -> None:
        """Replace the file at once."""
        staged = self.path.with_suffix(".new")
        staged.write_text(text)
        staged.rename(self.path)

    def logs(self, text: str, *, after: int = 0) -> None:
        """Wait for a text in the part of the log behind `after`."""
        wait_for(lambda: text in self.server.log[after:], f"{text} in the log")


def _poll(start: Start, models: ModelStore, name: str) -> Polled:
    path = models.root / f"{name}.config"
    path.write_text(model_list(models.config("affine")))
    server = start(f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1").ready()
    return Polled(server, path)


@pytest.fixture(scope="module")
def polled(serving: ModelServer, module_start: Start, module_models: ModelStore) -> Polled:
    """A polling server with one model, for files that leave nothing behind."""
    return _poll(module_start, module_models, "polled")


# --- start-up ---


@pytest.mark.parametrize("kind", sorted(BAD_LISTS))
def test_invalid_list_at_start_exits(start: Start, kind: str) -> None:
    """A list that is not valid ends the server at start with INVALID_ARGUMENT."""
    entries, fragment = BAD_LISTS[kind]
    server = start(config=model_list(entries))
    assert server.exit_status() == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: " in server.output
    assert fragment in server.output


def test_missing_file_at_start_exits(start: Start) -> None:
    """A config file that does not exist ends the server."""
    server = start("--model_config_file=/no/such/file")
    assert server.exit_status() == 255
    assert "Failed to start server. Error: NOT_FOUND: /no/such/file" in server.output


def test_empty_file_at_start_exits(start: Start) -> None:
    """A config file of zero bytes ends the server with INVALID_ARGUMENT (read from the source, not seen)."""
    server = start(config="")
    assert server.exit_status() == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: " in server.output


@pytest.mark.parametrize("text", ["# nothing yet\n", " \n", "model_config_list { }"])
def test_no_models_at_start_are_fine(start: Start, text: str) -> None:
    """A file of comments or white space, and an empty list, start a server without models."""
    server = start(config=text).ready()
    assert server.states("m") == {}


def test_custom_config_at_start_aborts(start: Start) -> None:
    """A custom_model_config kills the process by SIGABRT."""
    server = start(config="custom_model_config { }")
    assert server.exit_status() == (128 + signal.SIGABRT if IMAGE else -signal.SIGABRT)


def test_label_at_start_exits(start: Start, models: ModelStore) -> None:
    """Any label in the first config ends the server, because nothing is available yet."""
    models.place("affine", 1)
    extra = 'version_labels { key: "stable" value: 1 }'
    server = start(config=model_list(models.config("affine", 1, extra=extra)))
    assert server.exit_status() == 255
    assert "FAILED_PRECONDITION: Request to assign label to version 1 of model affine, which is not" in server.output
    assert "Loading servable version" not in server.log


def test_logging_config_at_start_exits_after_loading(start: Start, models: ModelStore) -> None:
    """A logging_config ends the server with INVALID_ARGUMENT, after its models were loaded."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine", extra="logging_config { }")))
    assert server.exit_status() == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: No request-logger-creator provided." in server.output
    assert "Successfully loaded servable version {name: affine version: 1}" in server.log


def test_model_without_a_name_is_accepted(start: Start, models: ModelStore) -> None:
    """An empty name is loaded like any other, but no request can reach it."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine").replace('name: "affine"', 'name: ""'))).ready()
    assert server.states("") == {1: AVAILABLE}
    with refused("INVALID_ARGUMENT"):
        server.predict("", x=floats(1.0))


# --- HandleReloadConfigRequest ---


@pytest.mark.parametrize("kind", _CHECKED_FIRST)
def test_invalid_list_is_refused_by_reload(serving: ModelServer, module_models: ModelStore, kind: str) -> None:
    """A list refused by the first checks is refused with INVALID_ARGUMENT and leaves no trace."""
    entries, fragment = BAD_LISTS[kind]
    with refused("INVALID_ARGUMENT", fragment):
        serving.reload(model_list(entries))
    serving.reload(model_list(module_models.config("affine")))
    assert serving.y(x=2.0) == 3.0


@pytest.mark.parametrize(
    "text", ["", 'custom_model_config { type_url: "x/tensorflow.serving.ModelConfig" }'], ids=["unset", "custom"]
)
def test_only_a_list_is_accepted_by_reload(serving: ModelServer, text: str) -> None:
    """A reload with anything but a model config list is refused with the same text."""
    with refused("INVALID_ARGUMENT", "Only ModelConfigList is currently supported"):
        serving.reload(text)


def test_platform_of_a_listed_model_cannot_change(serving: ModelServer, module_models: ModelStore) -> None:
    """Another platform for a model that is listed is refused; the old model serves on."""
    with refused(
        "INVALID_ARGUMENT",
        "Illegal to change a model's platform. For model affine platform was tensorflow and new platform requested is",
    ):
        serving.reload(model_list(module_models.config("affine").replace("tensorflow", "caffe")))
    assert serving.y(x=2.0) == 3.0


def test_label_on_an_absent_version_is_refused_by_reload(serving: ModelServer, module_models: ModelStore) -> None:
    """A label for a version that is not AVAILABLE is FAILED_PRECONDITION."""
    extra = 'version_labels { key: "stable" value: 5 }'
    with refused("FAILED_PRECONDITION", "version 5 of model affine, which is not currently available for inference"):
        serving.reload(model_list(module_models.config("affine", extra=extra)))
    serving.reload(model_list(module_models.config("affine")))


def test_empty_list_unloads_everything(start: Start, models: ModelStore) -> None:
    """Reloading an empty list is accepted and unloads all models."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine"))).ready()
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {1: END}, "the model to end")
    with refused("NOT_FOUND", "Servable not found for request: Latest(affine)"):
        server.predict("affine", x=floats(1.0))


def test_logging_config_is_refused_after_it_was_applied(start: Start, models: ModelStore) -> None:
    """A logging_config is refused, but only after the models of that list were loaded."""
    models.place("affine", 1)
    server = start(config=model_list()).ready()
    with refused("INVALID_ARGUMENT", "No request-logger-creator provided."):
        server.reload(model_list(models.config("affine", extra="logging_config { }")))
    assert server.states("affine") == {1: AVAILABLE}


@pytest.mark.parametrize("policy", ["specific { versions: 9 }", "specific { }"])
def test_listed_model_may_lose_its_versions(start: Start, models: ModelStore, policy: str) -> None:
    """A listed model whose policy now matches nothing is accepted at once, and unloaded."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine"))).ready()
    server.reload(model_list(models.config("affine", extra=f"model_version_policy {{ {policy} }}")))
    wait_for(lambda: server.states("affine") == {1: END}, "the version to be unloaded")


def test_changed_base_path_reloads_other_numbers_only(start: Start, models: ModelStore) -> None:
    """Another base path is accepted; a version whose number is loaded stays as it is, another number is loaded."""
    models.place("affine", 1)
    models.place("moved", 1, from_version=3)
    server = start(config=model_list(models.config("affine"))).ready()
    server.reload(model_list(models.config("moved").replace('name: "moved"', 'name: "affine"')))
    models.place("moved", 2)
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "version 2 from the new path")
    assert server.log.count("Loading servable version {name: affine version: 1}") == 1
    assert server.y(x=2.0) == 12.0


# --- polling ---


@pytest.mark.parametrize("kind", _CHECKED_FIRST)
def test_invalid_list_is_refused_by_polling(polled: Polled, module_models: ModelStore, kind: str) -> None:
    """A polled list that is refused is logged, the old state stays, and a good file is accepted after it."""
    entries, fragment = BAD_LISTS[kind]
    seen = len(polled.server.log)
    polled.write(model_list(entries))
    polled.logs("PollFilesystemAndReloadConfig failed to ReloadConfig: ", after=seen)
    polled.logs(fragment, after=seen)
    assert polled.server.y(x=2.0) == 3.0
    seen = len(polled.server.log)
    polled.write(model_list(module_models.config("affine")))
    polled.logs("Finished adding/updating models", after=seen)


@pytest.mark.parametrize("text", ["model_config_list { nonsense }", "", None], ids=["unparsable", "empty", "missing"])
def test_unreadable_polled_file_keeps_the_old_state(
    polled: Polled, module_models: ModelStore, text: str | None
) -> None:
    """A polled file that cannot be read is logged, and the next poll tries again."""
    seen = len(polled.server.log)
    if text is None:
        polled.path.unlink()
    else:
        polled.write(text)
    polled.logs("Failed to read ModelServerConfig file: ", after=seen)
    assert polled.server.y(x=2.0) == 3.0
    seen = len(polled.server.log)
    polled.write(model_list(module_models.config("affine")))
    polled.logs("Finished adding/updating models", after=seen)


@pytest.mark.parametrize("text", ["# nothing\n", "custom_model_config { }"], ids=["unset", "custom"])
def test_polled_file_cannot_change_the_kind_of_config(polled: Polled, module_models: ModelStore, text: str) -> None:
    """While a list is active a polled file without one, or with a custom config, is refused."""
    seen = len(polled.server.log)
    polled.write(text)
    polled.logs(
        "PollFilesystemAndReloadConfig failed to ReloadConfig: Cannot transition to requested config", after=seen
    )
    assert polled.server.y(x=2.0) == 3.0
    polled.write(model_list(module_models.config("affine")))


@pytest.mark.parametrize("change", ["platform", "label"])
def test_refused_change_of_a_listed_model_by_polling(polled: Polled, module_models: ModelStore, change: str) -> None:
    """Another platform for a listed model, or a label that cannot be given, is logged and changes nothing."""
    whole = module_models.config("affine")
    text, complaint = {
        "platform": (whole.replace("tensorflow", "caffe"), "Illegal to change a model's platform"),
        "label": (
            module_models.config("affine", extra='version_labels { key: "s" value: 5 }'),
            "not currently available for inference",
        ),
    }[change]
    seen = len(polled.server.log)
    polled.write(model_list(text))
    polled.logs(complaint, after=seen)
    assert polled.server.y(x=2.0) == 3.0
    polled.write(model_list(whole))


def test_polled_empty_list_unloads_everything(start: Start, models: ModelStore) -> None:
    """A polled file with an empty list unloads all models, and one with a model loads it again."""
    models.place("affine", 1)
    polled = _poll(start, models, "emptied")
    polled.write("model_config_list { }")
    wait_for(lambda: polled.server.states("affine") == {1: END}, "the model to end")
    polled.write(model_list(models.config("affine")))
    wait_for(lambda: polled.server.states("affine") == {1: AVAILABLE}, "the model to come back")


def test_polled_logging_config_is_applied_and_complained_of(start: Start, models: ModelStore) -> None:
    """A polled logging_config is complained of after the models of that list were loaded."""
    models.place("affine", 1)
    models.place("other", 1)
    polled = _poll(start, models, "logging")
    polled.write(model_list(models.config("affine"), models.config("other", extra="logging_config { }")))
    polled.logs("PollFilesystemAndReloadConfig failed to ReloadConfig: No request-logger-creator provided.")
    assert polled.server.states("other") == {1: AVAILABLE}


# --- rejected configs stick ---


@pytest.mark.parametrize("kind", ["no platform", "type and platform", "other type"])
def test_list_that_spoils_every_later_reload(start: Start, kind: str) -> None:
    """A new model without a usable platform is refused and remembered: no reload is accepted any more (from source)."""
    entries, fragment = BAD_LISTS[kind]
    server = start(config=model_list()).ready()
    for config in (model_list(entries), model_list(), model_list(entries)):
        with refused("INVALID_ARGUMENT", fragment):
            server.reload(config)


def test_refused_unsupported_platform_sticks(start: Start, models: ModelStore) -> None:
    """A new model refused for its platform must leave the list once to come back with a good one (from source)."""
    models.place("affine", 1)
    server = start(config=model_list()).ready()
    with refused("INVALID_ARGUMENT", "Model affine requests unsupported platform caffe"):
        server.reload(model_list(models.config("affine").replace("tensorflow", "caffe")))
    with refused("INVALID_ARGUMENT", "Illegal to change a model's platform"):
        server.reload(model_list(models.config("affine")))
    server.reload(model_list())
    server.reload(model_list(models.config("affine")))
    assert server.y(x=2.0) == 3.0


@pytest.mark.parametrize("kind", _REMEMBERED)
def test_list_that_spoils_later_polls(start: Start, models: ModelStore, kind: str) -> None:
    """A polled list with an unusable platform is remembered: later good files are refused, too, unless it had one."""
    models.place("affine", 1)
    entries, fragment = BAD_LISTS[kind]
    polled = _poll(start, models, "spoilt")
    polled.write(model_list(models.config("affine"), entries))
    polled.logs(fragment)
    seen = len(polled.server.log)
    polled.write(model_list(models.config("affine")))
    polled.logs("Finished adding/updating models" if kind == "unknown platform" else fragment, after=seen)
    assert polled.server.y(x=2.0) == 3.0


def test_refused_label_is_remembered_with_its_list(start: Start, models: ModelStore) -> None:
    """A list refused for a label is remembered without being applied: its new model counts as listed (from source)."""
    models.place("affine", 1)
    server = start(config=model_list()).ready()
    with refused("FAILED_PRECONDITION"):
        server.reload(model_list(models.config("affine", extra='version_labels { key: "s" value: 1 }')))
    assert server.states("affine") == {}
    with refused("INVALID_ARGUMENT", "Illegal to change a model's platform"):
        server.reload(model_list(models.config("affine").replace("tensorflow", "caffe")))
    server.reload(model_list(models.config("affine")))
    assert server.states("affine") == {1: AVAILABLE}
