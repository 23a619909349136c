"""From arguments to everything a command works on: inventory, playbook, desired state, fleet."""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from fleetdeploy.cli import extra_vars
from fleetdeploy.config.fields.schema import validate
from fleetdeploy.config.inventory.load import Loaded, load
from fleetdeploy.config.inventory.patterns import select
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.domain.inventory import Host, Inventory
from fleetdeploy.domain.playbook import Play, Playbook, TaskCall
from fleetdeploy.errors import ArtefactRefused, InputError, PatternError, Problem
from fleetdeploy.planning.resolve import Artefacts, resolve_host
from fleetdeploy.remote.clock import SystemClock
from fleetdeploy.remote.inventory_script import InventoryScripts
from fleetdeploy.rollout.executor import BoundPlay
from fleetdeploy.rollout.host_run import Call
from fleetdeploy.rollout.targets import Target, Targets
from fleetdeploy.tasks import registry

DEFAULT_INVENTORY = Path("inventories")
DEFAULT_PLAYBOOK = Path("playbooks/deploy.yml")


@dataclass(frozen=True)
class Project:
    """Everything that is known before any host is contacted."""

    inventory: Inventory
    sources: tuple[Path, ...]
    playbook: Playbook
    plays: tuple[BoundPlay, ...]
    targets: Targets


