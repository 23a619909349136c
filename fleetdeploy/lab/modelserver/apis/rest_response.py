"""Answers as JSON: tensors in rows or columns, classes and regressions, model status, model metadata.

Follows tensorflow_serving/util/json_tensor.cc and tensorflow_serving/model_servers/http_rest_api_util.cc.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from fleetdeploy.lab.modelserver.apis.json_proto import proto_json
from fleetdeploy.lab.modelserver.apis.json_writer import JsonWriter, decimal, quoted
from fleetdeploy.lab.modelserver.apis.rest_request import Format
from fleetdeploy.lab.modelserver.inference.metadata import SIGNATURE_DEF
from fleetdeploy.lab.modelserver.runtime.tensors import DT_STRING, dtype_name
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs


class _Field(NamedTuple):
    """Where a dtype's values lie in a TensorProto, and how one is printed."""

    name: str
    show: Callable[[Any], str]


def _show_float(value: float) -> str:
    return decimal(value, single=True)


def _show_double(value: float) -> str:
    return decimal(value, single=False)


def _show_bool(value: bool) -> str:
    return "true" if value else "false"


def _show_string(value: bytes) -> str:
    return quoted(value.decode(errors="surrogateescape"))


_FIELDS: Final = {
    1: _Field("float_val", _show_float),
    2: _Field("double_val", _show_double),
    3: _Field("int_val", str),
    4: _Field("int_val", str),
    5: _Field("int_val", str),
    6: _Field("int_val", str),
    DT_STRING: _Field("string_val", _show_string),
    9: _Field("int64_val", str),
    10: _Field("bool_val", _show_bool),
    22: _Field("uint32_val", str),
    23: _Field("uint64_val", str),
}


def predictions(outputs: Mapping[str, Any], form: Format) -> str:
    """Print a PredictResponse's outputs under `predictions` or `outputs`. Raises INVALID_ARGUMENT."""
    if not outputs:
        raise StatusError(Code.INVALID_ARGUMENT, "Cannot convert empty tensor map to JSON")
    named = {alias: outputs[alias] for alias in sorted(outputs)}
    return _rows(named) if form is Format.ROW else _columns(named)


def _rows(outputs: Mapping[str, Any]) -> str:
    rows = _common_rows(outputs)
    values = {alias: _values(alias, tensor) for alias, tensor in outputs.items()}
    writer = JsonWriter()
    writer.open_object()
    writer.string("predictions")
    writer.open_list()
    for _ in range(rows):
        if len(outputs) > 1:
            writer.open_object()
        writer.one_line = True
        for alias, tensor in outputs.items():
            if len(outputs) > 1:
                writer.string(alias)
            _write(writer, values[alias], [dim.size for dim in tensor.tensor_shape.dim[1:]])
        writer.one_line = False
        if len(outputs) > 1:
            writer.close_object()
    writer.close_list()
    writer.close_object()
    return writer.text()


def _common_rows(outputs: Mapping[str, Any]) -> int:
    """The batch size that all outputs must have in common."""
    rows: int | None = None
    for alias, tensor in outputs.items():
        dims = tensor.tensor_shape.dim
        if not dims:
            raise StatusError(Code.INVALID_ARGUMENT, f"Tensor name: {alias} has no shape information ")
        if rows is not None and dims[0].size != rows:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"Tensor name: {alias} has inconsistent batch size: {dims[0].size} expecting: {rows}",
            )
        rows = dims[0].size
    return rows or 0


def _columns(outputs: Mapping[str, Any]) -> str:
    writer = JsonWriter()
    writer.open_object()
    writer.string("outputs")
    if len(outputs) > 1:
        writer.open_object()
    for alias, tensor in outputs.items():
        if len(outputs) > 1:
            writer.string(alias)
        _write(writer, _values(alias, tensor), [dim.size for dim in tensor.tensor_shape.dim])
    if len(outputs) > 1:
        writer.close_object()
    writer.close_object()
    return writer.text()


def _write(writer: JsonWriter, values: Iterator[Any], shape: list[int]) -> None:
    """Write as many values as the shape holds, as nested lists."""
    if not shape:
        value = next(values)
        if isinstance(value, bytes):
            writer.open_object()
            writer.string("b64")
            writer.string(base64.b64encode(value).decode())
            writer.close_object()
        else:
            writer.raw(value)
        return
    writer.open_list()
    for _ in range(shape[0]):
        _write(writer, values, shape[1:])
    writer.close_list()


def _values(alias: str, tensor: Any) -> Iterator[Any]:
    """Values of a tensor as JSON text, or as bytes where the output's name ends in `_bytes`.

    Raises INVALID_ARGUMENT when there is a value to print, and JSON has none of its type.
    """
    if tensor.dtype == DT_STRING and alias.endswith("_bytes"):
        yield from tensor.string_val
        return
    field = _FIELDS.get(tensor.dtype)
    if field is None:
        raise StatusError(
            Code.INVALID_ARGUMENT, f"Failed to write JSON value for tensor type: {dtype_name(tensor.dtype)}"
        )
    yield from map(field.show, getattr(tensor, field.name))


def classifications(result: Any) -> str:
    """Print a ClassificationResult: per example a list of label and score. Raises INVALID_ARGUMENT."""
    if not result.classifications:
        raise StatusError(Code.INVALID_ARGUMENT, "Cannot convert empty ClassificationResults to JSON")
    writer = JsonWriter()
    writer.open_object()
    writer.string("results")
    writer.open_list()
    for example in result.classifications:
        writer.one_line = True
        writer.open_list()
        for each in example.classes:
            writer.open_list()
            writer.string(each.label)
            writer.raw(_show_float(each.score))
            writer.close_list()
        writer.close_list()
        writer.one_line = False
    writer.close_list()
    writer.close_object()
    return writer.text()


def regressions(result: Any) -> str:
    """Print a RegressionResult: one number per example. Raises INVALID_ARGUMENT."""
    if not result.regressions:
        raise StatusError(Code.INVALID_ARGUMENT, "Cannot convert empty RegressionResults to JSON")
    writer = JsonWriter()
    writer.open_object()
    writer.string("results")
    writer.one_line = True
    writer.open_list()
    for each in result.regressions:
        writer.raw(_show_float(each.value))
    writer.close_list()
    writer.close_object()
    return writer.text()


def status(response: Any) -> str:
    """Print a GetModelStatusResponse; versions are strings, as protobuf prints 64-bit integers."""
    return proto_json(response)


def metadata(response: Any) -> str:
    """Print a GetModelMetadataResponse, with its signatures unpacked (and doubly nested, as there)."""
    signatures = stubs.get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    return (
        f'{{\n"model_spec":{proto_json(response.model_spec)},\n'
        f'"metadata": {{"signature_def": {proto_json(signatures)}}}\n}}\n'
    )
