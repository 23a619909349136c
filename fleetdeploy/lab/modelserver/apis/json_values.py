"""Parsed JSON as the REST API looks at it: objects with all of their members, kinds of values, bytes in base64.

Texts hold what was sent byte by byte: a byte that is not UTF-8 is a lone surrogate, as Python's `surrogateescape` has
it, because the real server's parser does not look at encodings. See tensorflow_serving/util/json_tensor.cc.
"""

import base64
import re
from typing import Any, Final

from fleetdeploy.lab.modelserver.apis.json_writer import debug_text
from fleetdeploy.lab.modelserver.status import invalid

_BASE64: Final = re.compile(r"([A-Za-z0-9+/]*)([=.]*)")
_SPACE: Final = re.compile(r"\s+", re.ASCII)


class JsonObject:
    """A JSON object; a name may occur more than once."""

    __slots__ = ("members",)

    def __init__(self, members: list[tuple[str, Any]]) -> None:
        self.members = members

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.members)

    def get(self, name: str, default: Any = None) -> Any:
        """Value of the first member of that name."""
        return next((value for key, value in self.members if key == name), default)


def type_name(value: Any) -> str:
    """What error messages call a value's kind."""
    if value is None or isinstance(value, bool):
        return "Null" if value is None else str(value)
    names: dict[type, str] = {JsonObject: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def is_b64(value: Any) -> bool:
    """Whether a value is bytes in base64: an object of one member `b64`, which is a string."""
    return isinstance(value, JsonObject) and len(value.members) == 1 and isinstance(value.get("b64"), str)


def is_named(value: Any) -> bool:
    """Whether a value is an object of named tensors, not one encoded string."""
    return isinstance(value, JsonObject) and not is_b64(value)


def decode_b64(value: Any) -> bytes:
    """Bytes of a value that must be `{"b64": ...}`; white space is skipped and padding may be missing, or be dots.

    Raises INVALID_ARGUMENT.
    """
    if not is_b64(value):
        raise invalid(f"JSON Value: {debug_text(value)} not formatted correctly for base64 data")
    match = _BASE64.fullmatch(_SPACE.sub("", value.get("b64")))
    if match:
        digits, padding = match.groups()
        missing = -len(digits) % 4
        if missing < 3 and len(padding) in (0, missing):
            return base64.b64decode(digits + "=" * missing)
    raise invalid("Unable to base64 decode")


def to_bytes(text: str) -> bytes:
    """What was sent for a text."""
    return text.encode(errors="surrogateescape")


def proto_text(text: str) -> str:
    """A text for a protobuf field of type string, which must be UTF-8."""
    return to_bytes(text).decode(errors="replace")
