"""Tensors to nested lists and back."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.errors import InputError, NotHealthy
from fleetdeploy.tfserving import dtypes, stubs, tensors

ELEMENTS = {
    "float32": st.floats(width=32, allow_nan=False),
    "float64": st.floats(allow_nan=False),
    "half": st.floats(width=16, allow_nan=False),
    "bfloat16": st.integers(-256, 256).map(float),
    "int8": st.integers(-(2**7), 2**7 - 1),
    "uint8": st.integers(0, 2**8 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "bool": st.booleans(),
    "string": st.text("aé漢\n\0", max_size=5),
}


def nested(elements: list[object], shape: tuple[int, ...]) -> object:
    if not shape:
        return elements[0]
    step = len(elements) // shape[0] if shape[0] else 0
    return [nested(elements[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[str, object]:
    dtype = draw(st.sampled_from(sorted(ELEMENTS)))
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    count = math.prod(shape)
    return dtype, nested(draw(st.lists(ELEMENTS[dtype], min_size=count, max_size=count)), shape)


@settings(deadline=None, max_examples=50)
@given(typed_values())
def test_what_is_written_is_read_back(typed: tuple[str, object]) -> None:
    """Every value of every type survives the way into a TensorProto and back, with its shape."""
    dtype, value = typed
    proto = tensors.to_proto(value, dtype)
    assert proto.dtype == dtypes.find(dtype).number
    assert tensors.from_proto(stubs.tensor_pb2.TensorProto.FromString(proto.SerializeToString())) == value


@pytest.mark.parametrize("value", [[], [[], []], [[[], []], [[], []]]])
def test_empty_arrays_keep_their_shape(value: object) -> None:
    """A tensor without elements comes back with as many empty lists as it had."""
    assert tensors.from_proto(tensors.to_proto(value, "int64")) == value


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(1, "int64"), ([1.5, 2], "float32"), (True, "bool"), ("a", "string"), (b"\xff", "string"), ([], "float32")],
)
def test_type_is_guessed_from_the_elements(value: object, dtype: str) -> None:
    """Without a type, integers are int64, floats float32, booleans bool and text string."""
    assert dtypes.name_of(tensors.to_proto(value).dtype) == dtype


def test_tensor_content_is_read() -> None:
    """Packed little-endian bytes mean the same as the typed field, for numbers, bfloat16 and strings."""
    proto = stubs.tensor_pb2.TensorProto(dtype=1, tensor_content=struct.pack("<4f", 1, 2, 3, 4.5))
    proto.tensor_shape.dim.add(size=2)
    proto.tensor_shape.dim.add(size=2)
    assert tensors.from_proto(proto) == [[1.0, 2.0], [3.0, 4.5]]
    brain = stubs.tensor_pb2.TensorProto(dtype=14, tensor_content=struct.pack("<H", 0x3FC0))
    assert tensors.from_proto(brain) == 1.5
    text = stubs.tensor_pb2.TensorProto(dtype=7, tensor_content=b"\x02\x01ab\xff")
    text.tensor_shape.dim.add(size=2)
    assert tensors.from_proto(text) == ["ab", b"\xff"]


def test_last_value_is_repeated() -> None:
    """A typed field that is too short repeats its last value, and an empty one stands for zeros."""
    proto = stubs.tensor_pb2.TensorProto(dtype=3, int_val=[1, 2])
    proto.tensor_shape.dim.add(size=4)
    assert tensors.from_proto(proto) == [1, 2, 2, 2]
    del proto.int_val[:]
    assert tensors.from_proto(proto) == [0, 0, 0, 0]


def test_special_floats_have_words() -> None:
    """None and "NaN" are NaN for a float type, "Infinity" and "-Infinity" are infinities, also in bfloat16."""
    for dtype in ("float32", "float64", "half", "bfloat16"):
        numbers = tensors.from_proto(tensors.to_proto([None, "NaN", "Infinity", "-Infinity"], dtype))
        assert repr(numbers) == "[nan, nan, inf, -inf]"


@pytest.mark.parametrize(
    ("value", "dtype", "place"),
    [
        ([[1, 2], [3, 300]], "uint8", "[1][1] is 300"),
        ([1.5], "int32", "[0] is 1.5"),
        ([True], "int64", "[0] is True"),
        ([0, 1], "bool", "[0] is 0"),
        (["a", 1], "string", "[1] is 1"),
        ([1e300], "float32", "[0] is 1e+300"),
        ([[1, 2], [3]], None, "[1] has length 1"),
        ([1, [2]], None, "[1] is a list"),
        ([[1], 2], None, "[1] is 2"),
    ],
)
def test_bad_element_is_named(value: object, dtype: str | None, place: str) -> None:
    """An element that does not fit its type or its neighbours' shape is refused by its place in the array."""
    with pytest.raises(InputError) as caught:
        tensors.to_proto(value, dtype)
    assert place in caught.value.message


def test_unknown_type_gets_the_nearest_name() -> None:
    """A misspelt data type is refused with the name that was probably meant; DT_ names are understood."""
    with pytest.raises(InputError) as caught:
        dtypes.find("flaot32")
    assert "'float32'" in caught.value.hint
    assert dtypes.find("DT_FLOAT").number == dtypes.find("float32").number == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": 21},
        {"dtype": 1, "float_val": [1.0, 2.0, 3.0]},
        {"dtype": 1, "tensor_content": b"123"},
        {"dtype": 7, "tensor_content": b"\xff\xff"},
        {"dtype": 7, "tensor_content": b"\x09abc"},
    ],
)
def test_contradicting_tensor_is_refused(fields: dict[str, object]) -> None:
    """A tensor whose type is unknown or whose values do not fit its shape is an error, never a guess."""
    proto = stubs.tensor_pb2.TensorProto(**fields)
    with pytest.raises(NotHealthy):
        tensors.from_proto(proto)


@pytest.mark.parametrize("sizes", [(1 << 40,), (1 << 40, 0), (1 << 20, 1 << 20)])
def test_huge_shape_is_refused(sizes: tuple[int, ...]) -> None:
    """A shape of a few bytes cannot make the controller allocate gigabytes."""
    proto = stubs.tensor_pb2.TensorProto(dtype=1)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(NotHealthy, match="at most"):
        tensors.from_proto(proto)
