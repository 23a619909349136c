"""JSON Schemas of what people write, for editors: playbooks here, inventories in the module beside this one.

They are made of the same pydantic models that check the files, so they cannot say anything else; but they say less.
What only the whole project can tell (names that exist, values that come together from several files, how a number was
written) is left to ``fleetdeploy validate``. Only keywords that mean the same in draft 7, which every version of the
YAML language server takes, and in draft 2020-12 are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from fleetdeploy.config.fields.durations import written_duration
from fleetdeploy.config.playbook.load import IMPORT
from fleetdeploy.config.playbook.schema import IncludeKeywords, PlayFields, TaskKeywords
from fleetdeploy.config.playbook.tasks import INCLUDES
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.domain.service import GpuRequest

Schema = dict[str, Any]
TEMPLATE = r"\{\{"
"""An expression anywhere in a text: what it gives is only known when a host's variables are put together."""
_WORDS = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
DRAFT = "http://json-schema.org/draft-07/schema#"


@dataclass(frozen=True)
class TaskShape:
    """What a schema has to know of a task: ``required`` are the arguments that a playbook has to give."""

    name: str
    summary: str
    arguments: type[BaseModel]
    required: tuple[str, ...]
    once: bool
    delegable: bool
    commanded: bool


class _Written(GenerateJsonSchema):
    """Pydantic's schema, less titles that repeat the key, with defaults as they would stand in a file."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, float):
            return written_duration(dft)  # every field that is no whole number is a time
        if isinstance(dft, Quantity):
            return str(dft) if dft.percent else dft.amount
        if isinstance(dft, GpuRequest):
            return "none"
        return dft.value if isinstance(dft, Enum) else super().encode_default(dft)


def fields_schema(model: type[BaseModel]) -> Schema:
    """The schema of one model; everything it refers to stands in its ``$defs``."""
    schema = model.model_json_schema(schema_generator=_Written)
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
        _tidy(part)
    return schema


def _tidy(schema: Schema) -> None:
    """Names of a mapping as ``propertyNames``, so that a wrong one is an error; no defaults that say nothing."""
    for value in schema.get("properties", {}).values():
        if value.get("default", ...) in ("", None, [], {}):
            del value["default"]
        named = value.get("patternProperties", {})
        if value.get("type") == "object" and len(named) == 1:
            ((pattern, inner),) = value.pop("patternProperties").items()
            value["propertyNames"] = {"pattern": pattern}
            value["additionalProperties"] = inner


def readable(schema: Schema) -> Schema:
    """The schema with words for an editor to show instead of a pattern that was not met (a keyword of its server)."""
    for part in _inner(schema):
        if isinstance(part.get("pattern"), str):
            types = part.get("type", [])
            words = [
                _WORDS[item]
                for item in ([types] if isinstance(types, str) else types)
                if item != "null" and (item != "string" or part["pattern"] != TEMPLATE)
            ]
            kind = part.get("title") or " or ".join(words) or "name"
            why = part.get("description", "").replace("``", "`")
            part["patternErrorMessage"] = f"expected {kind}: {why}" if why else f"expected {kind}"
    return schema


def _inner(value: Any) -> Iterator[Schema]:
    """Every schema in a schema; a property that is called ``pattern`` holds no text, and is passed over by that."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _inner(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _inner(inner)


def playbook_schema(tasks: Mapping[str, TaskShape]) -> Schema:
    """A playbook: plays with ``tasks``, and other playbooks in their places."""
    play = fields_schema(PlayFields)
    entry = {"$ref": "#/$defs/task"}
    for key in ("tasks", "rescue", "always"):
        play["properties"][key]["items"] = entry
    play["description"] = "One play: hosts, how many at once, and what is done on each."
    imported = fields_schema(IncludeKeywords)
    imported["description"] = "The plays of another file, in this place."
    imported["properties"][IMPORT] = _FILE
    imported["required"] = [IMPORT]
    return {
        "$schema": DRAFT,
        "title": "fleetdeploy playbook",
        "description": "A list of plays.",
        "type": "array",
        "minItems": 1,
        "items": {
            "if": {"required": [IMPORT]},
            "then": {"$ref": "#/$defs/import"},
            "else": {"$ref": "#/$defs/play"},
        },
        "$defs": {"play": play, "import": imported, "task": _entry(tasks), **_arguments_of(tasks)},
    }


def tasks_schema(tasks: Mapping[str, TaskShape]) -> Schema:
    """A file of tasks, as ``include_tasks`` names it."""
    return {
        "$schema": DRAFT,
        "title": "fleetdeploy tasks",
        "description": "A list of tasks, for include_tasks.",
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/$defs/task"},
        "$defs": {"task": _entry(tasks), **_arguments_of(tasks)},
    }


_FILE: Schema = {
    "description": "a file, relative to this one",
    "type": "string",
    "minLength": 1,
}


def _entry(tasks: Mapping[str, TaskShape]) -> Schema:
    """``name``, or a mapping of one task's name and what stands beside it."""
    keywords = fields_schema(TaskKeywords)["properties"]
    bare = [name for name, task in tasks.items() if not task.required]
    names = {
        name: {"description": task.summary, **_mapping_or_nothing(name, nothing=not task.required)}
        for name, task in tasks.items()
    }
    includes = {name: {**_FILE, "description": "the tasks of a file, relative to this one"} for name in INCLUDES}
    return {
        "description": "One task, by its name alone or with arguments.",
        "type": ["string", "object"],
        "if": {"type": "string"},
        "then": {"enum": bare},
        "else": {
            "properties": {**names, **includes, **keywords},
            "additionalProperties": False,
            "oneOf": [*map(_beside_task, tasks.values()), *map(_beside_include, INCLUDES)],
        },
    }


def _mapping_or_nothing(name: str, *, nothing: bool) -> Schema:
    reference = {"$ref": f"#/$defs/{name}_arguments"}
    return {"anyOf": [reference, {"type": "null"}]} if nothing else {"allOf": [reference]}


def _beside_task(task: TaskShape) -> Schema:
    """The one task of an entry, and which keywords do not go with it."""
    schema: Schema = {"required": [task.name]}
    refused = {
        **({} if task.once else {"run_once": {"enum": [False]}}),
        **({} if task.delegable else {"delegate_to": False}),
        **({} if task.commanded else {"environment": False}),
    }
    return {**schema, "properties": refused} if refused else schema


def _beside_include(name: str) -> Schema:
    alien = TaskKeywords.model_fields.keys() - IncludeKeywords.model_fields.keys()
    return {"required": [name], "properties": dict.fromkeys(sorted(alien), False)}


def _arguments_of(tasks: Mapping[str, TaskShape]) -> dict[str, Schema]:
    found = {}
    for name, task in tasks.items():
        schema = fields_schema(task.arguments)
        schema["description"] = task.summary
        if task.required:
            schema["required"] = list(task.required)
        found[f"{name}_arguments"] = _moved(schema, f"#/$defs/{name}_arguments")
    return found


def _moved(value: Any, place: str) -> Any:
    """A schema that stands at ``place`` and not on top, with its own ``$defs`` in it: the references follow."""
    if isinstance(value, dict):
        moved = {key: _moved(item, place) for key, item in value.items()}
        return {**moved, "$ref": place + value["$ref"][1:]} if isinstance(value.get("$ref"), str) else moved
    return [_moved(item, place) for item in value] if isinstance(value, list) else value
