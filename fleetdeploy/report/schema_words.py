"""The words that the schemas of what is printed for programs are made of.

Each schema has two forms. The shipped one is for readers and lets through what a later version adds: keys, kinds of
events. The ``closed`` one is for our own writers, and is held against what they write by tests. Of a plan and of a
doctor's findings only the closed one is there.
"""

from __future__ import annotations

from typing import Any

from fleetdeploy.config.json_schema import DRAFT, Schema


def exactly(description: str = "", /, **properties: Schema) -> Schema:
    """An object with exactly these keys."""
    schema = {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }
    return described(schema, description)


def by_name(item: Schema, description: str = "") -> Schema:
    """An object whose keys are names of things, each with an ``item``."""
    return described({"type": "object", "additionalProperties": item}, description)


def items(item: Schema, description: str = "") -> Schema:
    """A list of ``item``."""
    return described({"type": "array", "items": item}, description)


def or_null(schema: Schema) -> Schema:
    """What ``schema`` says, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    """What the definition of that name says."""
    return {"$ref": f"#/$defs/{name}"}


def text(description: str = "") -> Schema:
    """Any text."""
    return described({"type": "string"}, description)


def boolean(description: str = "") -> Schema:
    """True or false."""
    return described({"type": "boolean"}, description)


def count(description: str = "") -> Schema:
    """A whole number from 0: of things, or of bytes."""
    return described({"type": "integer", "minimum": 0}, description)


def number(description: str = "") -> Schema:
    """The number of a model's version."""
    return described({"type": "integer", "minimum": 1}, description)


def number_of(description: str) -> Schema:
    """Any number, such as of seconds."""
    return described({"type": "number"}, description)


def one_of(*values: str, description: str = "") -> Schema:
    """One of these words."""
    return described({"enum": list(values)}, description)


def described(schema: Schema, description: str) -> Schema:
    """The schema with words for people, where there are any."""
    return {**schema, "description": description} if description else schema


def with_optional(schema: Schema, **properties: Schema) -> Schema:
    """An object of :func:`exactly` that may have these keys too."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def with_required(schema: Schema, **properties: Schema) -> Schema:
    """An object of :func:`exactly` that has these keys too."""
    wider = with_optional(schema, **properties)
    return {**wider, "required": [*schema["required"], *properties]}


def format_of(version: int) -> Schema:
    """The key ``format``."""
    return described({"const": version}, "version of this shape; keys may be added within one")


def looked_at() -> dict[str, Schema]:
    """The keys of a document that tells of each host, or why it could not: they refer to ``host``."""
    return {
        "hosts": by_name(ref("host"), "every host that was looked at"),
        "unreachable": by_name(text(), "hosts that could not be looked at, and why"),
    }


def document(title: str, description: str, top: Schema, *, closed: bool, **definitions: Schema) -> Schema:
    """A whole schema, in keywords that mean the same in draft 7 and in draft 2020-12."""
    schema = {"$schema": DRAFT, "title": title, "description": description, **top, "$defs": definitions}
    return schema if closed else opened(schema)


def opened(value: Any) -> Any:
    """The schema without its refusals of keys that it does not know."""
    if isinstance(value, dict):
        return {key: opened(item) for key, item in value.items() if (key, item) != ("additionalProperties", False)}
    return [opened(item) for item in value] if isinstance(value, list) else value
