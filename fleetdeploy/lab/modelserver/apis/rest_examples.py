"""A REST classify or regress request's JSON to an Input of tf.Examples.

Follows FillClassifyRegressRequestFromJson in tensorflow_serving/util/json_tensor.cc.
"""

from typing import Any, Final

from fleetdeploy.lab.modelserver.apis.json_values import (
    JsonObject,
    decode_b64,
    is_b64,
    proto_text,
    to_bytes,
    type_name,
)
from fleetdeploy.lab.modelserver.apis.json_writer import debug_text
from fleetdeploy.lab.modelserver.status import invalid

_BYTES: Final = "bytes_list"
_FLOAT: Final = "float_list"
_INT64: Final = "int64_list"
_KINDS: Final = {_BYTES: "bytes", _FLOAT: "float", _INT64: "int64"}
_INT64_MAX: Final = 2**63 - 1


def fill_examples(document: JsonObject, *, target: Any) -> None:
    """Fill an Input message from `examples` and the optional `context`. Raises INVALID_ARGUMENT."""
    context = "context" in document
    if context:
        target.example_list_with_context.SetInParent()
        _fill_example(document.get("context"), target.example_list_with_context.context)
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {debug_text(document)} When method is classify, key 'examples' is expected and was not found"
        )
    examples = document.get("examples")
    if not isinstance(examples, list):
        raise invalid(f"JSON Value: {debug_text(document)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid(f"JSON Value: {debug_text(document)} 'examples' value is an empty array")
    filled = target.example_list_with_context if context else target.example_list
    for example in examples:
        _fill_example(example, filled.examples.add())


def _fill_example(value: Any, example: Any) -> None:
    if not isinstance(value, JsonObject):
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    features = example.features.feature
    for key, content in value.members:
        name = key.partition("\0")[0]  # C++ passes the name on up to its first zero byte
        feature = features[proto_text(name)]
        feature.Clear()  # of several members with one name the last one counts
        for item in content if isinstance(content, list) else [content]:
            _add_value(item, name, feature)


def _add_value(value: Any, name: str, feature: Any) -> None:
    """Append one value to a feature, which is of the kind of its first value."""
    if isinstance(value, str) or is_b64(value):
        kind = _BYTES
    elif value is None or isinstance(value, (list, JsonObject)):
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
    else:
        kind = _FLOAT if isinstance(value, float) else _INT64
    known = feature.WhichOneof("kind")
    if known not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[known]}")
    if kind == _BYTES:
        feature.bytes_list.value.append(to_bytes(value) if isinstance(value, str) else decode_b64(value))
    elif kind == _FLOAT:
        feature.float_list.value.append(value)
    elif value > _INT64_MAX:
        raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    else:
        feature.int64_list.value.append(int(value))
