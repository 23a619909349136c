"""A REST predict request's JSON to a PredictRequest.

Follows tensorflow_serving/util/json_tensor.cc: exactly one of `instances` (rows) and `inputs` (columns).
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from fleetdeploy.lab.modelserver.apis.json_reader import read_json
from fleetdeploy.lab.modelserver.apis.json_values import (
    JsonObject,
    decode_b64,
    is_named,
    to_bytes,
    type_name,
)
from fleetdeploy.lab.modelserver.apis.json_writer import debug_text
from fleetdeploy.lab.modelserver.runtime.tensors import DT_STRING, dtype_name
from fleetdeploy.lab.modelserver.status import Code, StatusError, invalid

_FLOATS: Final = frozenset({1, 2})
_INT32: Final = range(-(2**31), 2**31)


class Format(enum.Enum):
    """How the tensors were sent, and are answered."""

    ROW = enum.auto()
    COLUMNAR = enum.auto()


class _TooDeepError(Exception):
    """Lists are nested far beyond the 254 dimensions that a tensor may have; names the input."""


class _Field(NamedTuple):
    """Where JSON values of a dtype go, and which ones it takes."""

    name: str
    accepts: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(values: range) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value in values


_FIELDS: Final = {
    1: _Field("float_val", _is_number),
    2: _Field("double_val", _is_number),
    3: _Field("int_val", _is_integer(_INT32)),
    4: _Field("int_val", _is_integer(_INT32)),
    5: _Field("int_val", _is_integer(_INT32)),
    6: _Field("int_val", _is_integer(_INT32)),
    DT_STRING: _Field("string_val", lambda value: isinstance(value, str)),
    9: _Field("int64_val", _is_integer(range(-(2**63), 2**63))),
    10: _Field("bool_val", lambda value: isinstance(value, bool)),
    22: _Field("uint32_val", _is_integer(range(2**32))),
    23: _Field("uint64_val", _is_integer(range(2**64))),
}


def parse_request(body: bytes) -> JsonObject:
    """Read the request's object; what follows it is ignored. Raises INVALID_ARGUMENT."""
    document = read_json(body)
    if not isinstance(document, JsonObject):
        raise invalid(f"JSON Value: {debug_text(document)} Is not object")
    return document


