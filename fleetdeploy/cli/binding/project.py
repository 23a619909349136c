"""From arguments to everything a command works on: inventory, playbook, desired state, fleet."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from fleetdeploy import balancers
from fleetdeploy.cli import options
from fleetdeploy.cli.binding import extra_vars
from fleetdeploy.cli.binding.calls import (
    calls_of,
    check_environments,
    check_rescue,
    check_safe,
    fact_refusals,
    in_order,
)
from fleetdeploy.cli.binding.desired import models_named, resolve
from fleetdeploy.cli.binding.opening import store_of
from fleetdeploy.cli.binding.play_hosts import beyond, everyone_of, outside, within
from fleetdeploy.cli.binding.play_variables import check_seen, with_play_variables, with_variables
from fleetdeploy.cli.binding.selection import selection_of
from fleetdeploy.config.inventory.load import Loaded, load
from fleetdeploy.config.inventory.patterns import select
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.playbook.selection import Selection, narrowed
from fleetdeploy.config.settings.load import load_settings
from fleetdeploy.config.syntax.suggest import hint_for, missing_part
from fleetdeploy.config.syntax.text_file import exists
from fleetdeploy.domain.inventory import Host, Inventory
from fleetdeploy.domain.playbook import Play, Playbook
from fleetdeploy.domain.settings import Settings
from fleetdeploy.errors import InputError, PatternError, Problem
from fleetdeploy.planning.gpu_declared import declared_problems
from fleetdeploy.remote.clock import SystemClock
from fleetdeploy.remote.inventory_cache import CachedScripts
from fleetdeploy.remote.inventory_script import InventoryScripts
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.rollout.debt.ledger import Debts
from fleetdeploy.rollout.preparation import unprepared, unproven
from fleetdeploy.rollout.targets import Targets
from fleetdeploy.tasks import registry

DEFAULT_INVENTORY = Path("inventories")
DEFAULT_PLAYBOOK = Path("playbooks/deploy.yml")


@dataclass(frozen=True)
class Bound:
    """Which hosts are meant: what is known before any artefact is read. ``stamp`` is the run's time."""

    inventory: Inventory
    sources: tuple[Path, ...]
    playbook: Playbook
    plays: tuple[BoundPlay, ...]
    stamp: str

    def to(self, targets: Targets) -> Project:
        """The project that brings these plays to their targets."""
        return Project(self.inventory, self.sources, self.playbook, self.plays, targets)


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
    if not arguments.inventory:
        _check_there(arguments, DEFAULT_INVENTORY, "inventory")
    store = store_of(arguments)
    return load(
        sources_of(arguments),
        extra_vars=extra_vars.parse(arguments.extra_vars, secrets=store),
        playbook_dir=playbook_dir_of(arguments),
        run_script=_scripts(arguments),
        secrets=store,
        balancer_kinds=balancers.kinds(),
    )


def _check_there(arguments: argparse.Namespace, part: Path, what: str) -> None:
    """Whether the project has what nobody named. Raises InputError, with how another project is named."""
    path = arguments.project / part
    if exists(path) or path.is_symlink():
        return
    hint = missing_part(path)[1]
    next_to_do = "cd into the project, or name it" if arguments.project == options.HERE else "name the project"
    if path.parent != arguments.project and exists(path.parent):
        next_to_do = "name another playbook, or the project"
    so = " or" if hint.endswith("?") else ":"
    raise InputError(f"no such {what}", where=str(path), hint=f"{hint}{so} {next_to_do} by --project DIR")


