"""Which keys of a JSON Schema a file uses, and on which lines; and which keys there are to use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fleetdeploy.config.syntax.nodes import ListNode, MapNode, Node, Scalar

Schema = dict[str, Any]
Place = tuple[str, Schema]
"""A schema, and where it stands in its file: ``#/$defs/play``."""

_REFINED = ("allOf", "anyOf")


@dataclass(frozen=True)
class Key:
    """A key that a file uses. ``place`` is that of its schema, ``line`` counts from 1."""

    place: str
    schema: Schema
    line: int

    @property
    def name(self) -> str:
        return self.place.rpartition("/")[2]


def used(node: Node, root: Schema) -> Iterator[Key]:
    """Every key of ``node``, and of what is in it, that ``root`` has a schema for."""
    yield from _used(node, [("#", root)], root)


def _used(node: Node, places: list[Place], root: Schema) -> Iterator[Key]:
    parts = [part for place in places for part in _parts(place, node, root)]
    if isinstance(node, ListNode):
        inner = [(f"{where}/items", part["items"]) for where, part in parts if "items" in part]
        for item in node.items:
            yield from _used(item, inner, root)
    if not isinstance(node, MapNode):
        return
    for entry in node:
        found = list(_of_key(str(entry.key.value), parts))
        for where, schema in found:
            if where.endswith(f"/properties/{entry.key.value}"):
                yield Key(where, schema, entry.key.origin.line)
        yield from _used(entry.value, found, root)


def _of_key(name: str, parts: list[Place]) -> Iterator[Place]:
    for where, part in parts:
        if isinstance(part.get("properties", {}).get(name), dict):
            yield f"{where}/properties/{name}", part["properties"][name]
        elif isinstance(part.get("additionalProperties"), dict):
            yield f"{where}/additionalProperties", part["additionalProperties"]


def _parts(place: Place, node: Node | None, root: Schema) -> Iterator[Place]:
    """A schema, and those that it hands on to; without a ``node`` both ways of a condition."""
    where, schema = place
    yield place
    if "$ref" in schema:
        yield from _parts((schema["$ref"], _at(root, schema["$ref"])), node, root)
    for word in _REFINED:
        for index, inner in enumerate(schema.get(word, ())):
            yield from _parts((f"{where}/{word}/{index}", inner), node, root)
    if "if" in schema:
        ways = ("then", "else") if node is None else ("then" if _holds(schema["if"], node) else "else",)
        for way in ways:
            yield from _parts((f"{where}/{way}", schema[way]), node, root)


def _holds(condition: Schema, node: Node) -> bool:
    if "required" in condition:
        return isinstance(node, MapNode) and set(condition["required"]) <= set(node.entries)
    assert condition == {"type": "string"}
    return isinstance(node, Scalar) and isinstance(node.value, str)


def _at(root: Schema, reference: str) -> Schema:
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    assert isinstance(found, dict)
    return found


def declared(root: Schema) -> dict[str, Schema]:
    """Every key that a file may use, by the place of its schema."""
    found: dict[str, Schema] = {}
    waiting, seen = [("#", root)], set()
    while waiting:
        for where, part in _parts(waiting.pop(), None, root):
            if where in seen:
                continue
            seen.add(where)
            for name, schema in part.get("properties", {}).items():
                if isinstance(schema, dict):
                    found[f"{where}/properties/{name}"] = schema
                    waiting.append((f"{where}/properties/{name}", schema))
            inner = [word for word in ("items", "additionalProperties") if isinstance(part.get(word), dict)]
            waiting += [(f"{where}/{word}", part[word]) for word in inner]
    return found
