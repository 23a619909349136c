"""Section 2 of the contract: ModelServerConfig, its checks and labels."""

import pytest
from contract_server import AVAILABLE, END, FAST_RETRIES, ModelStore, Start, floats, model_list, refused, wait_for

_BAD_LISTS = {
    "twice": (
        'config { name: "m" base_path: "/m" } config { name: "m" base_path: "/n" }',
        "multiple times in config list",
    ),
    "relative": (
        'config { name: "m" base_path: "models/m" model_platform: "tensorflow" }',
        "to have an absolute path or URI",
    ),
    "no path": ('config { name: "m" model_platform: "tensorflow" }', "to have an absolute path or URI"),
    "no platform": ('config { name: "m" base_path: "/m" }', "neither ModelServerConfig::model_type"),
    "other platform": (
        'config { name: "m" base_path: "/m" model_platform: "caffe" }',
        "Model m requests unsupported platform caffe",
    ),
    "both": (
        'config { name: "m" base_path: "/m" model_platform: "tensorflow" model_type: TENSORFLOW }',
        "Illegal setting both",
    ),
}


@pytest.mark.parametrize("kind", ["twice", "no platform", "other platform"])
def test_invalid_list_at_start_exits(start: Start, kind: str) -> None:
    """A list that is not valid ends the server at start with INVALID_ARGUMENT."""
    entries, fragment = _BAD_LISTS[kind]
    server = start(config=model_list(entries))
    assert server.exit_status() == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: " in server.output
    assert fragment in server.output


def test_invalid_lists_are_refused_by_reload(start: Start) -> None:
    """A reload with a list that is not valid is refused with INVALID_ARGUMENT, and a good one is accepted after it."""
    server = start(config=model_list()).ready()
    for kind in ("twice", "relative", "no path"):
        entries, fragment = _BAD_LISTS[kind]
        with refused("INVALID_ARGUMENT", fragment):
            server.reload(model_list(entries))
    server.reload(model_list())


def test_platform_named_twice_spoils_every_later_reload(start: Start) -> None:
    """A new model with both type and platform is refused and remembered, so that no reload is accepted any more."""
    entries, fragment = _BAD_LISTS["both"]
    server = start(config=model_list()).ready()
    for config in (model_list(entries), model_list()):
        with refused("INVALID_ARGUMENT", fragment):
            server.reload(config)


def test_unparsable_file_exits(start: Start) -> None:
    """Text that is no ModelServerConfig ends the server with INVALID_ARGUMENT and the parser's complaint on stderr."""
    server = start(config="model_config_list { config { nome: 'm' } }")
    assert server.exit_status() == 255
    assert "INVALID_ARGUMENT: Invalid protobuf file" in server.output
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in server.log


def test_empty_file_exits_and_a_comment_does_not(start: Start) -> None:
    """A file of zero bytes is refused, while one of comments alone starts a server without models."""
    assert start(config="").exit_status() == 255
    server = start(config="# nothing yet\n").ready()
    assert server.states("m") == {}


def test_unset_config_is_refused_by_reload(start: Start) -> None:
    """Only a model config list can be sent in a reload."""
    server = start(config=model_list()).ready()
    with refused("INVALID_ARGUMENT", "Only ModelConfigList is currently supported"):
        server.reload("")


def test_empty_list_unloads_everything(start: Start, models: ModelStore) -> None:
    """Reloading an empty list is accepted and unloads all models."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine"))).ready()
    server.reload(model_list())
    wait_for(lambda: server.states("affine") == {1: END}, "the model to end")
    with refused("NOT_FOUND", "Servable not found for request: Latest(affine)"):
        server.predict("affine", x=floats(1.0))


def test_platform_of_a_listed_model_cannot_change(start: Start, models: ModelStore) -> None:
    """Another platform for a model that is listed is refused; the old model serves on."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine"))).ready()
    with refused("INVALID_ARGUMENT", "Illegal to change a model's platform"):
        server.reload(model_list(models.config("affine").replace("tensorflow", "caffe")))
    assert server.y(x=2.0) == 3.0


