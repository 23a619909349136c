"""Playbooks: a list of plays, each with hosts, waves, a failure budget and tasks.

Which tasks exist is known a floor above; their names come in, and their arguments stay plain mappings that know their
places (:class:`fleetdeploy.config.syntax.nodes.Placed`), for the task's own schema to check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fleetdeploy.config.fields.schema import check, shown
from fleetdeploy.config.playbook.includes import Inherited, Reading
from fleetdeploy.config.playbook.schema import IncludeKeywords, PlayFields
from fleetdeploy.config.playbook.tasks import tasks_of
from fleetdeploy.config.reserved.names import BALANCER, GPUS, SERVICES
from fleetdeploy.config.syntax.nodes import ListNode, MapNode, Node, Scalar, origin_of
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.domain.playbook import Order, Play, Playbook, Quantity
from fleetdeploy.domain.secret import holds_secret
from fleetdeploy.errors import InputError, Problem

IMPORT = "import_playbook"


def load_playbook(
    path: Path, *, task_names: Collection[str], project: Path | None = None, secrets: Secrets | None = None
) -> Playbook:
    """The plays of a file. Raises InputError with every problem; task arguments are not checked here.

    Files that it includes lie below ``project``, or below the playbook's own folder where that is somewhere else.
    ``secrets`` makes secrets of what ``environment`` holds; without it there are none.
    """
    path = Path(path)
    reading = Reading(_root(path, project), tuple(task_names), secrets=secrets)
    root = reading.load(path, what="playbook")
    if (isinstance(root, Scalar) and root.is_null) or (isinstance(root, ListNode) and not root.items):
        raise InputError("the playbook has no plays", where=str(path), hint="write `- hosts: all`, below it `tasks:`")
    if not isinstance(root, ListNode):
        raise InputError(
            f"a playbook is a list of plays, got {shown(root)}",
            where=str(root.origin),
            hint="start each play with `- `",
        )
    plays = tuple(_plays(root, reading, Inherited((path,))))
    if reading.problems:
        raise InputError(problems=_once(reading.problems))
    return Playbook(str(path), tuple(replace(play, number=number) for number, play in enumerate(plays, 1)))


def _once(problems: Sequence[Problem]) -> Iterator[Problem]:
    """The problems, less those that are told with a longer path already: of a play, and once more of its task."""
    at: dict[str, list[str]] = {}
    for problem in problems:
        at.setdefault(problem.where, []).append(problem.message)
    for problem in dict.fromkeys(problems):
        if not any(message.endswith(f".{problem.message}") for message in at[problem.where]):
            yield problem


def _root(path: Path, project: Path | None) -> Path:
    own = path.resolve().parent
    top = project.resolve() if project is not None else own
    return top if own.is_relative_to(top) else own


def _plays(root: ListNode, reading: Reading, around: Inherited) -> Iterator[Play]:
    for index, node in enumerate(root.items):
        what = f"play {index + 1}"
        if isinstance(node, MapNode) and IMPORT in node.entries:
            yield from _imported(node, what, reading, around)
        elif (play := _play(node, what, reading, around)) is not None:
            yield play


def _imported(node: MapNode, what: str, reading: Reading, around: Inherited) -> Iterator[Play]:
    rest = MapNode({key: entry for key, entry in node.entries.items() if key != IMPORT}, node.origin)
    fields = check(IncludeKeywords, rest, reading.problems, what=what)
    when = reading.when(fields.when, rest.get("when")) if fields else ()
    mine = around.and_also(fields.tags, when, fields.environment) if fields else around
    file = reading.include(node.entries[IMPORT].value, mine, what="playbook")
    if file is not None:
        yield from _plays(file[0], reading, file[1])


def _play(node: Node, what: str, reading: Reading, around: Inherited) -> Play | None:
    known = len(reading.problems)
    node = _without_conditions(node, what, reading.problems)
    fields = check(PlayFields, node, reading.problems, what=what)
    if fields is not None:
        reading.problems += _contradictions(fields, node, what)
        around = around.and_also(fields.tags, environment=fields.environment)
    tasks = tasks_of(node, "tasks", reading, around)
    always = tasks_of(node, "always", reading, around)
    rescue = tasks_of(node, "rescue", reading, around)
    if fields is None or len(reading.problems) > known:
        return None
    return Play(
        name=fields.name or fields.hosts,
        hosts=fields.hosts,
        tasks=tasks,
        serial=fields.serial,
        max_unavailable=fields.max_unavailable,
        # Reaching the percentage stops the rollout, so 0 is the first failure.
        max_fail_percentage=0 if fields.any_errors_fatal else fields.max_fail_percentage or 0,
        soak_s=fields.soak,
        confirm_timeout_s=fields.confirm_timeout,
        on_failure=fields.on_failure,
        always=always,
        rescue=rescue,
        origin=node.origin,
        hosts_origin=origin_of(node, ("hosts",)),
        tags=around.tags,
        order=fields.order,
        seed=fields.seed or 0,
        spread=fields.spread or "",
        min_available=fields.min_available or Quantity(0),
        variables=dict(fields.vars),
    )


def _without_conditions(node: Node, what: str, problems: list[Problem]) -> Node:
    """The play without `when`, which it cannot have, and which Ansible's users look for all the same."""
    if not isinstance(node, MapNode) or "when" not in node.entries:
        return node
    problems.append(
        Problem(
            f"{what}.when: a play has no conditions, as in Ansible",
            str(node.entries["when"].key.origin),
            "choose its hosts by `hosts`, such as `gpu:&canary`, or put its tasks into a file, and "
            "`include_tasks: FILE` with `when` beside it",
        )
    )
    return MapNode({key: entry for key, entry in node.entries.items() if key != "when"}, node.origin)


