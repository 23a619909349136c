"""JSON as the real server reads it: RapidJSON 1.1.0 with NaN and Infinity, which stops after the first value.

What Python's own parser takes in the same way is left to it, for speed. Everything else goes through `_Reader`, which
knows the differences: the texts of errors and the byte they are found at, strings that are not UTF-8, integers beyond
64 bits, nesting of any depth, a byte order mark. See the function ParseJson of tensorflow_serving/util/json_tensor.cc.
"""

import contextlib
import json
import re
from typing import Any, Final

from fleetdeploy.lab.modelserver.apis.json_number import TooBigError, float_of, integer_of, number_of
from fleetdeploy.lab.modelserver.apis.json_values import JsonObject
from fleetdeploy.lab.modelserver.status import invalid

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LONG_INTEGER: Final = re.compile(r"[0-9]{19}")
_BYTE_ORDER_MARK: Final = re.compile(rb"\xef?\xbb?\xbf?")
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_DIGITS: Final = re.compile(r"[0-9]*")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_HEX4: Final = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES: Final = {'"': '"', "/": "/", "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS: Final = {"null": None, "true": True, "false": False}
_END: Final = "\0"

# What the reader waits for, and the error where something else comes.
_START: Final = "The document is empty."
_NAME: Final = "Missing a name for object member."
_COLON: Final = "Missing a colon after a name of object member."
_MEMBER_END: Final = "Missing a comma or '}' after an object member."
_ELEMENT_END: Final = "Missing a comma or ']' after an array element."
_VALUE: Final = "Invalid value."


class _ParseError(Exception):
    def __init__(self, text: str, offset: int) -> None:
        super().__init__(f"JSON Parse error: {text} at offset: {offset}")


def read_json(body: bytes) -> Any:
    """Read the first value of a document; objects are JsonObjects. Raises INVALID_ARGUMENT."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    with contextlib.suppress(ValueError, RecursionError):
        return _read_plain(body.decode())
    try:
        return _Reader(body).document()
    except _ParseError as problem:
        raise invalid(str(problem)) from None


def _read_plain(text: str) -> Any:
    """Read with Python's parser. Raises ValueError for whatever it might not take as RapidJSON does."""
    if _SURROGATE.search(text):
        raise ValueError(text)
    decoder = json.JSONDecoder(
        object_pairs_hook=JsonObject,
        parse_float=float_of,
        parse_int=integer_of if _LONG_INTEGER.search(text) else None,
    )
    start = _BLANK.match(text)
    value = decoder.raw_decode(text, start.end() if start else 0)[0]
    if type(value) in (int, float):  # maybe only the first part of something like `1.x`
        raise ValueError(text)
    return value


class _Reader:
    """Reads one document. A character of `_text` is one byte, and the end is a zero byte, as any other would be."""

    def __init__(self, body: bytes) -> None:
        self._text = body.decode("latin-1") + _END
        mark = _BYTE_ORDER_MARK.match(body)
        self._at = mark.end() if mark else 0

    def document(self) -> Any:
        """Read the first value. Raises _ParseError."""
        root: list[Any] = []
        open_values: list[Any] = [root]  # from the outermost to the innermost
        names: list[str] = []
        wanted, may_close = _START, False
        while wanted != _START or not root:
            self._skip(_BLANK)
            char = self._text[self._at]
            inner = open_values[-1]
            closes = char == ("}" if isinstance(inner, JsonObject) else "]") and len(open_values) > 1
            if closes and (may_close or wanted in (_MEMBER_END, _ELEMENT_END)):
                self._at += 1
                open_values.pop()
                wanted, may_close = self._after_value(open_values), False
            elif wanted in (_MEMBER_END, _ELEMENT_END):
                self._take(",", wanted)
                wanted = _NAME if wanted == _MEMBER_END else _VALUE
            elif wanted == _NAME:
                if char != '"':
                    raise _ParseError(_NAME, self._at)
                names.append(self._string())
                wanted, may_close = _COLON, False
            elif wanted == _COLON:
                self._take(":", _COLON)
                wanted = _VALUE
            else:
                if char in "]},:" + _END:
                    raise _ParseError(wanted, self._at)
                value = self._value(char)
                if isinstance(inner, JsonObject):
                    inner.members.append((names.pop(), value))
                else:
                    inner.append(value)
                may_close = char in "[{"
                if may_close:
                    open_values.append(value)
                    wanted = _NAME if char == "{" else _VALUE
                else:
                    wanted = self._after_value(open_values)
        return root[0]

    @staticmethod
    def _after_value(open_values: list[Any]) -> str:
        if len(open_values) == 1:
            return _START
        return _MEMBER_END if isinstance(open_values[-1], JsonObject) else _ELEMENT_END

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        text = match.group() if match else ""
        self._at += len(text)
        return text

    def _take(self, char: str, problem: str) -> None:
        if not self._consume(char):
            raise _ParseError(problem, self._at)

    def _consume(self, chars: str) -> bool:
        """Go past these characters, as far as they come."""
        for char in chars:
            if self._text[self._at] != char:
                return False
            self._at += 1
        return True

    def _value(self, char: str) -> Any:
        """Read a value that starts with this character; of a list or an object, only the opening bracket."""
        if char in "[{":
            self._at += 1
            return [] if char == "[" else JsonObject([])
        if char == '"':
            return self._string()
        for literal, value in _LITERALS.items():
            if literal[0] == char:
                self._take_all(literal)
                return value
        return self._number()

    def _take_all(self, literal: str) -> None:
        if not self._consume(literal):
            raise _ParseError(_VALUE, self._at)

    def _string(self) -> str:
        self._at += 1
        parts: list[bytes] = []
        while True:
            parts.append(self._skip(_PLAIN).encode("latin-1"))
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return b"".join(parts).decode(errors="surrogateescape")
            if char == _END:
                raise _ParseError("Missing a closing quotation mark in string.", self._at)
            if char != "\\":
                raise _ParseError("Invalid escape character in string.", self._at)
            parts.append(self._escaped().encode(errors="surrogatepass"))

    def _escaped(self) -> str:
        began = self._at
        char = self._text[began + 1]
        self._at += 2
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char != "u":
            raise _ParseError("Invalid escape character in string.", began)
        point = self._hex4(began)
        if 0xD800 <= point <= 0xDBFF:
            low = self._hex4(began) if self._consume("\\u") else 0
            if not 0xDC00 <= low <= 0xDFFF:
                raise _ParseError("The surrogate pair in string is invalid.", began)
            point = ((point - 0xD800) << 10 | low - 0xDC00) + 0x10000
        return chr(point)

    def _hex4(self, began: int) -> int:
        digits = self._skip(_HEX4)
        if not digits:
            raise _ParseError("Incorrect hex digit after \\u escape in string.", began)
        return int(digits, 16)

    def _number(self) -> int | float:
        began = self._at
        minus = self._consume("-")
        whole = "0" if self._consume("0") else self._skip(_DIGITS)
        if not whole:
            value = self._not_finite(minus=minus)
            if self._text[self._at] not in ".eE":
                return value
            whole = "0"  # a fraction or an exponent makes it a number after all
        try:
            number_of(whole, minus=minus)  # a whole part that is too big is found before what is wrong after it
            fraction = self._digits("Miss fraction part in number.") if self._consume(".") else None
            exponent: int | None = None
            if self._consume("e") or self._consume("E"):
                sign = -1 if not self._consume("+") and self._consume("-") else 1
                exponent = sign * int(self._digits("Miss exponent in number.")[:4000])
            return number_of(whole, fraction, exponent, minus=minus)
        except TooBigError:
            raise _ParseError("Number too big to be stored in double.", began) from None

    def _digits(self, problem: str) -> str:
        digits = self._skip(_DIGITS)
        if not digits:
            raise _ParseError(problem, self._at)
        return digits

    def _not_finite(self, *, minus: bool) -> float:
        """Read `NaN`, `Inf` or `Infinity`, the way it is really done: `NInf` is one, too."""
        if self._text[self._at] not in "IN":
            raise _ParseError(_VALUE, self._at)
        if self._consume("NaN"):
            return float("nan")
        self._take_all("Inf")
        if self._text[self._at] == "i":
            self._take_all("inity")
        return float("-inf" if minus else "inf")
