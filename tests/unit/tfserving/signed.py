"""SavedModels of which only the signatures matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fleetdeploy.domain.signatures import Signature, TensorSpec
from fleetdeploy.tfserving import dtypes, stubs

Tensors = dict[str, tuple[Any, ...]]
"""Names with a data type and its dimensions; ``("float32", None, 8)`` is [?, 8], ``("string", ...)`` any shape."""

PREDICT = "tensorflow/serving/predict"


def signature(inputs: Tensors, outputs: Tensors, *, method: str = PREDICT, defaults: tuple[str, ...] = ()) -> Signature:
    """A signature as it is read."""
    return Signature(_specs(inputs), _specs(outputs), method, frozenset(defaults))


def _specs(tensors: Tensors) -> dict[str, TensorSpec]:
    return {name: TensorSpec(name, dtype, None if shape == [...] else tuple(shape))
            for name, (dtype, *shape) in tensors.items()}  # fmt: skip


def saved_model(**signatures: Signature) -> Any:
    """A SavedModel message with these signatures and a graph that takes some room."""
    model = stubs.saved_model_pb2.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.graph_def.node.add(name="filling", op="Const").attr["value"].s = b"x" * 5000
    for name, found in signatures.items():
        definition = graph.signature_def[name]
        definition.method_name = found.method_name
        for into, specs in ((definition.inputs, found.inputs), (definition.outputs, found.outputs)):
            for key, spec in specs.items():
                into[key].dtype = dtypes.find(spec.dtype).number
                into[key].tensor_shape.unknown_rank = spec.shape is None
                for size in spec.shape or ():
                    into[key].tensor_shape.dim.add(size=-1 if size is None else size)
        for key in found.defaults:
            definition.defaults[key].dtype = 1
    return model


def write(directory: Path, **signatures: Signature) -> Path:
    """A version directory without variables."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "saved_model.pb").write_bytes(saved_model(**signatures).SerializeToString())
    return directory
