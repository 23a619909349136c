"""How the REST API writes JSON, to the byte."""

import math

import pytest

from fleetdeploy.lab.modelserver.apis.json_proto import proto_json
from fleetdeploy.lab.modelserver.apis.json_reader import read_json
from fleetdeploy.lab.modelserver.apis.json_writer import debug_text, decimal, error_text, shortest
from fleetdeploy.lab.modelserver.inference.tensor_content import to_tensor_content
from fleetdeploy.tfserving import stubs


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e6, "1e+06"),
        (999999.0, "999999.0"),
        (16777217.0, "16777216.0"),
        (0.333333343, "0.333333343"),
        (3.4028234663852886e38, "3.40282347e+38"),
        (-0.0, "-0.0"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_float32(value: float, text: str) -> None:
    """A float32 has six digits if these are enough, else nine, and always a point or an exponent."""
    single = stubs.tensor_pb2.TensorProto(float_val=[value]).float_val[0]
    assert decimal(single, single=True) == text


def test_float64() -> None:
    """A double has six digits if these are enough, else seventeen."""
    assert [decimal(value, single=False) for value in (0.1, 1 / 3)] == ["0.1", "0.33333333333333331"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-1.5, "-1.5"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1.5e300, "1.5e300"),
        (0.00001, "0.00001"),
        (1e-7, "1e-7"),
    ],
)
def test_doubles_in_quotes(value: float, text: str) -> None:
    """A double that an error quotes is printed in rapidjson's own way."""
    assert shortest(value) == text


def test_quoted_documents() -> None:
    """Lists stay on one line, objects do not, and what is not finite ends the text."""
    assert debug_text(read_json(b'{"a": [1, {}, {"b": null}], "a": true}')) == (
        '{\n    "a": [1, {}, {\n            "b": null\n        }],\n    "a": true\n}'
    )
    assert debug_text(read_json(b"[1.0, NaN, 2.0]")) == "[1.0, "


def test_long_documents_are_cut_between_pieces() -> None:
    """The last piece quoted is the one that goes beyond 256 bytes, however long it is."""
    text = debug_text(read_json(b'["' + b"\xc3\xbc" * 200 + b'", 1]'))
    assert text == '["' + "\u00fc" * 200 + '"'
    assert debug_text(read_json(b"[" + b"12," * 200 + b"1]")) == "[" + ", ".join(["12"] * 65)


def test_escapes() -> None:
    """Only quotes, backslashes and control characters are escaped; bytes that are not UTF-8 stay."""
    assert error_text('"\\/\n\x01\x1f\x7f\u00fc\udcff') == (
        '{\n    "error": "\\"\\\\/\\n\\u0001\\u001F\x7f\u00fc\udcff"\n}'
    )


def test_messages_in_the_order_of_numbers() -> None:
    """Fields come by number with defaults in between, 64-bit integers are strings, and markup is escaped."""
    spec = stubs.model_pb2.ModelSpec(name="<\u2028\U000e0001>")
    spec.version.value = 7
    assert proto_json(spec) == (
        '{\n "name": "\\u003c\\u2028\\udb40\\udc01\\u003e",\n "version": "7",\n "signature_name": ""\n}\n'
    )


@pytest.mark.parametrize(
    ("dtype", "field", "values", "content"),
    [
        ("DT_HALF", "half_val", [0x3C00], b"\x00\x3c"),
        ("DT_INT8", "int_val", [-1, 2], b"\xff\x02"),
        ("DT_UINT64", "uint64_val", [2**64 - 1], b"\xff" * 8),
        ("DT_BOOL", "bool_val", [True, False], b"\x01\x00"),
        ("DT_STRING", "string_val", [b"", b"x" * 300], b"\x00\xac\x02" + b"x" * 300),
    ],
)
def test_tensor_content(dtype: str, field: str, values: list[object], content: bytes) -> None:
    """A tensor's content is its memory; of strings all lengths, then all bytes."""
    tensor = stubs.tensor_pb2.TensorProto(dtype=stubs.types_pb2.DataType.Value(dtype))
    getattr(tensor, field).extend(values)
    to_tensor_content(tensor)
    assert tensor.tensor_content == content
    assert not getattr(tensor, field)
