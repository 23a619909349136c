"""The words that the schema of a plan is made of."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema


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


def described(schema: Schema, description: str) -> Schema:
    """The schema with words for people, where there are any."""
    return {**schema, "description": description} if description else schema
