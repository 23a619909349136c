"""TensorFlow's data types: their names and numbers, and how one element of each is stored in a TensorProto.

Numbers are those of ``tensorflow/core/framework/types.proto``. Names are those of NumPy and ``tf.DType.name``
("float32"); the ``DT_FLOAT`` form is understood as well.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from fleetdeploy.errors import InputError

_SPECIAL_FLOATS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class DType:
    """How one data type is stored: its number, typed field, and the struct code of one element in tensor_content."""

    name: str
    number: int
    field: str
    code: str
    kind: str  # "float", "int", "bool" or "string"


_TABLE: Final = (
    DType("float32", 1, "float_val", "f", "float"),
    DType("float64", 2, "double_val", "d", "float"),
    DType("int32", 3, "int_val", "i", "int"),
    DType("uint8", 4, "int_val", "B", "int"),
    DType("int16", 5, "int_val", "h", "int"),
    DType("int8", 6, "int_val", "b", "int"),
    DType("string", 7, "string_val", "", "string"),
    DType("int64", 9, "int64_val", "q", "int"),
    DType("bool", 10, "bool_val", "?", "bool"),
    DType("bfloat16", 14, "half_val", "H", "float"),
    DType("uint16", 17, "int_val", "H", "int"),
    DType("half", 19, "half_val", "e", "float"),
    DType("uint32", 22, "uint32_val", "I", "int"),
    DType("uint64", 23, "uint64_val", "Q", "int"),
)
BY_NUMBER: Final = {item.number: item for item in _TABLE}
_ALIASES: Final = {"float16": "half", "float": "float32", "double": "float64"}

DTYPES: Final = tuple(item.name for item in _TABLE)
"""The data types that can be sent and read."""


def name_of(number: int) -> str:
    """The name of a DataType number: "float32" for 1, "dtype N" for an unknown one; a reference type has its base's."""
    item = BY_NUMBER.get(number % 100)  # types.proto: DT_*_REF is DT_* + 100
    return item.name if item else f"dtype {number}"


def find(name: str) -> DType:
    """The type called "float32" or "DT_FLOAT". Raises InputError with the nearest name."""
    plain = name.strip().lower().removeprefix("dt_")
    plain = _ALIASES.get(plain, plain)
    for item in _TABLE:
        if item.name == plain:
            return item
    near = get_close_matches(plain, DTYPES, 1)
    hint = f"did you mean {near[0]!r}?" if near else "use one of " + ", ".join(DTYPES)
    raise InputError(f"unknown data type {name!r}", hint=hint)


def guess(elements: Collection[object]) -> DType:
    """The type for elements whose type nobody named: int64, bool or string if all are of that kind, else float32."""
    kinds = {type(element) for element in elements}
    if kinds and kinds <= {bool}:
        return find("bool")
    if kinds and kinds <= {int}:
        return find("int64")
    if kinds and kinds <= {str, bytes}:
        return find("string")
    return find("float32")


def encoder(chosen: DType) -> Callable[[Any], object]:
    """A function from an element to what its typed field holds; it raises for what does not fit."""
    if chosen.kind == "string":
        return _to_bytes
    if chosen.kind == "bool":
        return _to_bool
    if chosen.kind == "int":
        packer = struct.Struct("<" + chosen.code)
        return lambda element: _to_int(element, packer)
    if chosen.name == "half":
        return lambda element: struct.unpack("<H", struct.pack("<e", _to_float(element)))[0]
    if chosen.name == "bfloat16":
        return lambda element: _to_bfloat16(_to_float(element))
    if chosen.name == "float32":
        return lambda element: struct.unpack("<f", struct.pack("<f", _to_float(element)))[0]
    return _to_float


def _to_bytes(element: object) -> bytes:
    if isinstance(element, bytes):
        return element
    if not isinstance(element, str):
        raise TypeError
    return element.encode()


def _to_bool(element: object) -> bool:
    if not isinstance(element, bool):
        raise TypeError
    return element


def _to_int(element: object, packer: struct.Struct) -> int:
    if not isinstance(element, int) or isinstance(element, bool):
        raise TypeError
    packer.pack(element)  # the range check of the type
    return element


def _to_float(element: object) -> float:
    if element is None:
        return math.nan
    if isinstance(element, str):
        return _SPECIAL_FLOATS[element] if element in _SPECIAL_FLOATS else _refuse()
    if isinstance(element, bool) or not isinstance(element, (int, float)):
        raise TypeError
    return float(element)


def _refuse() -> float:
    raise TypeError


def _to_bfloat16(number: float) -> int:
    """The upper half of the float32, rounded to nearest, ties to even."""
    if math.isnan(number):
        return 0x7FC0
    bits = int(struct.unpack("<I", struct.pack("<f", number))[0])
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
