"""As much of FlatBuffers and FlexBuffers as it takes to read the SignatureDefs out of a TensorFlow Lite model.

Layouts: flatbuffers' internals document; field numbers: tensorflow/lite/schema/schema.fbs; where the signatures lie:
tensorflow/lite/tools/signature/signature_def_util.cc.
"""

import struct
from typing import Final

SIGNATURES: Final = "signature_defs_metadata"

_MODEL_BUFFERS, _MODEL_METADATA = 4, 6
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA = 0
_LETTERS: Final = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}


def _number(data: bytes, at: int, width: int) -> int:
    return int(struct.unpack_from(_LETTERS[width], data, at)[0])


def _signed(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<i", data, at)[0])


def _follow(data: bytes, at: int) -> int:
    """Where the 32-bit offset stored at a place points to."""
    return at + _number(data, at, 4)


def _field(data: bytes, table: int, number: int) -> int | None:
    """Place of a field in a table; None where the table lacks it."""
    layout = table - _signed(data, table)
    entry = 4 + 2 * number
    offset = _number(data, layout + entry, 2) if entry < _number(data, layout, 2) else 0
    return table + offset if offset else None


def _vector(data: bytes, table: int, number: int) -> tuple[int, int]:
    """Start and number of elements of a field that is a vector or a string; none where the table lacks it."""
    place = _field(data, table, number)
    if place is None:
        return 0, 0
    start = _follow(data, place)
    return start + 4, _number(data, start, 4)


def serialized_signatures(model: bytes) -> dict[str, bytes]:
    """SignatureDefs (serialized) by name that a model carries in its metadata; empty for a model with none.

    Raises ValueError for a model that is cut off or makes no sense.
    """
    try:
        root = _follow(model, 0)
        start, count = _vector(model, root, _MODEL_METADATA)
        for place in range(start, start + 4 * count, 4):
            metadata = _follow(model, place)
            name, length = _vector(model, metadata, _METADATA_NAME)
            if model[name : name + length] == SIGNATURES.encode():
                number = _field(model, metadata, _METADATA_BUFFER)
                buffers, _ = _vector(model, root, _MODEL_BUFFERS)
                buffer = _follow(model, buffers + 4 * (_number(model, number, 4) if number is not None else 0))
                data, size = _vector(model, buffer, _BUFFER_DATA)
                return _flex_map(model[data : data + size])
    except (struct.error, IndexError, KeyError, UnicodeDecodeError) as problem:
        raise ValueError(f"the model's metadata is damaged: {problem}") from problem
    return {}


def _flex_map(data: bytes) -> dict[str, bytes]:
    """A FlexBuffer that is a map of strings: its last byte is the width of the root, before it the root's type."""
    root_width = data[-1]
    width = 1 << (data[-2] & 3)
    root = len(data) - 2 - root_width
    values = root - _number(data, root, root_width)
    size = _number(data, values - width, width)
    key_width = _number(data, values - 2 * width, width)
    keys_offset = values - 3 * width
    keys = keys_offset - _number(data, keys_offset, width)
    types = values + size * width
    found = {}
    for index in range(size):
        key_place = keys + index * key_width
        key = key_place - _number(data, key_place, key_width)
        value_place = values + index * width
        value = value_place - _number(data, value_place, width)
        value_width = 1 << (data[types + index] & 3)
        length = _number(data, value - value_width, value_width)
        found[data[key : data.index(b"\0", key)].decode()] = data[value : value + length]
    return found
