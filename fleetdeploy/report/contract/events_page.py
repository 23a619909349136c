"""What ``docs events`` prints: how to read the lines of ``--events`` and of journals, kind by kind.

Lines of a run, one JSON object a line, in the order in which things happened: ``deploy --events FILE`` appends them to
a file, and ``<state-dir>/runs/<run>/events.jsonl`` always has them. Each is on the disk before what it announces is
done, and is never written again.

A reader passes over kinds and keys that it does not know: a later version may add some. The first event of a run says
in ``format`` of which version all of its events are, and it is raised where a key goes or means something else. It
stands there once, and not in every line, because one run is one program's; where several runs append to one file, ``n``
begins with 1 at each. No program should read ``message``: its words may change.

Every line has ``n``, ``time_s``, ``kind`` and ``run``, and ``host``, ``task``, ``message`` and ``data`` where it tells
of them. ``prev`` and ``hash`` chain a run's lines, so that damage is found: ``hash`` is the SHA-256 of the line's bytes
before ``, "hash"``. A file whose last line has no end belongs to a run that writes it just now, or was killed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.domain.events import Kind
from fleetdeploy.report.contract.kinds import KINDS, announces, is_written
from fleetdeploy.report.contract.shape import ALWAYS, MAYBE, NEVER, Shape
from fleetdeploy.report.task_docs import wrapped

NAME = "events"
_INDENT = "  "
_KINDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}


def page() -> Iterator[str]:
    """All kinds, in the order in which a run has them, in lines of at most 80 columns."""
    introduction = (inspect.getdoc(sys.modules[__name__]) or "").split("\n\n")
    for paragraph in ("events: what a run tells programs while it goes on", *introduction[1:]):
        yield from wrapped(paragraph)
        yield ""
    for kind in Kind:
        yield from _of(kind, KINDS[kind])
        yield ""
    yield "example:"
    yield f"{_INDENT}fleetdeploy deploy --events told.jsonl"
    yield f"{_INDENT}jq 'select(.kind == \"step_failed\")' told.jsonl"
    yield f"{_INDENT}fleetdeploy schema event -o event.json"


def as_json() -> list[dict[str, Any]]:
    """The same for programs; the types of data are in the schema."""
    return [
        {
            "kind": kind.value,
            "when": shape.when,
            "written": is_written(kind),
            "before": shape.before,
            "announces": announces(kind),
            "host": shape.host,
            "task": shape.task,
            "message": shape.message,
            "data": sorted(shape.data),
            "optional": sorted(shape.more),
        }
        for kind, shape in KINDS.items()
    ]


def _of(kind: Kind, shape: Shape) -> Iterator[str]:
    yield from wrapped(f"{kind.value}: {shape.when}")
    yield from wrapped(_marks(kind, shape), first=_INDENT, rest=_INDENT)
    if shape.message:
        yield from wrapped(f"message: {shape.message}", first=_INDENT, rest=_INDENT * 3)
    for name, schema in shape.data.items():
        yield from _key(name, schema, "")
    for name, schema in shape.more.items():
        yield from _key(name, schema, ", optional")


def _marks(kind: Kind, shape: Shape) -> str:
    """When it is written, and whom it names."""
    written = (
        "shown only, never written"
        if not is_written(kind)
        else "written before the act, which is not done where it cannot be"
        if announces(kind)
        else "written before the act"
        if shape.before
        else "written afterwards"
    )
    words = {NEVER: "", MAYBE: "maybe with ", ALWAYS: "with "}
    named = [f"{words[how]}`{name}`" for name in ("host", "task") if (how := getattr(shape, name)) != NEVER]
    return ", ".join((written, *named))


def _key(name: str, schema: Schema, optional: str) -> Iterator[str]:
    said = schema.get("description", "")
    text = f"{name}: {_type(schema)}{optional}" + (f": {said}" if said else "")
    yield from wrapped(text, first=_INDENT, rest=_INDENT * 3)
    inner = schema.get("additionalProperties") or schema.get("items") or {}
    for key, item in inner.get("properties", {}).items() if isinstance(inner, dict) else ():
        words = ": ".join(filter(None, (_type(item), item.get("description", ""))))
        yield from wrapped(f"{key}: {words}", first=_INDENT * 3, rest=_INDENT * 5)


def _type(schema: Schema) -> str:
    if "const" in schema:
        return str(schema["const"]).lower()
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return "list"
    if schema.get("type") == "object":
        return "object by name" if isinstance(schema.get("additionalProperties"), dict) else "object"
    return _KINDS.get(str(schema.get("type")), "value")
