"""The words that contracts with programs are made of, besides those of :mod:`fleetdeploy.report.plan.schema_words`.

Each schema has two forms. The shipped one is for readers and lets through what a later version adds: keys, kinds of
events. The ``closed`` one is for our own writers, and is held against what they write by tests.
"""

from __future__ import annotations

from typing import Any

from fleetdeploy.config.json_schema import DRAFT, Schema
from fleetdeploy.report.plan.schema_words import described


def with_optional(schema: Schema, **properties: Schema) -> Schema:
    """An object of :func:`exactly` that may have these keys too."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def number_of(description: str) -> Schema:
    """Any number, such as of seconds."""
    return described({"type": "number"}, description)


def one_of(*values: str, description: str) -> Schema:
    """One of these words."""
    return described({"enum": list(values)}, description)


def document(title: str, description: str, top: Schema, *, closed: bool, **definitions: Schema) -> Schema:
    """A whole schema, in keywords that mean the same in draft 7 and in draft 2020-12."""
    schema = {"$schema": DRAFT, "title": title, "description": description, **top, "$defs": definitions}
    return schema if closed else opened(schema)


def opened(value: Any) -> Any:
    """The schema without its refusals of keys that it does not know."""
    if isinstance(value, dict):
        return {key: opened(item) for key, item in value.items() if (key, item) != ("additionalProperties", False)}
    return [opened(item) for item in value] if isinstance(value, list) else value
