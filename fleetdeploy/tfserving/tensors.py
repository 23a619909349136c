"""TensorProto and nested Python lists, in both directions, without numpy and without the TensorFlow runtime.

The values are those of ``tensorflow/core/framework/tensor.proto``: typed fields or ``tensor_content``, row-major. A
typed field with fewer values than elements repeats its last value (tensor.cc, ``FromProtoField``).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from fleetdeploy.errors import InputError, NotHealthy
from fleetdeploy.tfserving import dtypes, stubs
from fleetdeploy.tfserving.dtypes import DType

MAX_ELEMENTS: Final = 1 << 26
"""More elements than this are refused: a shape of a few bytes must not fill the controller's memory."""

Plain = object
"""A nested list of float, int, bool, str or bytes; a scalar stands alone."""


def to_proto(value: Plain, dtype: str | None = None) -> Any:
    """A TensorProto of ``value`` (nested lists, or a scalar) with its values in the typed field.

    Without ``dtype``, floats (also mixed with integers) become float32, integers int64, booleans bool and text string.
    Float types take None and "NaN" for NaN, "Infinity" and "-Infinity". Raises InputError when the lists are ragged, an
    element does not fit the type, or the type is not known; the message names the element, as in ``[1][0]``.
    """
    shape = shape_of(value)
    elements = list(flatten(value))
    chosen = dtypes.find(dtype) if dtype is not None else dtypes.guess(elements)
    proto = stubs.tensor_pb2.TensorProto(dtype=chosen.number)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    encode = dtypes.encoder(chosen)
    field = getattr(proto, chosen.field)
    try:
        field.extend([encode(element) for element in elements])
    except (TypeError, ValueError, OverflowError, struct.error):
        index, element = _culprit(elements, encode)
        place = _place(index, shape)
        raise InputError(f"{place or 'the value'} is {_show(element)}, which is no {chosen.name}") from None
    return proto


def from_proto(proto: Any) -> Plain:
    """The values of a TensorProto as nested lists in row-major order; a scalar stands alone.

    Text comes back as str where it is UTF-8, else as bytes. Raises NotHealthy (without a host) when the tensor
    contradicts itself, is of a type that is not known here, or has more than ``MAX_ELEMENTS`` elements.
    """
    if proto.dtype not in dtypes.BY_NUMBER:
        raise NotHealthy(f"a tensor of type number {proto.dtype} came back, which cannot be read")
    chosen = dtypes.BY_NUMBER[proto.dtype]
    shape = tuple(int(dim.size) for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise NotHealthy("a tensor without a definite shape came back")
    count = math.prod(shape)
    if math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        raise NotHealthy(f"a tensor of shape {list(shape)} came back; at most {MAX_ELEMENTS} elements are read")
    values = _from_content(chosen, proto.tensor_content, count) if proto.tensor_content else _from_field(chosen, proto)
    if not values:
        values = [{"float": 0.0, "int": 0, "bool": False, "string": ""}[chosen.kind]]
    elif len(values) > max(count, 1):
        raise NotHealthy(f"a tensor of shape {list(shape)} came back with {len(values)} values")
    values += [values[-1]] * (count - len(values))
    return _nest(values[:count], shape)


def shape_of(value: Plain) -> tuple[int, ...]:
    """The shape of nested lists; ``()`` for a scalar. Raises InputError when lists of one depth differ in length."""
    shape: list[int] = []
    level: list[object] = [value]
    while level and isinstance(level[0], (list, tuple)):
        size = len(level[0])
        for index, item in enumerate(level):
            if not isinstance(item, (list, tuple)) or len(item) != size:
                found = f"has length {len(item)}" if isinstance(item, (list, tuple)) else f"is {_show(item)}"
                raise InputError(f"{_place(index, tuple(shape))} {found} where others are lists of length {size}")
        shape.append(size)
        level = [child for item in level if isinstance(item, (list, tuple)) for child in item]
    for index, item in enumerate(level):
        if isinstance(item, (list, tuple)):
            raise InputError(f"{_place(index, tuple(shape))} is a list where others are single values")
    return tuple(shape)


def flatten(value: Plain) -> Iterator[object]:
    """The elements of nested lists in row-major order."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from flatten(item)
    else:
        yield value


def _culprit(elements: Iterable[object], encode: Callable[[Any], object]) -> tuple[int, object]:
    """The first element that cannot be encoded, and its place in row-major order."""
    for index, element in enumerate(elements):
        try:
            encode(element)
        except (TypeError, ValueError, OverflowError, struct.error):
            return index, element
    return 0, None


def _from_field(chosen: DType, proto: Any) -> list[Any]:
    values = list(getattr(proto, chosen.field))
    if chosen.name in {"half", "bfloat16"}:
        return _unpack(chosen, struct.pack(f"<{len(values)}H", *(value & 0xFFFF for value in values)))
    if chosen.kind == "string":
        return [_text(value) for value in values]
    return values


def _from_content(chosen: DType, content: bytes, count: int) -> list[Any]:
    if chosen.kind == "string":
        return [_text(value) for value in _string_list(content, count)]
    if len(content) != count * struct.calcsize("<" + chosen.code):
        raise NotHealthy(f"a tensor of {count} {chosen.name} came back with {len(content)} bytes of content")
    return _unpack(chosen, content)


def _unpack(chosen: DType, content: bytes) -> list[Any]:
    count = len(content) // struct.calcsize("<" + chosen.code)
    values = struct.unpack(f"<{count}{chosen.code}", content)
    if chosen.name == "bfloat16":
        return list(struct.unpack(f"<{count}f", struct.pack(f"<{count}I", *(value << 16 for value in values))))
    return list(values)


def _string_list(content: bytes, count: int) -> list[bytes]:
    """Strings in tensor_content: all lengths as varint32, then all bytes (strcat's EncodeStringList)."""
    lengths: list[int] = []
    position = 0
    while len(lengths) < count:
        length = shift = 0
        while True:
            if position >= len(content) or shift > 28:
                raise NotHealthy("a string tensor came back with unreadable content")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise NotHealthy("a string tensor came back with content of the wrong length")
    strings: list[bytes] = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _nest(values: list[Any], shape: Sequence[int]) -> Plain:
    if not shape:
        return values[0]
    for size in reversed(shape[1:]):
        outer = len(values) // size if size else 0
        values = [values[index * size : (index + 1) * size] for index in range(outer)]
    if 0 in shape[1:]:
        return _empty(shape)
    return values


def _empty(shape: Sequence[int]) -> list[Any]:
    return [_empty(shape[1:]) for _ in range(shape[0])] if len(shape) > 1 else [None] * shape[0]


def _place(index: int, shape: Sequence[int]) -> str:
    """Where the element with this row-major index stands, as ``[1][0]``."""
    text = ""
    for size in reversed(shape):
        index, position = divmod(index, size) if size else (0, 0)
        text = f"[{position}]{text}"
    return text


def _show(element: object) -> str:
    text = repr(element)
    return text if len(text) <= 60 else text[:57] + "..."
