"""The JSON Schema of one line of ``--events`` and of a journal."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.domain.events import Kind
from fleetdeploy.report.contract.kinds import KINDS, is_written
from fleetdeploy.report.contract.shape import ALWAYS, NEVER, Shape
from fleetdeploy.report.schema_words import described, document, exactly, number_of, one_of, ref, text, with_optional

_SAID = r"^[0-9a-f]{32}$"


def event_schema(*, closed: bool = False) -> Schema:
    """Of every line, with what each kind tells; ``closed`` is the form for writers."""
    kinds = [kind for kind in Kind if is_written(kind)]
    named = [kind.value for kind in kinds]
    words = "what it tells of: " + ", ".join(named)
    line = with_optional(
        exactly(
            n=described({"type": "integer", "minimum": 1}, "its number in its run, from 1"),
            time_s=number_of("Unix time"),
            kind=one_of(*named, description=words)
            if closed
            else text(f"{words}; pass over any other, of a newer version"),
            run=text("the run's id"),
            prev=_hash("the hash of the run's line before; empty for the first", or_empty=True),
            hash=_hash('of this line up to here: the first 32 digits of the SHA-256 of all before `, "hash"`'),
        ),
        host=text("the host that it is about; left out where it is about none"),
        task=text("the task that it is about; left out where it is about none"),
        message=text("for people: no program should read it; left out where there is none"),
        data=described({"type": "object"}, "what it tells, by its kind; left out where it tells nothing more"),
    )
    each = [{"if": {"properties": {"kind": {"const": kind.value}}}, "then": ref(kind.value)} for kind in kinds]
    definitions = {kind.value: _of(KINDS[kind], closed=closed) for kind in kinds}
    return document(
        "fleetdeploy event",
        "One line of the file of `--events`, and of a run's journal. Lines of several runs may stand in one file.",
        {**line, "allOf": each},
        closed=closed,
        **definitions,
    )


def _of(shape: Shape, *, closed: bool) -> Schema:
    """What a line of one kind has, beyond what every line has."""
    required = [name for name in ("host", "task") if getattr(shape, name) == ALWAYS]
    properties: Schema = {}
    if shape.data or shape.more:
        properties["data"] = with_optional(exactly("", **shape.data), **shape.more)
        required += ["data"] if shape.data else []
    if closed:
        absent = [name for name in ("host", "task") if getattr(shape, name) == NEVER]
        absent += [] if shape.message else ["message"]
        absent += [] if "data" in properties else ["data"]
        properties |= dict.fromkeys(absent, False)
    found: Schema = {"description": shape.when}
    found |= {"required": required} if required else {}
    return found | ({"properties": properties} if properties else {})


def _hash(description: str, *, or_empty: bool = False) -> Schema:
    pattern = r"^([0-9a-f]{32})?$" if or_empty else _SAID
    return described({"type": "string", "pattern": pattern}, description)
