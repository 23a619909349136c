"""JSON as the real server prints it: rapidjson's pretty writer, with four spaces and lists kept on one line.

The layout is part of what clients see (`"predictions": [2.5, 3.0`, newline, `    ]`), and so is the form of numbers:
a float always has a point or an exponent, and NaN and Infinity are bare words.
See tensorflow_serving/util/json_tensor.cc.
"""

import json
import math
import struct
from typing import Any, Final

_INDENT: Final = "    "


def decimal(value: float, *, single: bool) -> str:
    """Print a float the short way if that reads back as the same number, else with all its digits.

    `single` tells that the value is a float32. NaN and the infinities come out as bare words.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{value:g}"
    back = struct.unpack("f", struct.pack("f", float(text)))[0] if single else float(text)
    if back != value:
        text = f"{value:.{9 if single else 17}g}"
    return text if "." in text or "e" in text else text + ".0"


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
        self._put(json.dumps(text, ensure_ascii=False))

    def raw(self, text: str) -> None:
        """Write a value that is JSON already."""
        self._put(text)

    def value(self, value: Any) -> None:
        """Write any parsed JSON value."""
        if isinstance(value, dict):
            self.open_object()
            for key, item in value.items():
                self.string(key)
                self.value(item)
            self.close_object()
        elif isinstance(value, list):
            self.open_list()
            for item in value:
                self.value(item)
            self.close_list()
        else:
            self.raw(json.dumps(value, ensure_ascii=False))

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


def debug_text(value: Any) -> str:
    """A parsed JSON value as error messages quote it, cut after some 256 characters."""
    writer = JsonWriter()
    writer.one_line = True
    writer.value(value)
    return writer.text()[:256]


def error_text(message: str) -> str:
    """The body of an answer that is an error."""
    writer = JsonWriter()
    writer.value({"error": message})
    return writer.text()
