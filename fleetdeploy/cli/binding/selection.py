"""``--tags`` and its relatives, and the lists of hosts and tasks that are printed without contacting a host."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetdeploy.config.playbook.selection import NEVER, Selection
from fleetdeploy.errors import InputError

if TYPE_CHECKING:
    from fleetdeploy.domain.playbook import Play, Playbook


def selection_of(arguments: argparse.Namespace) -> Selection:
    """What the options ask for; a command without them asks for everything."""
    return Selection(
        tags=_words(getattr(arguments, "tags", ()), "--tags"),
        skip_tags=_words(getattr(arguments, "skip_tags", ()), "--skip-tags"),
        start_at=getattr(arguments, "start_at_task", ""),
    )


def _words(given: Sequence[str], option: str) -> tuple[str, ...]:
    words = tuple(word.strip() for text in given for word in text.split(","))
    if not all(words):
        raise InputError(f"{option}: a tag is empty", where="command line", hint="write tags with commas: t1,t2")
    return words


def run(arguments: argparse.Namespace) -> int:
    """Print what was asked for, in the layout of ``ansible-playbook``. Exit code 0, or an InputError."""
    from fleetdeploy.cli.binding.project import print_json, read_inventory, read_playbook, read_plays

    tagged = read_playbook(arguments, _with_never(arguments), every_play=True) if arguments.list_tags else None
    listed: list[_Listed]
    if tagged is not None and not (arguments.list_hosts or arguments.list_tasks):
        playbook, listed = tagged, [_Listed(play) for play in tagged.plays]
    else:
        playbook, plays = read_plays(arguments, read_inventory(arguments), every_play=True)
        listed = [_Listed(bound.play, bound.hosts) for bound in plays]
    if tagged is not None:
        tags = {play.number: _task_tags(play) for play in tagged.plays}
        listed = [replace(item, task_tags=tags[item.play.number]) for item in listed]
    if arguments.json:
        print_json({"playbook": playbook.path, "plays": [_as_json(item, arguments) for item in listed]})
        return 0
    for line in _lines(playbook, listed, arguments):
        print(line)
    return 0


@dataclass(frozen=True)
class _Listed:
    """What there is to say about a play."""

    play: Play
    hosts: tuple[str, ...] = ()
    task_tags: tuple[str, ...] = ()


def _with_never(arguments: argparse.Namespace) -> Selection:
    """What was asked for; without any tags all tasks, as in Ansible those too that only run when they are named."""
    selection = selection_of(arguments)
    return selection if selection.tags or selection.skip_tags else replace(selection, tags=("all", NEVER))


def _task_tags(play: Play) -> tuple[str, ...]:
    """Every tag that any task of the play has, and as in Ansible those of the play also where no task is meant."""
    return tuple(sorted({*play.tags, *(tag for call in play.all_tasks for tag in call.tags)}))


def _lines(playbook: Playbook, listed: Sequence[_Listed], arguments: argparse.Namespace) -> Iterator[str]:
    yield f"playbook: {playbook.path}"
    if not (arguments.list_hosts or arguments.list_tasks or arguments.list_tags):
        return
    for item in listed:
        play = item.play
        yield ""
        yield f"  play #{play.number} ({play.hosts}): {play.name}\tTAGS: [{', '.join(play.tags)}]"
        if arguments.list_hosts:
            yield f"    pattern: {play.hosts}"
            yield f"    hosts ({len(item.hosts)}):"
            yield from (f"      {name}" for name in item.hosts)
        if arguments.list_tasks:
            yield "    tasks:"
            for call in play.all_tasks:
                yield f"      {call.title}\tTAGS: [{', '.join(sorted(call.tags))}]"
        if arguments.list_tags:
            yield f"      TASK TAGS: [{', '.join(item.task_tags)}]"


def _as_json(item: _Listed, arguments: argparse.Namespace) -> Mapping[str, object]:
    play = item.play
    found: dict[str, object] = {
        "name": play.name,
        "number": play.number,
        "pattern": play.hosts,
        "tags": list(play.tags),
    }
    if arguments.list_hosts:
        found["hosts"] = list(item.hosts)
    if arguments.list_tasks:
        found["tasks"] = [
            {"name": call.title, "task": call.name, "tags": list(call.tags), "always": call in play.always}
            for call in play.all_tasks
        ]
    if arguments.list_tags:
        found["task_tags"] = list(item.task_tags)
    return found
