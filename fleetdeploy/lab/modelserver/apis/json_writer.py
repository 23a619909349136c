"""JSON as the real server prints it: rapidjson's pretty writer, with four spaces and lists kept on one line.

The layout is part of what clients see (`"predictions": [2.5, 3.0`, newline, `    ]`), and so is the form of numbers:
a float always has a point or an exponent, and NaN and Infinity are bare words. Bytes that are not UTF-8 (lone
surrogates in a text, as `surrogateescape` has them) are written as they are.
See tensorflow_serving/util/json_tensor.cc.
"""

import contextlib
import math
import re
import struct
from decimal import Decimal
from typing import Any, Final

_INDENT: Final = "    "
_DEBUG_BYTES: Final = 256
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def decimal(value: float, *, single: bool) -> str:
    """Print a float the short way if that reads back as the same number, else with all its digits.

    `single` tells that the value is a float32. NaN and the infinities come out as bare words.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{value:g}"
    if _read_back(text, single=single) != value:
        text = f"{value:.{9 if single else 17}g}"
    return text if "." in text or "e" in text else text + ".0"


def _read_back(text: str, *, single: bool) -> float:
    """Value of a short text; one that was rounded up beyond float32's largest is infinite."""
    if not single:
        return float(text)
    with contextlib.suppress(OverflowError):
        back: float = struct.unpack("f", struct.pack("f", float(text)))[0]
        return back
    return math.inf


def quoted(text: str) -> str:
    """A JSON string."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04X}"


def shortest(value: float) -> str:
    """Print a finite double with as many digits as tell it from its neighbours, as rapidjson does by itself."""
    sign, digit_tuple, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, digit_tuple)).rstrip("0")
    if not digits:
        return "-0.0" if sign else "0.0"
    point = len(digit_tuple) + int(exponent)  # digits before the point
    if len(digits) <= point <= 21:
        text = digits.ljust(point, "0") + ".0"
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1}"
    return "-" + text if sign else text


class _FullError(Exception):
    """Nothing more can be written."""


class _Level:
    """An open list or object."""

    def __init__(self, *, in_list: bool) -> None:
        self.in_list = in_list
        self.count = 0  # in an object, keys and values count alike


class JsonWriter:
    """Writes one JSON document piece by piece."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._levels: list[_Level] = []
        self.one_line = False
        """Whether lists are kept on one line from here on."""

    def text(self) -> str:
        """What was written so far."""
        return "".join(self._parts)

    def open_list(self) -> None:
        """Write `[`."""
        self._put("[")
        self._levels.append(_Level(in_list=True))

    def close_list(self) -> None:
        """Write `]`."""
        level = self._levels.pop()
        if level.count and not self.one_line:
            self._new_line()
        self._parts.append("]")

    def open_object(self) -> None:
        """Write `{`."""
        self._put("{")
        self._levels.append(_Level(in_list=False))

    def close_object(self) -> None:
        """Write `}`."""
        level = self._levels.pop()
        if level.count:
            self._new_line()
        self._parts.append("}")

    def string(self, text: str) -> None:
        """Write a string, which may be an object's key."""
        self._put(quoted(text))

    def raw(self, text: str) -> None:
        """Write a value that is JSON already."""
        self._put(text)

    def _put(self, text: str) -> None:
        if self._levels:
            level = self._levels[-1]
            if level.in_list:
                self._before_list_item(level)
            else:
                self._before_object_part(level)
            level.count += 1
        self._parts.append(text)

    def _before_list_item(self, level: _Level) -> None:
        if level.count:
            self._parts.append(", " if self.one_line else ",")
        if not self.one_line:
            self._new_line()

    def _before_object_part(self, level: _Level) -> None:
        if level.count % 2:
            self._parts.append(": ")
            return
        if level.count:
            self._parts.append(",")
        self._new_line()

    def _new_line(self) -> None:
        self._parts.append("\n" + _INDENT * len(self._levels))


class _DebugWriter(JsonWriter):
    """Stops before the first piece that would start behind the limit."""

    def __init__(self) -> None:
        super().__init__()
        self.one_line = True

    def value(self, value: Any) -> None:
        """Write any parsed JSON value. Raises _FullError where the text has to end."""
        if isinstance(value, list):
            self.open_list()
            for item in value:
                self.value(item)
            self._check()
            self.close_list()
        elif isinstance(value, str):
            self.string(value)
        elif isinstance(value, float):
            self._double(value)
        elif value is None or isinstance(value, (bool, int)):
            self.raw("null" if value is None else str(value).lower())
        else:
            self.open_object()
            for key, item in value.members:
                self.string(key)
                self.value(item)
            self._check()
            self.close_object()

    def _double(self, value: float) -> None:
        finite = math.isfinite(value)
        self.raw(shortest(value) if finite else "")
        if not finite:
            raise _FullError  # rapidjson prints no such number, and gives up

    def _put(self, text: str) -> None:
        self._check()
        super()._put(text)

    def _check(self) -> None:
        if len(self.text().encode(errors="surrogateescape")) >= _DEBUG_BYTES:
            raise _FullError


def debug_text(value: Any) -> str:
    """A parsed JSON value as error messages quote it: whole, or up to the piece that goes beyond 256 bytes."""
    writer = _DebugWriter()
    with contextlib.suppress(_FullError):
        writer.value(value)
    return writer.text()


def error_text(message: str) -> str:
    """The body of an answer that is an error."""
    writer = JsonWriter()
    writer.open_object()
    writer.string("error")
    writer.string(message)
    writer.close_object()
    return writer.text()