def _scripts(arguments: argparse.Namespace) -> Callable[[Path, Sequence[str]], str]:
    """What runs executable inventories; with --inventory-cache, it remembers what they said."""
    within_s = getattr(arguments, "inventory_cache", 0.0)
    if not within_s:
        return InventoryScripts()

    def tell(text: str) -> None:
        # With --quiet as well: nobody may take what was true an hour ago for what is true now.
        print(text, file=sys.stderr)

    return CachedScripts(
        InventoryScripts(), options.cache_home() / "inventory", within_s, SystemClock(), tell, os.environ
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
    inventory = read_inventory(arguments)
    meant = set(select(inventory, pattern, limit=arguments.limit))
    hosts = [host for name, host in inventory.hosts.items() if name in meant and host.services]
    if not hosts:
        raise PatternError(f"no host of {pattern!r} has a service", hint="services are set by the variable `services`")
    by_name = resolve(hosts, arguments.project)
    return inventory, Targets(by_name, stamp=new_stamp(), drains=Drains(debts_of(arguments)))


def read_settings(arguments: argparse.Namespace) -> Settings:
    """What ``fleetdeploy.yml`` says. Raises InputError."""
    return load_settings(arguments.project, secrets=store_of(arguments))


def debts_of(arguments: argparse.Namespace) -> Debts:
    """What hosts owe: in one place, whatever --state-dir says, and what older runs left in a state directory."""
    place, older = options.state_home() / "debts", arguments.state_dir.absolute() / "debts"
    return Debts(place, older if older != place else None)


def read_playbook(arguments: argparse.Namespace, selection: Selection, *, every_play: bool = False) -> Playbook:
    """The playbook, less what ``selection`` leaves out; ``every_play`` keeps plays without tasks. Raises InputError."""
    path = Path(getattr(arguments, "playbook", None) or arguments.project / DEFAULT_PLAYBOOK)
    if not getattr(arguments, "playbook", None):
        _check_there(arguments, DEFAULT_PLAYBOOK, "playbook")
    store = store_of(arguments)
    return narrowed(
        load_playbook(path, task_names=registry().keys(), project=arguments.project, secrets=store),
        selection,
        every_play=every_play,
    )


def read_plays(
    arguments: argparse.Namespace, inventory: Inventory, *, every_play: bool = False
) -> tuple[Playbook, tuple[BoundPlay, ...]]:
    """The playbook, less what was not asked for, and its plays bound to their hosts.

    A play has none where the limit leaves it none. Raises InputError, also where no play has any.
    """
    playbook = read_playbook(arguments, selection_of(arguments), every_play=every_play)
    extra = extra_vars.by_name(arguments.extra_vars, secrets=store_of(arguments))
    plays = tuple(bind(play, inventory, arguments.limit, extra=extra) for play in playbook.plays)
    if not any(bound.hosts for bound in plays):
        raise PatternError(problems=[outside(bound, arguments.limit) for bound in plays])
    return playbook, plays


def read_project(arguments: argparse.Namespace) -> Project:
    """Load, check and resolve everything. Raises InputError with all problems that can be told at once."""
    return read_targets(read_bound(arguments), arguments)


def read_bound(arguments: argparse.Namespace) -> Bound:
    """Inventory and playbook, and which hosts they mean. Raises InputError."""
    inventory = read_inventory(arguments)
    playbook, bound = read_plays(arguments, inventory)
    plays = tuple(play for play in bound if play.hosts)
    for skipped in (play for play in bound if not play.hosts and not getattr(arguments, "quiet", False)):
        from fleetdeploy.report.terminal import aside

        aside(f"note: {outside(skipped, arguments.limit).message}: the play is skipped")
    check_environments(plays)
    return Bound(inventory, sources_of(arguments), playbook, plays, new_stamp())


def read_targets(bound: Bound, arguments: argparse.Namespace) -> Project:
    """What the hosts shall run, by their models and templates. Raises InputError."""
    plays = bound.plays
    meant = {name for play in plays for name in play.hosts}
    hosts = [host for name, host in bound.inventory.hosts.items() if name in meant]
    extra = extra_vars.by_name(arguments.extra_vars, secrets=store_of(arguments))
    by_name = resolve(with_play_variables(hosts, plays, extra), arguments.project)
    if misfits := declared_problems((target.host, target.desired) for target in by_name.values()):
        raise InputError(problems=misfits)
    targets = Targets(
        by_name,
        stamp=bound.stamp,
        allow_remove=getattr(arguments, "allow_remove", False),
        allow_signature_change=models_named(getattr(arguments, "allow_signature_change", ()), by_name),
        again=getattr(arguments, "again", False),
        undecided=lambda plan: (*fact_refusals(plays, plan), *unprepared(plays, plan), *unproven(plays, plan)),
        drains=Drains(debts_of(arguments)),
        beyond=beyond(plays, by_name),
    )
    return bound.to(targets)


def bind(
    play: Play, inventory: Inventory, limit: str | None, *, extra: Mapping[str, object] | None = None
) -> BoundPlay:
    """A play with its hosts selected, its tasks' arguments checked, and in an order that is safe.

    It has no hosts where its pattern and the limit have none in common.
    """
    everyone = everyone_of(play, inventory)
    hosts = within(play, inventory, limit)
    hosts, domains = in_order(play, hosts, everyone)
    check_seen(play, [inventory.hosts[name] for name in hosts], extra or {})
    seen = with_variables(play, inventory, extra or {})
    calls, always = calls_of(play.tasks, hosts, seen), calls_of(play.always, hosts, seen)
    rescue = calls_of(play.rescue, hosts, seen)
    check_safe(play, hosts, calls, always=always, everyone=everyone)
    check_rescue(rescue, play)
    return BoundPlay(play, hosts, everyone, calls, always, domains, rescue)


def new_stamp() -> str:
    """The time of a run, as it stands in its id and in those of releases."""
    return datetime.fromtimestamp(SystemClock().now_s(), tz=timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def new_run(stamp: str) -> str:
    """A run's id: its time and four random hex digits."""
    return f"{stamp}-{secrets.token_hex(2)}"


def print_json(value: object) -> None:
    """A result on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=False, default=str) + "\n")