def _contradictions(fields: PlayFields, node: Node, what: str) -> Iterator[Problem]:
    """Keys of a play that do not go together, each with its place."""

    def at(key: str) -> str:
        entry = node.entries.get(key) if isinstance(node, MapNode) else None
        return str(entry.key.origin if entry else node.origin)

    if fields.order is Order.SHUFFLE and fields.seed is None:
        hint = "add `seed: 1`; the same seed gives the same order, so that what is planned is what is done"
        yield Problem(f"{what}.order: shuffle needs a seed", at("order"), hint)
    if fields.order is not Order.SHUFFLE and fields.seed is not None:
        yield Problem(
            f"{what}.seed: only the order shuffle has a seed", at("seed"), "write `order: shuffle`, or remove it"
        )
    if fields.any_errors_fatal and fields.max_fail_percentage:
        hint = "remove one of the two"
        yield Problem(
            f"{what}.max_fail_percentage: any_errors_fatal stops at the first failure already",
            at("any_errors_fatal"),
            hint,
        )
    if fields.any_errors_fatal is False and not fields.max_fail_percentage:
        yield Problem(
            f"{what}.any_errors_fatal: without max_fail_percentage the first failure stops the rollout all the same",
            at("any_errors_fatal"),
            "say with `max_fail_percentage` how many may fail, or remove any_errors_fatal",
        )
    for name in fields.vars:
        if holds_secret(fields.vars[name]):
            body = node.get("vars") if isinstance(node, MapNode) else None
            secret = body.entries[name].value.origin if isinstance(body, MapNode) else node.origin
            hint = "of a playbook, only `environment` may hold secrets; others belong into the inventory"
            yield Problem(f"{what}.vars.{name}: a secret cannot stand here", str(secret), hint)
        if name in {BALANCER, GPUS, SERVICES} or name.startswith("ansible_"):
            entry = node.get("vars") if isinstance(node, MapNode) else None
            place = entry.entries[name].key.origin if isinstance(entry, MapNode) else node.origin
            yield Problem(
                f"{what}.vars: {name} is set in the inventory only",
                str(place),
                "a playbook's variables are for templates; how hosts are reached and what they run is the inventory's",
            )
