"""Section 2.3 of the contract: labels."""

import pytest
from contract_server import AVAILABLE, END, ModelServer, ModelStore, Start, model_list, refused, wait_for


def _label(version: int, name: str = "stable") -> str:
    return f'version_labels {{ key: "{name}" value: {version} }}'


@pytest.fixture
def two(models: ModelStore) -> ModelStore:
    """Versions 1 and 2 of one model."""
    models.place("affine", 1)
    models.place("affine", 2)
    return models


def _both(server: ModelServer) -> None:
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: AVAILABLE}, "both versions")


def test_label_needs_an_available_version(start: Start, two: ModelStore) -> None:
    """A label cannot name a version that the same reload brings; it can when that version serves."""
    server = start(config=model_list(two.config("affine", 1))).ready()
    server.reload(model_list(two.config("affine", 1, extra=_label(1))))
    with refused("FAILED_PRECONDITION", "version 2 of model affine", "not currently available for inference"):
        server.reload(model_list(two.config("affine", 1, 2, extra=_label(2))))
    assert server.y(label="stable") == 3.0
    server.reload(model_list(two.config("affine", 1, 2, extra=_label(1))))
    _both(server)
    server.reload(model_list(two.config("affine", 1, 2, extra=_label(2))))
    assert server.y(label="stable") == 12.0


def test_labels_are_replaced_whole(start: Start, two: ModelStore) -> None:
    """Labels that a reload leaves out vanish, also those of other models."""
    two.place("other", 1)
    server = start(config=model_list(two.config("affine", 1, 2), two.config("other"))).ready()
    _both(server)
    labelled = two.config("affine", 1, 2, extra=_label(1) + _label(2, "canary"))
    server.reload(model_list(labelled, two.config("other", extra=_label(1))))
    assert (server.y(label="stable"), server.y(label="canary"), server.y("other", label="stable")) == (3.0, 12.0, 3.0)
    server.reload(model_list(two.config("affine", 1, 2, extra=_label(2, "canary")), two.config("other")))
    assert server.y(label="canary") == 12.0
    for model in ("affine", "other"):
        with refused("INVALID_ARGUMENT", "Unrecognized servable version label: stable"):
            server.y(model, label="stable")


def test_one_bad_label_leaves_all_as_they_were(start: Start, two: ModelStore) -> None:
    """When one label is refused none of that reload's labels is set."""
    server = start(config=model_list(two.config("affine", 1, 2))).ready()
    _both(server)
    server.reload(model_list(two.config("affine", 1, 2, extra=_label(1))))
    with refused("FAILED_PRECONDITION"):
        server.reload(model_list(two.config("affine", 1, 2, extra=_label(2) + _label(7, "canary"))))
    assert server.y(label="stable") == 3.0


def test_label_with_the_flag(start: Start, two: ModelStore) -> None:
    """With the flag a new label may name any version, also at start; a label in use moves to an AVAILABLE one only."""
    server = start(
        "--allow_version_labels_for_unavailable_models=true",
        config=model_list(two.config("affine", 1, extra=_label(1))),
    ).ready()
    assert server.y(label="stable") == 3.0
    with refused("FAILED_PRECONDITION", "not currently available"):
        server.reload(model_list(two.config("affine", 1, 2, extra=_label(2))))
    server.reload(model_list(two.config("affine", 1, 2, extra=_label(1) + _label(2, "canary") + _label(9, "later"))))
    with refused("NOT_FOUND", "Servable not found for request: Specific(affine, 9)"):
        server.y(label="later")
    _both(server)
    assert server.y(label="canary") == 12.0
    server.reload(model_list(two.config("affine", 1, 2, extra=_label(2))))
    assert server.y(label="stable") == 12.0


def test_label_in_use_keeps_its_number_with_the_flag(start: Start, two: ModelStore) -> None:
    """With the flag a label may stay on its number though that version has ended."""
    server = start(
        "--allow_version_labels_for_unavailable_models=true",
        config=model_list(two.config("affine", 1, 2, extra=_label(1))),
    ).ready()
    _both(server)
    server.reload(model_list(two.config("affine", 2, extra=_label(1))))
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "version 1 to end")
    server.reload(model_list(two.config("affine", 2, extra=_label(1))))
    with refused("NOT_FOUND", "Specific(affine, 1)"):
        server.y(label="stable")


def test_label_on_a_version_that_the_same_config_unloads(start: Start, two: ModelStore) -> None:
    """A label is accepted for a version that the same config drops; requests then get NOT_FOUND (from source)."""
    server = start(config=model_list(two.config("affine", 1))).ready()
    server.reload(model_list(two.config("affine", 2, extra=_label(1))))
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "version 1 to end")
    with refused("NOT_FOUND", "Servable not found for request: Specific(affine, 1)"):
        server.y(label="stable")


def test_unknown_labels_are_invalid(steady: ModelServer) -> None:
    """A label that no config gives, or one of an unknown model, is INVALID_ARGUMENT and not NOT_FOUND."""
    for model in ("affine", "nobody"):
        with refused("INVALID_ARGUMENT", "Unrecognized servable version label: canary"):
            steady.y(model, label="canary")


def test_labels_before_any_list(start: Start) -> None:
    """Before any list was ever applied a label is UNAVAILABLE, 503 over REST."""
    server = start(config="# nothing yet\n").ready()
    with refused("UNAVAILABLE"):
        server.y(label="stable")
    assert server.http("GET", "/v1/models/affine/labels/stable/metadata").status == 503


def test_requests_without_version_go_to_the_largest_number(start: Start, two: ModelStore) -> None:
    """A canary with a larger number takes all requests without a version at once, whatever the labels say."""
    server = start(config=model_list(two.config("affine", 1))).ready()
    server.reload(model_list(two.config("affine", 1, extra=_label(1))))
    assert server.y() == 3.0
    server.reload(model_list(two.config("affine", 1, 2, extra=_label(1))))
    _both(server)
    assert (server.y(), server.y(label="stable"), server.y(version=1)) == (12.0, 3.0, 3.0)
