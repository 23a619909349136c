"""Playbooks: a list of plays, each with hosts, waves, a failure budget and tasks.

Which tasks exist is known a floor above; their names come in, and their arguments stay plain mappings that know their
places (:class:`fleetdeploy.config.syntax.nodes.Placed`), for the task's own schema to check.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from fleetdeploy.config.fields.schema import check, shown
from fleetdeploy.config.playbook.schema import PlayFields
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import ListNode, MapNode, Node, Placed, Scalar
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.playbook import Play, Playbook, TaskCall
from fleetdeploy.errors import InputError, Problem


def load_playbook(path: Path, *, task_names: Collection[str]) -> Playbook:
    """The plays of a file. Raises InputError with every problem; task arguments are not checked here."""
    root = yaml.load(Path(path), what="playbook")
    problems: list[Problem] = []
    plays: list[Play] = []
    if (isinstance(root, Scalar) and root.is_null) or (isinstance(root, ListNode) and not root.items):
        raise InputError("the playbook has no plays", where=str(path), hint="write `- hosts: all`, below it `tasks:`")
    if not isinstance(root, ListNode):
        raise InputError(
            f"a playbook is a list of plays, got {shown(root)}",
            where=str(root.origin),
            hint="start each play with `- `",
        )
    for index, node in enumerate(root.items):
        play = _play(node, f"play {index + 1}", task_names, problems)
        if play is not None:
            plays.append(play)
    if problems:
        raise InputError(problems=problems)
    return Playbook(str(path), tuple(plays))


def _play(node: Node, what: str, task_names: Collection[str], problems: list[Problem]) -> Play | None:
    fields = check(PlayFields, node, problems, what=what)
    tasks = _tasks(node, "tasks", task_names, problems)
    always = _tasks(node, "always", task_names, problems)
    if fields is None:
        return None
    return Play(
        name=fields.name or fields.hosts,
        hosts=fields.hosts,
        tasks=tasks,
        serial=fields.serial,
        max_unavailable=fields.max_unavailable,
        max_fail_percentage=fields.max_fail_percentage,
        soak_s=fields.soak,
        on_failure=fields.on_failure,
        always=always,
        origin=node.origin,
    )


def _tasks(play: Node, key: str, task_names: Collection[str], problems: list[Problem]) -> tuple[TaskCall, ...]:
    body = play.get(key) if isinstance(play, MapNode) else None
    if not isinstance(body, ListNode):
        return ()  # the play's schema has said so
    calls = (_task(item, task_names, problems) for item in body.items)
    return tuple(call for call in calls if call is not None)


def _task(node: Node, task_names: Collection[str], problems: list[Problem]) -> TaskCall | None:
    """``name``, ``name:`` or ``name: {arguments}``."""
    empty = MapNode({}, node.origin)
    if isinstance(node, Scalar) and isinstance(node.value, str):
        key, arguments = node, empty
    elif isinstance(node, MapNode) and len(node.entries) == 1:
        (entry,) = node
        key, body = entry.key, entry.value
        if isinstance(body, MapNode):
            arguments = body
        elif isinstance(body, Scalar) and body.is_null:
            arguments = empty
        else:
            problems.append(
                Problem(
                    f"{key.raw}: the arguments of a task are a mapping, got {shown(body)}",
                    str(body.origin),
                    f"write `{key.raw}: {{argument: value}}`",
                )
            )
            return None
    else:
        found = " and ".join(repr(entry.key.raw) for entry in node) if isinstance(node, MapNode) else shown(node)
        problems.append(
            Problem(
                f"a task is one name, with arguments or without; got {found}",
                str(node.origin),
                f"start each task with `- `; tasks: {', '.join(sorted(task_names))}",
            )
        )
        return None
    if key.value not in task_names:
        problems.append(
            Problem(f"unknown task {key.raw!r}", str(key.origin), hint_for(key.raw, task_names, what="tasks", most=30))
        )
        return None
    return TaskCall(str(key.value), Placed(arguments), key.origin)