def sources_of(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """The inventory paths that were given, or the default one."""
    given = arguments.inventory or [str(arguments.project / DEFAULT_INVENTORY)]
    return tuple(Path(item) for item in given)


def playbook_dir_of(arguments: argparse.Namespace) -> Path:
    """Where variable files may stand beside a playbook: of the one that was named, or of the default one."""
    given = getattr(arguments, "playbook_dir", None)
    if given is not None:
        return Path(given)
    return Path(getattr(arguments, "playbook", None) or arguments.project / DEFAULT_PLAYBOOK).parent


def open_inventory(arguments: argparse.Namespace) -> Loaded:
    """The inventory as it is written, with the places of its values."""
    return load(
        sources_of(arguments),
        extra_vars=extra_vars.parse(arguments.extra_vars),
        playbook_dir=playbook_dir_of(arguments),
        run_script=InventoryScripts(),
    )


def read_inventory(arguments: argparse.Namespace) -> Inventory:
    """The inventory, with ``-u`` and ``--private-key`` filled in where it leaves them open."""
    inventory = open_inventory(arguments).inventory
    user, key = getattr(arguments, "user", None), getattr(arguments, "private_key", None)
    hosts = {
        name: replace(
            host,
            connection=replace(
                host.connection,
                user=host.connection.user or user,
                private_key=host.connection.private_key or key,
            ),
        )
        for name, host in inventory.hosts.items()
    }
    _check_balancers(hosts)
    return replace(inventory, hosts=hosts)


def _contactable(inventory: Inventory) -> Inventory:
    """The inventory, for commands that reach its hosts.

    Raises InputError for connection variables that are read but that no connection honours yet: a host must not be
    reached in another way than the inventory says.
    """
    problems = []
    for what, hint, hosts in (
        (
            "ansible_become is read, but commands on hosts are not run through sudo yet",
            "let ansible_user be one that may use Docker and write below the services' directories",
            [name for name, host in inventory.hosts.items() if host.connection.become],
        ),
        (
            "a jump host in ansible_ssh_common_args is read, but not followed yet",
            "write it into ~/.ssh/config as ProxyJump, which is followed",
            [name for name, host in inventory.hosts.items() if host.connection.proxy_jump],
        ),
    ):
        if hosts:
            problems.append(
                Problem(f"{what} ({hosts[0]}, {len(hosts)} in all)", ", ".join(map(str, inventory.sources)), hint)
            )
    if problems:
        raise InputError(problems=problems)
    return inventory


def _check_balancers(hosts: Mapping[str, Host]) -> None:
    problems = {
        Problem(
            f"balancer.host {host.balancer.host!r} is not a host of the inventory",
            hint=hint_for(host.balancer.host, list(hosts), what="hosts"),
        ): None
        for host in hosts.values()
        if host.balancer and host.balancer.host not in hosts
    }
    if problems:
        raise InputError(problems=problems)


def read_status_targets(arguments: argparse.Namespace, pattern: str) -> tuple[Inventory, Targets]:
    """The inventory, and its hosts of ``pattern`` that shall run anything, resolved; no playbook is read."""
    inventory = _contactable(read_inventory(arguments))
    meant = set(select(inventory, pattern, limit=arguments.limit))
    hosts = [host for name, host in inventory.hosts.items() if name in meant and host.services]
    if not hosts:
        raise PatternError(f"no host of {pattern!r} has a service", hint="services are set by the variable `services`")
    return inventory, Targets(resolve(hosts, arguments.project), stamp=_stamp())


def read_project(arguments: argparse.Namespace) -> Project:
    """Load, check and resolve everything. Raises InputError with all problems that can be told at once."""
    inventory = _contactable(read_inventory(arguments))
    path = Path(getattr(arguments, "playbook", None) or arguments.project / DEFAULT_PLAYBOOK)
    playbook = load_playbook(path, task_names=registry().keys())
    plays = tuple(bind(play, inventory, arguments.limit) for play in playbook.plays)
    meant = {name for play in plays for name in play.hosts}
    hosts = [host for name, host in inventory.hosts.items() if name in meant]
    targets = Targets(
        resolve(hosts, arguments.project), stamp=_stamp(), allow_remove=getattr(arguments, "allow_remove", False)
    )
    return Project(inventory, sources_of(arguments), playbook, plays, targets)


def resolve(hosts: Sequence[Host], project: Path) -> Mapping[str, Target]:
    """Every host's desired services; problems of several hosts are told once each."""
    templates, artefacts = TemplateSet(project / "templates"), Artefacts()
    found: dict[str, Target] = {}
    problems: dict[Problem, None] = {}
    refused = False
    for host in hosts:
        try:
            found[host.name] = Target(host, resolve_host(host, templates, artefacts))
        except InputError as error:
            refused = refused or isinstance(error, ArtefactRefused)
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise (ArtefactRefused if refused else InputError)(problems=problems)
    return found


def bind(play: Play, inventory: Inventory, limit: str | None) -> BoundPlay:
    """A play with its hosts selected, its tasks' arguments checked, and in an order that is safe."""
    everyone = _everyone(play, inventory)
    hosts = select(inventory, play.hosts, limit=limit)
    calls, always = _calls(play.tasks), _calls(play.always)
    names = [call.task.name for call in (*calls, *always)]
    for problem, hint in _unsafe(names, balanced=any(host.balancer for host in everyone.values())):
        raise InputError(f"play {play.name!r} {problem}", where=str(play.origin), hint=hint)
    return BoundPlay(play, hosts, everyone, calls, always)


def _everyone(play: Play, inventory: Inventory) -> Mapping[str, Host]:
    """The play's hosts without any limit. Raises PatternError with the play's place."""
    try:
        return {name: inventory.hosts[name] for name in select(inventory, play.hosts)}
    except PatternError as error:
        place = str(play.origin)
        raise PatternError(problems=[replace(item, where=item.where or place) for item in error.problems]) from error


def _unsafe(names: Sequence[str], *, balanced: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with the order of a play's tasks, and what to do about it."""
    position = {name: number for number, name in reversed(list(enumerate(names)))}
    end = len(names)
    activate = position.get("activate", end)
    if activate < end and "verify" not in names[activate:]:
        yield "activates without a `verify` behind it", "add `- verify:`: AVAILABLE alone is no proof"
    if balanced and activate < end and position.get("drain", end) > activate:
        yield "activates hosts that a balancer sends requests to, without a `drain` before", "add `- drain:`"
    if "drain" in names and "undrain" not in names[position["drain"] :]:
        yield "drains without an `undrain` behind it", "add `- undrain:`: a drained host always comes back"


def _calls(tasks: Sequence[TaskCall]) -> tuple[Call, ...]:
    known = registry()
    return tuple(
        Call(
            known[call.name],
            validate(known[call.name].arguments, call.arguments, what=call.name, origin=call.origin),
        )
        for call in tasks
    )


def _stamp() -> str:
    return datetime.fromtimestamp(SystemClock().now_s(), tz=timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def new_run(stamp: str) -> str:
    """A run's id: its time and four random hex digits."""
    return f"{stamp}-{secrets.token_hex(2)}"


def print_json(value: object) -> None:
    """A result on stdout."""
    import sys

    sys.stdout.write(json.dumps(value, indent=2, sort_keys=False, default=str) + "\n")
