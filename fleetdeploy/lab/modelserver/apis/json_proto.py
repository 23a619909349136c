"""Protobuf messages as JSON the way protobuf's C++ library prints them with white space and all fields.

See tensorflow_serving/model_servers/http_rest_api_util.cc for the options, and json/internal of protobuf: fields in the
order of their numbers, one space of indent, a new line at the end, and `<` and `>` among what is escaped in strings.
"""

import json
import re
from typing import Any, Final

from google.protobuf import json_format

_ESCAPED: Final = re.compile(
    "[<>\x7f-\x9f\u00ad\u0600-\u0603\u06dd\u070f\u17b4\u17b5\u200b-\u200f\u2028-\u202e\u2060-\u2064\u206a-\u206f"
    "\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""What is escaped beyond what JSON asks for: characters that are markup, or that cannot be seen."""


def proto_json(message: Any) -> str:
    """Print a message: 64-bit integers as strings, fields by their names in the proto file, defaults included."""
    document = json_format.MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )
    text = json.dumps(_in_order(message.DESCRIPTOR, document), indent=1, ensure_ascii=False)
    return _ESCAPED.sub(_escape, text) + "\n"


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join("\\u" + units[start : start + 2].hex() for start in range(0, len(units), 2))


def _in_order(descriptor: Any, document: Any) -> Any:
    """Sort a message's members by field number, at every level."""
    if not isinstance(document, dict) or descriptor.full_name.startswith("google.protobuf."):
        return document
    ordered: dict[str, Any] = {}
    for field in sorted(descriptor.fields, key=lambda each: int(each.number)):
        if field.name in document:
            ordered[field.name] = _value_in_order(field, document[field.name])
    return ordered


def _value_in_order(field: Any, value: Any) -> Any:
    inner = field.message_type
    if inner is None:
        return value
    if inner.GetOptions().map_entry:
        entry = inner.fields_by_name["value"].message_type
        return {key: _in_order(entry, value[key]) if entry else value[key] for key in sorted(value)}
    if isinstance(value, list):
        return [_in_order(inner, item) for item in value]
    return _in_order(inner, value)
