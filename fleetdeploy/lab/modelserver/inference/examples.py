"""What Classify, Regress and MultiInference share: tf.Examples in, some tensors out.

See tensorflow_serving/servables/tensorflow/util.cc.
"""

from collections.abc import Collection, Sequence
from typing import Any

from fleetdeploy.lab.modelserver.runtime.tensors import DT_STRING
from fleetdeploy.lab.modelserver.servable import Feed, Servable
from fleetdeploy.lab.modelserver.status import invalid
from fleetdeploy.tfserving import stubs


def run_examples(
    servable: Servable, examples: Any, *, feeds: Collection[str], fetches: Sequence[str], timeout_ms: int | None
) -> tuple[int, list[Any]]:
    """Feed an Input's serialized examples, a vector of strings, to each tensor named by `feeds`.

    Returns the number of examples and one TensorProto per tensor named by `fetches`. Raises INVALID_ARGUMENT for an
    input without examples, and what TensorFlow says.
    """
    serialized = _serialized(examples)
    if not serialized:
        raise invalid("Input is empty.")
    proto = stubs.tensor_pb2.TensorProto(dtype=DT_STRING, string_val=serialized)
    proto.tensor_shape.dim.add().size = len(serialized)
    answers = [stubs.tensor_pb2.TensorProto() for _ in fetches]
    servable.model.run([Feed(name, name, proto) for name in feeds], fetches, answers=answers, timeout_ms=timeout_ms)
    return len(serialized), answers


def _serialized(examples: Any) -> list[bytes]:
    """Serialized examples; a context goes before each of them, and protobuf merges the two when they are parsed."""
    kind = examples.WhichOneof("kind")
    if kind is None:
        return []
    listed = getattr(examples, kind)
    context = listed.context.SerializeToString() if kind == "example_list_with_context" else b""
    return [context + example.SerializeToString() for example in listed.examples]


def answer_model_spec(model_spec: Any, servable: Servable, answer: Any) -> None:
    """Fill the ModelSpec of an answer: the name that was asked for, the signature and version that answered."""
    answer.name = model_spec.name
    answer.signature_name = signature_key(model_spec)
    answer.version.value = servable.id.version


def signature_key(model_spec: Any) -> str:
    """Name of the signature that a ModelSpec asks for."""
    return str(model_spec.signature_name or "serving_default")


def signature_of(servable: Servable, model_spec: Any) -> Any:
    """The SignatureDef that a ModelSpec asks for. Raises INVALID_ARGUMENT for one that the model does not have."""
    key = signature_key(model_spec)
    signature = servable.model.signatures.get(key)
    if signature is None:
        raise invalid(f"No signature was found with the name: {key}")
    return signature


def dimensions(tensor: Any) -> list[int]:
    """Sizes of a TensorProto's dimensions."""
    return [dim.size for dim in tensor.tensor_shape.dim]


def shape_text(tensor: Any) -> str:
    """A tensor's shape as TensorFlow prints it, such as `[2,3]`."""
    return f"[{','.join(map(str, dimensions(tensor)))}]"


def data_type_name(tensor: Any) -> str:
    """A tensor's type as it is called in the proto file, such as `DT_FLOAT`."""
    return str(stubs.types_pb2.DataType.Name(tensor.dtype))