def signature_name(document: JsonObject) -> str:
    """The optional `signature_name`, empty where there is none. Raises INVALID_ARGUMENT."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {debug_text(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def fill_inputs(document: JsonObject, infos: Mapping[str, Any], *, inputs: Any) -> Format:
    """Fill a PredictRequest's `inputs` map from the document; `infos` are the signature's TensorInfos by alias.

    Raises INVALID_ARGUMENT, or UNIMPLEMENTED for a dtype that JSON values are not converted to.
    """
    try:
        return _fill_inputs(document, infos, inputs)
    except _TooDeepError as problem:  # the real server goes on until TensorFlow refuses the tensor, with this text
        raise invalid(f"tensor parsing error: {problem}") from None


def _fill_inputs(document: JsonObject, infos: Mapping[str, Any], inputs: Any) -> Format:
    rows, columns = "instances" in document, "inputs" in document
    if rows and columns:
        raise invalid(
            f"JSON Value: {debug_text(document)} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist "
        )
    if rows:
        instances = document.get("instances")
        if not isinstance(instances, list):
            raise invalid(f"JSON Value: {debug_text(document)} Expecting 'instances' to be an list/array")
        if not instances:
            raise invalid(f"JSON Value: {debug_text(document)} No values in 'instances' array")
        _fill_rows(instances, infos, inputs)
        return Format.ROW
    if columns:
        _fill_columns(document.get("inputs"), infos, inputs)
        return Format.COLUMNAR
    raise invalid("Missing 'inputs' or 'instances' key")


def _fill_rows(instances: list[Any], infos: Mapping[str, Any], inputs: Any) -> None:
    if not isinstance(instances[0], JsonObject) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = is_named(instances[0])
    shapes: dict[str, list[int]] = {}
    for index, instance in enumerate(instances):
        if named != is_named(instance):
            expected, got = ("object", "list") if named else ("value/list", "object")
            raise invalid(f"Expecting {expected} but got {got} at item {index} of input list")
        values = [(_c_string(name), value) for name, value in instance.members] if named else [(min(infos), instance)]
        for alias, value in values:
            try:
                _add_row(value, alias, infos, inputs=inputs, shapes=shapes)
            except StatusError as problem:
                where = f" key: {alias}" if named else ""
                raise invalid(
                    f"Failed to process element: {index}{where} of 'instances' list. Error: {problem}"
                ) from problem
        if named and {alias for alias, _ in values} != set(infos):
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {debug_text(instance)} "
                f"keys must be equal to: {','.join(sorted(infos))}"
            )
    for alias, shape in shapes.items():
        inputs[alias].dtype = infos[alias].dtype
        for size in [len(instances), *shape]:
            inputs[alias].tensor_shape.dim.add().size = size


def _add_row(value: Any, alias: str, infos: Mapping[str, Any], *, inputs: Any, shapes: dict[str, list[int]]) -> None:
    if alias not in infos:
        raise invalid(f"JSON object: does not have named input: {alias}")
    shape = _shape(value)
    _fill(value, infos[alias].dtype, shape, alias=alias, tensor=inputs[alias])
    known = shapes.setdefault(alias, shape)
    if known == shape:
        return
    if _size(known) != _size(shape):
        raise invalid(f"Expecting tensor size: {_size(known)} but got: {_size(shape)}")
    raise invalid(f"Expecting shape [{_comma(known)}] but got: [{_comma(shape)}]")


def _fill_columns(value: Any, infos: Mapping[str, Any], inputs: Any) -> None:
    if not is_named(value):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = JsonObject([(min(infos), value)])
    for alias in sorted(infos):
        if alias not in value:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
        column = value.get(alias)
        tensor, shape = inputs[alias], _shape(column)
        tensor.dtype = infos[alias].dtype
        tensor.tensor_shape.SetInParent()
        for size in shape:
            tensor.tensor_shape.dim.add().size = size
        _fill(column, tensor.dtype, shape, alias=alias, tensor=tensor)


def _fill(value: Any, dtype: int, shape: list[int], *, alias: str, tensor: Any) -> None:
    """Append a nested list's values to a tensor, checking that it is as regular as its first elements promised."""
    try:
        _append_nested(value, dtype, shape, level=0, tensor=tensor)
    except RecursionError:
        raise _TooDeepError(alias) from None


def _append_nested(value: Any, dtype: int, shape: list[int], *, level: int, tensor: Any) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {debug_text(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        _append(value, dtype, tensor)
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    if level + 1 == len(shape) and _append_all(value, dtype, tensor):
        return
    for item in value:
        _append_nested(item, dtype, shape, level=level + 1, tensor=tensor)


def _append_all(values: list[Any], dtype: int, tensor: Any) -> bool:
    """Append numbers of one kind at once, for speed; False where each has to be looked at."""
    kinds = set(map(type, values))
    if dtype in _FLOATS and kinds <= {int, float}:
        getattr(tensor, _FIELDS[dtype].name).extend(values)
        return True
    if dtype in _FIELDS and kinds == {int} and all(map(_FIELDS[dtype].accepts, (min(values), max(values)))):
        getattr(tensor, _FIELDS[dtype].name).extend(values)
        return True
    return False


def _append(value: Any, dtype: int, tensor: Any) -> None:
    is_object = isinstance(value, JsonObject)
    if is_object and dtype == DT_STRING:
        tensor.string_val.append(decode_b64(value))
        return
    field = _FIELDS.get(dtype)
    if field is None and not is_object:
        raise StatusError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {debug_text(value)} to type: {dtype_name(dtype)}"
        )
    if field is None or not field.accepts(value):
        raise invalid(
            f"JSON Value: {debug_text(value)} Type: {type_name(value)} is not of expected type: {dtype_name(dtype)}"
        )
    getattr(tensor, field.name).append(to_bytes(value) if dtype == DT_STRING else value)


def _shape(value: Any) -> list[int]:
    """Sizes along the first elements."""
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _size(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _comma(shape: list[int]) -> str:
    return ",".join(map(str, shape))


def _c_string(name: str) -> str:
    """A name as C++ passes it on: up to its first zero byte."""
    return name.partition("\0")[0]
