"""What a task is for, what it takes and how it is undone, out of its own file: the words and the schema there."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleetdeploy.config.json_schema import TaskShape, fields_schema
from fleetdeploy.config.playbook import facts
from fleetdeploy.tasks import registry
from fleetdeploy.tasks.step import Task, required_of

WIDTH = 80
_INDENT = "  "
_ROLE = re.compile(r":\w+:`[~.\w]*?(\w+)`")
_KINDS = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "object": "mapping",
    "string": "text",
}
_POINT = re.compile(r"\n(?=(?:\d+\.|[-*]) )")
_MARK = re.compile(r"(?:\d+\.|[-*]) ")
_EXAMPLE = re.compile(r"``([^`]*)``", re.DOTALL)


@dataclass(frozen=True)
class Argument:
    """One argument: what may stand there, and what does when nothing is written."""

    name: str
    kind: str
    default: str
    required: bool
    meaning: str


def shape_of(task: Task) -> TaskShape:
    """What the schema of playbooks has to know of a task."""
    return TaskShape(
        task.name, summary(task), task.arguments, required_of(task), task.per_host, task.delegable, bool(task.commands)
    )


def summary(task: Task) -> str:
    """What the task does, in one line."""
    first = _said(sys.modules[type(task).__module__]).partition("\n\n")[0]
    return " ".join(first.partition(":")[2].split()) if ":" in first else " ".join(first.split())


def undo(task: Task) -> str:
    """How the task is undone, or why it is not."""
    return f"Nothing to undo: {task.no_undo}" if task.no_undo else _said(type(task).undo)


def example(task: Task) -> str:
    """The task as an entry of a play."""
    found = _EXAMPLE.search(_said(task.arguments))
    written = found[1] if found and found[1].startswith(f"{task.name}:") else f"{task.name}:"
    return f"- {written}"


def arguments(task: Task) -> tuple[Argument, ...]:
    """The task's arguments, as its schema has them."""
    schema = fields_schema(task.arguments)
    required = {*required_of(task), *schema.get("required", ())}
    return tuple(
        Argument(
            name,
            kind_of(part),
            "" if name in required else written(part["default"]) if "default" in part else "",
            name in required,
            str(part.get("description", "")),
        )
        for name, part in schema["properties"].items()
    )


def kind_of(schema: Mapping[str, Any]) -> str:
    """What a value is, in words."""
    if "title" in schema:
        return str(schema["title"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(kind_of(part) for part in schema["anyOf"] if part.get("type") != "null")
    types = schema.get("type", "value")
    kind = " or ".join(_KINDS.get(item, item) for item in ([types] if isinstance(types, str) else types))
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{kind} from {least} to {most}"
    if schema.get("items", {}).get("type") == "string":
        return f"{kind} of texts"
    return f"{kind} from {least}" if least is not None else kind


def written(value: object) -> str:
    """A default as it would stand in a playbook."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def overview(tasks: Mapping[str, Task]) -> Iterator[str]:
    """Every task with the first sentence of its summary."""
    wide = max(map(len, tasks))
    for name in sorted(tasks):
        sentence = summary(tasks[name]).partition(". ")[0].removesuffix(".")
        yield from wrapped(sentence, first=f"{name:{wide}}  ", rest=" " * (wide + 2))


def other_pages(pages: Mapping[str, str]) -> Iterator[str]:
    """What else has a page, below the tasks: its name and what it is about."""
    wide = max(map(len, pages))
    yield from ("", "and, by `fleetdeploy docs NAME`:")
    for name, about in pages.items():
        yield from wrapped(about, first=f"{_INDENT}{name:{wide}}  ", rest=" " * (wide + 4))


def page(task: Task) -> Iterator[str]:
    """All that is to be known about one task, in lines of at most 80 columns."""
    yield from wrapped(f"{task.name}: {summary(task)}")
    more = [*_said(sys.modules[type(task).__module__]).split("\n\n")[1:], *_said(type(task)).split("\n\n")]
    for paragraph in more:
        yield ""
        yield from _paragraph(paragraph)
    yield from ("", "arguments:")
    for argument in arguments(task):
        usual = "required" if argument.required else f"default {argument.default}" if argument.default else "optional"
        yield from wrapped(f"{argument.name}: {argument.kind}, {usual}", first=_INDENT, rest=_INDENT * 3)
        yield from wrapped(argument.meaning, first=_INDENT * 2, rest=_INDENT * 2)
    if not task.arguments.model_fields:
        yield f"{_INDENT}none"
    yield from ("", "undo:")
    for paragraph in undo(task).split("\n\n"):
        yield from wrapped(paragraph, first=_INDENT, rest=_INDENT)
    yield from ("", "may stand beside it:")
    yield from wrapped(", ".join(_beside(task)), first=_INDENT, rest=_INDENT)
    if task.optional:
        yield f"{_INDENT}`when` may ask for facts: see `fleetdeploy docs facts`"
    yield from ("", "example:")
    yield from textwrap.indent(example(task), _INDENT).splitlines()


def facts_page() -> Iterator[str]:
    """What conditions can ask of a host, path by path, in lines of at most 80 columns."""
    yield from wrapped(
        "facts: what a host was seen to have, for `when` beside "
        + ", ".join(f"`{name}`" for name, task in sorted(registry().items()) if task.optional)
    )
    yield ""
    for text in _said(facts).split("\n\n")[1:]:
        yield from wrapped(text)
        yield ""
    for path, meaning in facts.lines():
        yield from wrapped(f"{path}: {meaning}", first=_INDENT, rest=_INDENT * 3)
    yield from ("", "example:", f"{_INDENT}when: facts.gpus | length > 4 and facts.docker is not none")


def as_json(task: Task) -> dict[str, object]:
    """The same for programs."""
    return {
        "name": task.name,
        "summary": summary(task),
        "arguments": [vars(argument) for argument in arguments(task)],
        "undo": undo(task),
        "undoes": not task.no_undo,
        "touches_traffic": task.touches_traffic,
        "beside": list(_beside(task)),
        "facts": task.optional,
        "example": example(task),
    }


def _beside(task: Task) -> tuple[str, ...]:
    may = (("run_once", task.per_host), ("delegate_to", task.delegable), ("environment", bool(task.commands)))
    return ("name", "tags", "when", *(word for word, allowed in may if allowed))


def _said(thing: object) -> str:
    """A docstring as plain text."""
    return _ROLE.sub(r"\1", inspect.getdoc(thing) or "")


def _paragraph(text: str) -> Iterator[str]:
    """Wrapped; each point of a list by itself, an example in a block of its own as it stands."""
    if text.startswith(" "):
        yield from text.splitlines()
        return
    for part in _POINT.split(text):
        indent = _MARK.match(part)
        first = indent[0] if indent else ""
        yield from wrapped(part[len(first) :], first=first, rest=" " * len(first))


def wrapped(text: str, *, first: str = "", rest: str = "") -> Iterator[str]:
    """A text in lines of at most 80 columns, the first of which begins with ``first`` and all others with ``rest``."""
    text = " ".join(text.split()).replace("``", "`")
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=True
    )
