"""The entries of a play's lists: tasks with what stands beside their names, and files of tasks."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from fleetdeploy.config.fields.schema import check, shown
from fleetdeploy.config.playbook.foreign_words import instead_of
from fleetdeploy.config.playbook.includes import Inherited, Reading
from fleetdeploy.config.playbook.schema import IncludeKeywords, TaskKeywords
from fleetdeploy.config.syntax.nodes import Entry, ListNode, MapNode, Node, Placed, Scalar
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.playbook import TaskCall
from fleetdeploy.errors import Problem

INCLUDES = ("include_tasks", "import_tasks")
"""Both are read before the run begins: what a file of tasks holds never depends on how the run goes."""


def tasks_of(play: Node, key: str, reading: Reading, around: Inherited) -> tuple[TaskCall, ...]:
    """The tasks under ``key``, those of included files in their places."""
    body = play.get(key) if isinstance(play, MapNode) else None
    if not isinstance(body, ListNode):
        return ()  # the play's schema has said so
    return tuple(_all(body, reading, around))


def _all(body: ListNode, reading: Reading, around: Inherited) -> Iterator[TaskCall]:
    for item in body.items:
        yield from _task(item, reading, around)


def _task(node: Node, reading: Reading, around: Inherited) -> Iterator[TaskCall]:
    """``name``, ``name:`` or ``name: {arguments}``, with the keywords of a task beside the name."""
    problems = reading.problems
    if isinstance(node, Scalar) and isinstance(node.value, str):
        entry, keywords = Entry(node, MapNode({}, node.origin)), MapNode({}, node.origin)
    else:
        found = _split(node, reading)
        if found is None:
            return
        entry, keywords = found
    key = entry.key
    if key.value in INCLUDES:
        beside = check(IncludeKeywords, keywords, problems)
        when = reading.when(beside.when, keywords.get("when")) if beside else ()
        mine = around.and_also(beside.tags, when, beside.environment) if beside else around
        file = reading.include(entry.value, mine, what="task file")
        if file is not None:
            yield from _all(file[0], reading, file[1])
        return
    if key.value not in reading.task_names:
        hint = instead_of(key.raw) or hint_for(key.raw, reading.task_names, what="tasks", most=30)
        problems.append(Problem(f"unknown task {key.raw!r}", str(key.origin), hint))
        return
    arguments = _arguments(entry, problems)
    fields = check(TaskKeywords, keywords, problems)
    if arguments is None or fields is None:
        return
    mine = around.and_also(fields.tags, reading.when(fields.when, keywords.get("when")), fields.environment)
    yield TaskCall(
        str(key.value),
        Placed(arguments),
        key.origin,
        label=fields.name,
        tags=mine.tags,
        when=mine.when,
        run_once=fields.run_once,
        delegate_to=fields.delegate_to,
        environment=mine.environment,
        sets_environment=bool(fields.environment),
    )


def _split(node: Node, reading: Reading) -> tuple[Entry, MapNode] | None:
    """The entry that names the task, and the keywords beside it; a task has exactly one name."""
    entries = list(node) if isinstance(node, MapNode) else []
    keywords: dict[Hashable, Entry] = {
        entry.key.value: entry for entry in entries if entry.key.value in TaskKeywords.model_fields
    }
    names = [entry for entry in entries if entry.key.value not in keywords]
    known = [entry for entry in names if entry.key.value in (*reading.task_names, *INCLUDES)]
    if len(known) == 1 and len(names) > 1:
        for entry in names:
            if entry not in known:
                word = entry.key.raw
                hint = instead_of(word) or hint_for(word, TaskKeywords.model_fields, what="keys beside a task's name")
                reading.problems.append(Problem(f"unknown key {word!r}", str(entry.key.origin), hint))
        return None
    if len(names) > 1 and (foreign := [entry for entry in names if instead_of(entry.key.raw)]):
        reading.problems += (
            Problem(f"unknown key {entry.key.raw!r}", str(entry.key.origin), instead_of(entry.key.raw))
            for entry in foreign
        )
        return None
    if len(names) != 1:
        found = " and ".join(repr(entry.key.raw) for entry in names or entries) or shown(node)
        reading.problems.append(
            Problem(
                f"a task is one name, with arguments or without; got {found}",
                str(node.origin),
                f"start each task with `- `; tasks: {', '.join(sorted(reading.task_names))}",
            )
        )
        return None
    return names[0], MapNode(keywords, node.origin)


def _arguments(entry: Entry, problems: list[Problem]) -> MapNode | None:
    key, body = entry.key, entry.value
    if isinstance(body, MapNode):
        return body
    if isinstance(body, Scalar) and body.is_null:
        return MapNode({}, body.origin)
    problems.append(
        Problem(
            f"{key.raw}: the arguments of a task are a mapping, got {shown(body)}",
            str(body.origin),
            f"write `{key.raw}: {{argument: value}}`",
        )
    )
    return None
