"""How the REST API reads JSON, where RapidJSON and Python's parser differ."""

import pytest

from fleetdeploy.lab.modelserver.apis.json_reader import read_json
from fleetdeploy.lab.modelserver.apis.json_values import JsonObject, decode_b64
from fleetdeploy.lab.modelserver.status import Code, StatusError


def problem(body: bytes) -> str:
    """The error a document ends with."""
    with pytest.raises(StatusError) as caught:
        read_json(body)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message.removeprefix("JSON Parse error: ")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[1, -2, 0.5]", [1, -2, 0.5]),
        (b"[null, true, false]", [None, True, False]),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"\xef[1]", [1]),
        (b"[Inf, -Inf, Infinity, NInf]", [float("inf"), float("-inf"), float("inf"), float("inf")]),
        (b"[Inf.5]", [0.5]),
        (b"[1] [2", [1]),
        (b"5", 5),
        (b'["\xff", "\\u00fc"]', ["\udcff", "\u00fc"]),
        (b'["\\udc00"]', [b"\xed\xb0\x80".decode(errors="surrogateescape")]),
        (b'["\\ud83d\\ude00\\/"]', ["\U0001f600/"]),
        (b"[[], [[]]]", [[], [[]]]),
    ],
)
def test_values(body: bytes, value: object) -> None:
    """Whatever RapidJSON takes is read, and stops after the first value."""
    assert read_json(body) == value


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"[18446744073709551615]", 2**64 - 1),
        (b"[18446744073709551616]", 2.0**64),
        (b"[-9223372036854775808]", -(2**63)),
        (b"[-9223372036854775809]", -(2.0**63)),
        (b"[-0]", 0),
        (b"[-0.0]", -0.0),
        (b"[9e308]", float("inf")),
        (b"[1e-400]", 0.0),
        (b"[0." + b"1" * 40 + b"]", 0.11111111111111112),  # the nearest double ends in one digit less
    ],
)
def test_numbers(body: bytes, number: float) -> None:
    """An integer is one while it fits 64 bits; what is too big for a double may become infinite."""
    (value,) = read_json(body)
    assert (type(value), repr(value)) == (type(number), repr(number))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b" ", "The document is empty. at offset: 1"),
        (b"]", "The document is empty. at offset: 0"),
        (b"{1:2}", "Missing a name for object member. at offset: 1"),
        (b"[tru]", "Invalid value. at offset: 4"),
        (b"[NaX]", "Invalid value. at offset: 3"),
        (b"[Infinit]", "Invalid value. at offset: 8"),
        (b"[.5]", "Invalid value. at offset: 1"),
        (b"[01]", "Missing a comma or ']' after an array element. at offset: 2"),
        (b"1.x", "Miss fraction part in number. at offset: 2"),
        (b'["a\x00b"]', "Missing a closing quotation mark in string. at offset: 3"),
        (b'["\\x"]', "Invalid escape character in string. at offset: 2"),
        (b'["\\ud800\\u0020"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b"[" + b"9" * 400 + b"]", "Number too big to be stored in double. at offset: 1"),
        (b"[1\x00]", "Missing a comma or ']' after an array element. at offset: 2"),
    ],
)
def test_errors(body: bytes, text: str) -> None:
    """Errors name the byte they were found at."""
    assert problem(body) == text


def test_objects_keep_all_members() -> None:
    """An object keeps members of one name, and the first of them is found."""
    document = read_json(b'{"a": 1, "b": {}, "a": 2}')
    assert isinstance(document, JsonObject)
    assert [name for name, _ in document.members] == ["a", "b", "a"]
    assert (document.get("a"), document.get("c"), "b" in document, "c" in document) == (1, None, True, False)


def test_nesting_of_any_depth() -> None:
    """Nesting deeper than Python's stack is read."""
    value = read_json(b"[" * 20000 + b"]" * 20000)
    depth = 0
    while value:
        (value,) = value
        depth += 1
    assert depth == 19999


@pytest.mark.parametrize("text", ["AP8=", "AP8", "AP8.", "A P\n8 =", "AP8= "])
def test_base64(text: str) -> None:
    """Padding may be missing or a dot, and white space is skipped."""
    assert decode_b64(JsonObject([("b64", text)])) == b"\x00\xff"


@pytest.mark.parametrize("text", ["A", "AP8==", "AP-_", "AP=8", "=", "AAAA="])
def test_bad_base64(text: str) -> None:
    """Too much padding, digits of the other alphabet and a single digit left over are refused."""
    with pytest.raises(StatusError, match="Unable to base64 decode"):
        decode_b64(JsonObject([("b64", text)]))
