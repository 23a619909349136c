"""SavedModels built by hand from protobufs, so that no TensorFlow runtime is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fleetdeploy.tfserving import stubs

INDEX = b"an index of no use, but with the right end: " + bytes.fromhex("57fb808b247547db")


def write_version(
    directory: Path,
    *,
    tags: tuple[str, ...] = ("serve",),
    variables: bool = True,
    in_function: bool = False,
    shards: int = 1,
    assets: tuple[str, ...] = (),
    signature: str = "serving_default",
) -> Path:
    """A version directory of the given kind; complete, so that a test takes away what it wants to miss."""
    model = stubs.saved_model_pb2.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.extend(tags)
    graph.meta_info_def.tensorflow_version = "2.21.0"
    if variables and in_function:
        graph.graph_def.library.function.add().node_def.add(name="w", op="VarHandleOp")
    elif variables:
        graph.graph_def.node.add(name="w", op="VarHandleOp")
    if signature:
        definition = graph.signature_def[signature]
        definition.inputs["x"].dtype = 1
        definition.inputs["x"].tensor_shape.dim.add(size=-1)
        definition.inputs["x"].tensor_shape.dim.add(size=8)
        definition.outputs["y"].dtype = 9
        definition.outputs["y"].tensor_shape.unknown_rank = True
    graph.signature_def["__saved_model_init_op"].outputs["o"].dtype = 0
    for name in assets:
        graph.asset_file_def.add(filename=name)
    (directory / "assets").mkdir(parents=True)
    (directory / "saved_model.pb").write_bytes(model.SerializeToString())
    for name in assets:
        (directory / "assets" / name).write_text("word\n")
    if variables:
        (directory / "variables").mkdir()
        (directory / "variables" / "variables.index").write_bytes(INDEX)
        for number in range(shards):
            (directory / "variables" / f"variables.data-{number:05d}-of-{shards:05d}").write_bytes(b"1234")
    return directory


@pytest.fixture
def version(tmp_path: Path) -> Callable[..., Path]:
    """Makes one version directory; see write_version for what can be asked for."""
    return lambda **wishes: write_version(tmp_path / "1", **wishes)