def test_refused_unsupported_platform_sticks(start: Start, models: ModelStore) -> None:
    """A new model refused for its platform must leave the list once before it can come back with a good one."""
    models.place("affine", 1)
    server = start(config=model_list()).ready()
    with refused("INVALID_ARGUMENT", "unsupported platform"):
        server.reload(model_list(models.config("affine").replace("tensorflow", "caffe")))
    with refused("INVALID_ARGUMENT", "Illegal to change a model's platform"):
        server.reload(model_list(models.config("affine")))
    server.reload(model_list())
    server.reload(model_list(models.config("affine")))
    assert server.y(x=2.0) == 3.0


def test_logging_config_is_refused_after_it_was_applied(start: Start, models: ModelStore) -> None:
    """A logging_config is refused, but only after the models of that list were loaded."""
    models.place("affine", 1)
    server = start(config=model_list()).ready()
    with refused("INVALID_ARGUMENT", "No request-logger-creator provided."):
        server.reload(model_list(models.config("affine", extra="logging_config { }")))
    assert server.states("affine") == {1: AVAILABLE}


def test_policies(start: Start, models: ModelStore) -> None:
    """No policy serves the largest number, latest as many as it says, all every one, specific those it names."""
    for version in (1, 2, 3):
        models.place("affine", version)
    base = models.root / "affine"
    entry = 'config {{ name: "{}" base_path: "{}" model_platform: "tensorflow" model_version_policy {{ {} }} }}'
    policies = {"one": "", "two": "latest { num_versions: 2 }", "every": "all { }", "some": "specific { versions: 2 }"}
    server = start(config=model_list(*(entry.format(name, base, text) for name, text in policies.items()))).ready()
    expected = {"one": [3], "two": [3, 2], "every": [3, 2, 1], "some": [2]}
    for name, versions in expected.items():
        wait_for(lambda: list(server.states(name).values()) == [AVAILABLE] * len(versions), name)  # noqa: B023
        assert list(server.states(name)) == versions


def test_label_needs_an_available_version(start: Start, models: ModelStore) -> None:
    """A label can name a version that serves, not one that the same reload brings, and goes when it is left out."""
    models.place("affine", 1)
    models.place("affine", 2)
    label = 'version_labels {{ key: "stable" value: {} }}'
    server = start(config=model_list(models.config("affine", 1))).ready()
    server.reload(model_list(models.config("affine", 1, extra=label.format(1))))
    assert server.y(label="stable") == 3.0
    with refused("FAILED_PRECONDITION", "version 2 of model affine", "not currently available for inference"):
        server.reload(model_list(models.config("affine", 1, 2, extra=label.format(2))))
    assert server.y(label="stable") == 3.0
    server.reload(model_list(models.config("affine", 1, 2)))
    with refused("INVALID_ARGUMENT", "Unrecognized servable version label: stable"):
        server.y(label="stable")
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: AVAILABLE}, "both versions")
    server.reload(model_list(models.config("affine", 1, 2, extra=label.format(2))))
    assert server.y(label="stable") == 12.0


def test_unused_label_on_unavailable_version_with_the_flag(start: Start, models: ModelStore) -> None:
    """With the flag a new label may name a version that is yet to load, also at start; a label in use may not move."""
    models.place("affine", 1)
    label = 'version_labels {{ key: "stable" value: {} }}'
    server = start(
        "--allow_version_labels_for_unavailable_models=true",
        config=model_list(models.config("affine", 1, extra=label.format(1))),
    ).ready()
    assert server.y(label="stable") == 3.0
    with refused("FAILED_PRECONDITION", "not currently available"):
        server.reload(model_list(models.config("affine", 1, extra=label.format(2))))


def test_failing_start_with_a_label(start: Start, models: ModelStore) -> None:
    """Without the flag any label in the first config ends the server, because nothing is available yet."""
    models.place("affine", 1)
    extra = 'version_labels { key: "stable" value: 1 }'
    server = start(*FAST_RETRIES, config=model_list(models.config("affine", 1, extra=extra)))
    assert server.exit_status() == 255
    assert "FAILED_PRECONDITION" in server.output
