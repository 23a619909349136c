"""A SavedModel that needs no training and no TensorFlow to be made: ``y = x / 2 + 2``, TF Serving's own first example.

It has no variables, so its one file is all of it.
"""

from __future__ import annotations

import json
from typing import Any, Final

from fleetdeploy.tfserving import stubs

NAME: Final = "half_plus_two"
_FLOAT: Final = 1
_PRODUCER: Final = 1087
"""The version of the graph's form; every server since TensorFlow 2.5 reads it."""


def saved_model() -> bytes:
    """The bytes of ``saved_model.pb``; always the same."""
    model = stubs.saved_model_pb2.SavedModel(saved_model_schema_version=1)
    whole = model.meta_graphs.add()
    whole.meta_info_def.tags.append("serve")
    graph = whole.graph_def
    graph.versions.producer = _PRODUCER
    entry = _node(graph, "x", "Placeholder", dtype=_FLOAT)
    entry.attr["shape"].shape.dim.add(size=-1)
    for name, value in (("half", 0.5), ("two", 2.0)):
        tensor = _node(graph, name, "Const", dtype=_FLOAT).attr["value"].tensor
        tensor.dtype = _FLOAT
        tensor.tensor_shape.SetInParent()
        tensor.float_val.append(value)
    _node(graph, "product", "Mul", "half", "x", T=_FLOAT)
    _node(graph, "y", "AddV2", "product", "two", T=_FLOAT)
    signature = whole.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for tensor, name in ((signature.inputs["x"], "x:0"), (signature.outputs["y"], "y:0")):
        tensor.name, tensor.dtype = name, _FLOAT
        tensor.tensor_shape.dim.add(size=-1)
    return bytes(model.SerializeToString(deterministic=True))


def golden_line() -> str:
    """A golden request to it with its answer, as a line of a golden file."""
    inputs = [1.0, 2.0, 5.0]
    request = {"name": "three numbers", "inputs": {"x": inputs}, "outputs": {"y": [x / 2 + 2 for x in inputs]}}
    return json.dumps(request) + "\n"


def _node(graph: Any, name: str, operation: str, *inputs: str, **types: int) -> Any:
    node = graph.node.add(name=name, op=operation, input=inputs)
    for key, number in types.items():
        node.attr[key].type = number
    return node
