"""Section 3.4 of the contract: what happens to a version that is not all there when it is found."""

from collections.abc import Callable
from pathlib import Path

import pytest
from contract_server import (
    AVAILABLE,
    END,
    FAST_RETRIES,
    ModelServer,
    ModelStore,
    Start,
    floats,
    model_list,
    refused,
    tensor,
    wait_for,
)

NOT_FOUND, OUT_OF_RANGE, DATA_LOSS = 5, 11, 15


def _without(name: str) -> Callable[[Path], None]:
    return lambda version: (version / name).unlink()


def _cut(name: str, size: int) -> Callable[[Path], None]:
    def cut(version: Path) -> None:
        whole = (version / name).read_bytes()
        assert len(whole) > size
        (version / name).write_bytes(whole[:size])

    return cut


_SHARD = "variables/variables.data-00000-of-00001"


@pytest.fixture(scope="module")
def quick(module_start: Start) -> ModelServer:
    """A server that gives up on a load at once."""
    return module_start(*FAST_RETRIES, config=model_list()).ready()


@pytest.mark.parametrize(
    ("name", "damage", "code", "fragment"),
    [
        ("no-graph", _without("saved_model.pb"), NOT_FOUND, "Could not find SavedModel .pb or .pbtxt"),
        ("short-graph", _cut("saved_model.pb", 100), OUT_OF_RANGE, "Read less bytes than requested"),
        ("empty-graph", _cut("saved_model.pb", 0), NOT_FOUND, "Could not find meta graph def matching supplied tags"),
        ("no-shard", _without(_SHARD), NOT_FOUND, ""),
        ("short-shard", _cut(_SHARD, 2), OUT_OF_RANGE, ""),
        ("short-index", _cut("variables/variables.index", 20), DATA_LOSS, ""),
    ],
    ids=["no graph", "short graph", "empty graph", "no shard", "short shard", "short index"],
)
def test_damaged_model_fails_with_the_loaders_code(
    quick: ModelServer, models: ModelStore, name: str, damage: Callable[[Path], None], code: int, fragment: str
) -> None:
    """Each kind of damage ends the version with the code of TensorFlow's own loader."""
    damage(models.place(name, 1))
    with refused("UNKNOWN", "1 model(s) did not become available"):
        quick.reload(model_list(models.config(name)))
    (entry,) = quick.status(name)
    assert (entry.state, entry.status.error_code) == (END, code), entry.status.error_message
    assert fragment in entry.status.error_message
    quick.reload(model_list())


@pytest.mark.parametrize("missing", ["variables", "variables/variables.index"])
@pytest.mark.parametrize(
    ("of", "text"), [("affine", "Could not find variable"), ("graph", "uninitialized value")], ids=["TF2", "TF1"]
)
def test_missing_variables_load_and_then_fail_requests(
    quick: ModelServer, models: ModelStore, of: str, text: str, missing: str
) -> None:
    """A version without variables, or their index, is AVAILABLE, and every request to it is FAILED_PRECONDITION."""
    name = f"{of}-{Path(missing).name}"
    path = models.spoil(name, 1, missing=missing, of=of)
    quick.reload(model_list(models.config(name)))
    assert quick.states(name) == {1: AVAILABLE}
    whole = models.exported / of / "1" / "variables"
    (path / "variables").mkdir(exist_ok=True)
    for file in whole.iterdir():  # it never heals itself
        (path / "variables" / file.name).write_bytes(file.read_bytes())
    for _ in range(2):
        with refused("FAILED_PRECONDITION", text):
            quick.predict(name, x=floats(1.0))
    quick.reload(model_list())


def test_missing_assets_matter_only_if_they_are_read(quick: ModelServer, models: ModelStore) -> None:
    """A version without its assets loads, unless loading reads one of them."""
    models.place("words", 1, of="vocabulary")
    models.spoil("leaflet", 1, missing="assets", of="leaflet")
    quick.reload(model_list(models.config("words"), models.config("leaflet")))
    assert list(quick.predict("leaflet", x=floats(2.0)).outputs["y"].float_val) == [4.0]
    word = tensor("DT_STRING", "string_val", [b"one", b"two"])
    assert list(quick.predict("words", word=word).outputs["line"].int64_val) == [1, -1]
    models.spoil("wordless", 1, missing="assets", of="vocabulary")
    with refused("UNKNOWN", "{name: wordless version: 1} due to error: NOT_FOUND"):
        quick.reload(model_list(models.config("wordless")))
    quick.reload(model_list())


def test_copy_in_the_order_of_rsync_is_found_too_early(start: Start, models: ModelStore) -> None:
    """A number that appears before its variables is loaded as it is, replaces the good version, and never heals."""
    models.place("affine", 1)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    path = models.spoil("affine", 2, missing="variables")
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the incomplete version to replace the other")
    whole = models.exported / "affine" / "2" / "variables"
    (path / "variables").mkdir()
    for file in whole.iterdir():
        (path / "variables" / file.name).write_bytes(file.read_bytes())
    with refused("FAILED_PRECONDITION", "Could not find variable"):
        server.y()


def test_version_in_preparation_is_left_alone(start: Start, models: ModelStore) -> None:
    """A copy under a staging name is not touched, and serves as soon as it is renamed to its number."""
    models.place("affine", 1)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    staged = models.place("elsewhere", 2).rename(models.root / "affine" / "2.partial")
    models.place("affine", 3)  # found by a scan that sees the staged one, too
    wait_for(lambda: server.states("affine") == {3: AVAILABLE, 1: END}, "version 3")
    staged.rename(models.root / "affine" / "4")
    wait_for(lambda: server.states("affine") == {4: AVAILABLE, 3: END, 1: END}, "the renamed version")
    assert server.y(x=2.0) == 12.0
