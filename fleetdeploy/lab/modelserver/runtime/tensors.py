"""TensorProto to TF_Tensor and back.

Requests are parsed by TensorFlow itself, so that short value lists, `tensor_content` and malformed protos are treated
as the real server treats them. Answers come in typed fields (`float_val`, ...), never `tensor_content`, as Tensor's
AsProtoField writes them (tensorflow/core/framework/tensor.cc).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from fleetdeploy.lab.modelserver.runtime.tensorflow_c import TensorFlow
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

DT_STRING: Final = 7

_Letter = Literal["f", "d", "b", "B", "h", "H", "i", "I", "q", "Q", "?"]


class Typed(NamedTuple):
    """Where a dtype's values lie in a TensorProto, and how its memory is laid out (a `struct` letter)."""

    field: str
    letter: _Letter


_TYPED: Final = {
    1: Typed("float_val", "f"),
    2: Typed("double_val", "d"),
    3: Typed("int_val", "i"),
    4: Typed("int_val", "B"),
    5: Typed("int_val", "h"),
    6: Typed("int_val", "b"),
    7: Typed("string_val", "B"),
    8: Typed("scomplex_val", "f"),
    9: Typed("int64_val", "q"),
    10: Typed("bool_val", "?"),
    11: Typed("int_val", "b"),
    12: Typed("int_val", "B"),
    13: Typed("int_val", "i"),
    14: Typed("half_val", "H"),  # bfloat16: the 16 bits as they are
    15: Typed("int_val", "h"),
    16: Typed("int_val", "H"),
    17: Typed("int_val", "H"),
    18: Typed("dcomplex_val", "d"),
    19: Typed("half_val", "H"),
    22: Typed("uint32_val", "I"),
    23: Typed("uint64_val", "Q"),
}

_PACKED_AS_IN_MEMORY: Final = {"float_val": b"\x2a", "double_val": b"\x32"}
"""Fields whose packed wire form is the memory itself (little endian), with their tags: Python sees no single value."""

_NAMES: Final = {9: "int64", 14: "bfloat16", 19: "half"}


def dtype_name(dtype: int) -> str:
    """Name of a DataType number as TensorFlow's messages spell it, such as `float` or `bfloat16`."""
    return _NAMES.get(dtype) or str(stubs.types_pb2.DataType.Name(dtype)).removeprefix("DT_").lower()


def from_proto(tensorflow: TensorFlow, proto: Any, *, alias: str) -> int:
    """Build the tensor of a TensorProto; the caller frees it. `alias` names the input in the error."""
    try:
        return tensorflow.tensor_from_proto(proto.SerializeToString())
    except StatusError as problem:
        raise StatusError(Code.INVALID_ARGUMENT, f"tensor parsing error: {alias}") from problem


def to_proto(tensorflow: TensorFlow, tensor: int, proto: Any) -> None:
    """Fill an empty TensorProto with a tensor's dtype, shape and values."""
    dtype = tensorflow.tensor_type(tensor)
    data = tensorflow.tensor_strings(tensor) if dtype == DT_STRING else tensorflow.tensor_bytes(tensor)
    fill(proto, dtype=dtype, shape=tensorflow.tensor_shape(tensor), data=data)


def fill(proto: Any, *, dtype: int, shape: Iterable[int], data: bytes | Sequence[bytes]) -> None:
    """Fill an empty TensorProto: `data` is row-major memory, or the elements of a tensor of strings.

    Raises UNIMPLEMENTED for a dtype that is never an answer's.
    """
    proto.dtype = dtype
    sizes = proto.tensor_shape
    sizes.SetInParent()  # a scalar's shape is there, with no dimensions
    for size in shape:
        sizes.dim.add().size = size
    if dtype == DT_STRING:
        proto.string_val.extend(data)
        return
    typed = typed_field(dtype)
    tag = _PACKED_AS_IN_MEMORY.get(typed.field)
    if tag is not None:
        proto.MergeFromString(tag + varint(len(data)) + bytes(data))  # type: ignore[arg-type]
        return
    values: Any = memoryview(data).cast(typed.letter)  # type: ignore[arg-type,call-overload,unused-ignore]
    getattr(proto, typed.field).extend(values)


def typed_field(dtype: int) -> Typed:
    """Where a dtype's values lie in a TensorProto. Raises UNIMPLEMENTED for a dtype that is never an answer's."""
    typed = _TYPED.get(dtype)
    if typed is None:
        raise StatusError(Code.UNIMPLEMENTED, f"The stand-in cannot answer a tensor of type {dtype_name(dtype)}")
    return typed


def varint(number: int) -> bytes:
    """Protobuf's variable-length encoding of a number that is not negative."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
