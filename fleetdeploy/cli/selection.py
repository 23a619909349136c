"""``--tags`` and its relatives, and the lists of hosts and tasks that are printed without contacting a host."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fleetdeploy.config.playbook.selection import Selection
from fleetdeploy.errors import InputError

if TYPE_CHECKING:
    from fleetdeploy.domain.playbook import Playbook
    from fleetdeploy.rollout.bound_play import BoundPlay


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
    from fleetdeploy.cli.project import print_json, read_inventory, read_plays

    playbook, plays = read_plays(arguments, read_inventory(arguments))
    if arguments.json:
        print_json({"playbook": playbook.path, "plays": [_as_json(bound, arguments) for bound in plays]})
        return 0
    for line in _lines(playbook, plays, arguments):
        print(line)
    return 0


def _lines(playbook: Playbook, plays: Sequence[BoundPlay], arguments: argparse.Namespace) -> Iterator[str]:
    yield f"playbook: {playbook.path}"
    if not (arguments.list_hosts or arguments.list_tasks):
        return
    for number, bound in enumerate(plays, 1):
        play = bound.play
        yield ""
        yield f"  play #{number} ({play.hosts}): {play.name}\tTAGS: [{', '.join(play.tags)}]"
        if arguments.list_hosts:
            yield f"    pattern: {play.hosts}"
            yield f"    hosts ({len(bound.hosts)}):"
            yield from (f"      {name}" for name in bound.hosts)
        if arguments.list_tasks:
            yield "    tasks:"
            for call in play.all_tasks:
                yield f"      {call.title}\tTAGS: [{', '.join(call.tags)}]"


def _as_json(bound: BoundPlay, arguments: argparse.Namespace) -> Mapping[str, object]:
    play = bound.play
    found: dict[str, object] = {"name": play.name, "pattern": play.hosts, "tags": list(play.tags)}
    if arguments.list_hosts:
        found["hosts"] = list(bound.hosts)
    if arguments.list_tasks:
        found["tasks"] = [
            {"name": call.title, "task": call.name, "tags": list(call.tags), "always": call in play.always}
            for call in play.all_tasks
        ]
    return found
