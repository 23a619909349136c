"""Ansible's inventories, with ``group_vars`` and ``host_vars``, as an :class:`Inventory`.

The kinds of sources are told apart in :mod:`fleetdeploy.config.inventory.sources`, the order of variables is that of
:mod:`fleetdeploy.config.inventory.layers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.config.inventory.connection import is_connection_variable, read_connection
from fleetdeploy.config.inventory.draft import MOST, PRIORITY, Draft, GroupDraft, finish
from fleetdeploy.config.inventory.layers import Layers
from fleetdeploy.config.inventory.lazy import LazyVariables
from fleetdeploy.config.inventory.merging import merge_variables
from fleetdeploy.config.inventory.one_machine import shared_machines
from fleetdeploy.config.inventory.sources import (
    RunScript,
    SourceFile,
    files_of,
    is_host_list,
    read_host_list,
    read_source_file,
)
from fleetdeploy.config.inventory.told_once import of_expressions, of_values
from fleetdeploy.config.reserved.names import BALANCER, GPUS, SERVICES
from fleetdeploy.config.reserved.near_misses import near_misses
from fleetdeploy.config.reserved.public_names import public_names
from fleetdeploy.config.reserved.reader import ReservedReader
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.config.syntax.nodes import MapNode, from_python
from fleetdeploy.domain.inventory import BalancerWish, Connection, DeclaredGpus, Group, Host, Inventory
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import InputError, Problem

EXTRA_VARS = Origin("--extra-vars")


@dataclass(frozen=True)
class Loaded:
    """An inventory, and for whoever wants to know why: the layers its variables came from."""

    inventory: Inventory
    layers: Layers
    merged: Mapping[str, MapNode]
    """Every host's variables with their places."""

    def group_variables(self, name: str) -> dict[str, object]:
        """What is set for the hosts of a group by that group itself, and not by the groups around it."""
        merged = merge_variables(layer.node for layer in self.layers.of_groups((name,)))
        found: dict[str, object] = {str(key): value for key, value in merged.plain().items()}
        priority = self.layers.priority_of(name)
        return found if priority == 1 else {**found, PRIORITY: priority}


def load_inventory(
    sources: Sequence[Path],
    *,
    extra_vars: Mapping[str, object] | MapNode | None = None,
    playbook_dir: Path | None = None,
    run_script: RunScript | None = None,
    secrets: SecretStore | None = None,
    balancer_kinds: Collection[str] | None = None,
) -> Inventory:
    """The inventory that ``sources`` (files, directories, lists with commas) describe together; see :func:`load`."""
    return load(
        sources,
        extra_vars=extra_vars,
        playbook_dir=playbook_dir,
        run_script=run_script,
        secrets=secrets,
        balancer_kinds=balancer_kinds,
    ).inventory


def load(
    sources: Sequence[Path],
    *,
    extra_vars: Mapping[str, object] | MapNode | None = None,
    playbook_dir: Path | None = None,
    run_script: RunScript | None = None,
    secrets: SecretStore | None = None,
    balancer_kinds: Collection[str] | None = None,
) -> Loaded:
    """The inventory of ``sources``, with the places of all values.

    ``extra_vars`` outrank every file; relative paths in them start from the working directory. Variable files beside
    the playbook are looked for in ``playbook_dir``. ``run_script`` runs an executable inventory, ``secrets`` opens
    secrets, ``balancer_kinds`` are those that there are. Raises InputError with every problem of every file.
    """
    if not sources:
        raise InputError("no inventory given", hint="name one with -i, such as -i inventories/lab")
    secrets = secrets or SecretStore()
    problems: list[Problem] = []
    draft = Draft()
    files: list[SourceFile] = []
    for source in map(Path, sources):
        if is_host_list(source):
            read_host_list(str(source), draft)
            continue
        for file in files_of(source, problems):
            files.append(file)
            try:
                read_source_file(file, draft, run_script=run_script, secrets=secrets)
            except InputError as error:
                problems += error.problems
    if len(draft.hosts) > MOST or len(draft.groups) > MOST:
        raise InputError(
            f"more than {MOST:,} hosts or groups", where=", ".join(map(str, sources)), hint="check the ranges"
        )
    finish(draft)
    if not draft.hosts and not problems and not draft.problems:
        problems.append(Problem("no hosts defined", ", ".join(map(str, sources)), "write hosts below `hosts:`"))
    if problems or draft.problems:
        # Without all hosts and groups, later checks would complain about names that are only missing here.
        raise InputError(problems=dict.fromkeys([*problems, *draft.problems]))
    extra = from_python({} if extra_vars is None else extra_vars, EXTRA_VARS)
    assert isinstance(extra, MapNode)
    layers = Layers(draft, files, playbook_dir=playbook_dir, extra=extra, secrets=secrets)
    if layers.unread:
        # What stands in a file that could not be read would be missed wherever it is used.
        raise InputError(problems=dict.fromkeys([*near_misses(layers.everything()), *layers.problems]))
    loaded = _Merger(draft, layers, balancer_kinds).loaded(tuple(map(Path, sources)))
    secrets.keep(public_names(loaded.inventory))
    return loaded


class _Merger:
    """Merges variables and reads the reserved ones, host by host."""

    def __init__(self, draft: Draft, layers: Layers, balancer_kinds: Collection[str] | None) -> None:
        self.draft = draft
        self._balancer_kinds = balancer_kinds
        self.layers = layers
        self._of_expressions: list[tuple[str, Problem]] = []
        self._of_values: list[tuple[str, Problem]] = []
        self._merged_groups: dict[tuple[str, ...], MapNode] = {}
        self._reader = ReservedReader(layers.base_of)

    def loaded(self, sources: tuple[Path, ...]) -> Loaded:
        order = tuple(self.draft.hosts)
        groups_of = {name: self.layers.groups_of(name) for name in order}
        merged = {name: self._variables(name, groups_of[name]) for name in order}
        lazy = LazyVariables(merged, self.draft.groups, groups_of.__getitem__)
        used = {name: self._used(lazy, name) for name in order}
        hosts = {name: self._host(name, groups_of[name], lazy.plain(name), used[name]) for name in order}
        unread = [
            *near_misses(self.layers.everything()),
            *self.layers.problems,
            *of_expressions(self._of_expressions),
        ]
        noted = [*unread, *of_values(self._of_values)]
        # A service in what could not be read is not in the list; its pools would only look wrong.
        services_known = not unread and not self._reader.problems
        noted += self._of_balancers(used.values(), hosts, services_known=services_known)
        noted += shared_machines(hosts, used)
        if noted:
            raise InputError(problems=dict.fromkeys(noted))
        groups = {name: _group(group) for name, group in self.draft.groups.items()}
        return Loaded(Inventory(hosts=hosts, groups=groups, sources=sources), self.layers, merged)

    def _of_balancers(
        self, merged: Iterable[MapNode], hosts: Mapping[str, Host], *, services_known: bool
    ) -> list[Problem]:
        """What balancers name and the inventory has not."""
        services = {wish.name for host in hosts.values() for wish in host.services} if services_known else None
        known = len(self._reader.problems)
        for variables in merged:
            self._reader.check_balancer(variables, hosts=hosts, services=services, kinds=self._balancer_kinds)
        return self._reader.problems[known:]

    def _variables(self, host: str, groups: tuple[str, ...]) -> MapNode:
        if groups not in self._merged_groups:
            self._merged_groups[groups] = merge_variables(layer.node for layer in self.layers.of_groups(groups))
        own = [layer.node for layer in self.layers.of_host_itself(host)]
        return merge_variables([self._merged_groups[groups], *own]) if own else self._merged_groups[groups]

    def _used(self, lazy: LazyVariables, host: str) -> MapNode:
        problems: list[Problem] = []
        found = lazy.resolved(host, is_used, problems)
        self._of_expressions += ((host, problem) for problem in problems)
        return found

    def _host(self, name: str, groups: tuple[str, ...], plain: dict[str, object], variables: MapNode) -> Host:
        """A host with its ``plain`` variables; ``variables`` are the same, with the expressions rendered that are used
        here.
        """
        problems: list[Problem] = []
        known = len(self._reader.problems)
        connection: Connection = read_connection(name, variables, base_of=self.layers.base_of, problems=problems)
        gpus: DeclaredGpus | None = self._reader.gpus(variables)
        services: tuple[ServiceWish, ...] = self._reader.services(variables, gpus)
        balancer: BalancerWish | None = self._reader.balancer(variables, name)
        problems += self._reader.problems[known:]
        self._of_values += ((name, problem) for problem in problems)
        return Host(name, connection, plain, groups, gpus, services, balancer)


def is_used(name: str) -> bool:
    """Whether a variable decides what is done here, and not only in a template."""
    return name in {GPUS, SERVICES, BALANCER} or is_connection_variable(name)


def _group(draft: GroupDraft) -> Group:
    return Group(draft.name, tuple(draft.hosts), tuple(draft.children))


def host_order(groups: Mapping[str, Group], name: str) -> tuple[str, ...]:
    """The hosts of a group in Ansible's order: those named in it directly, then its child groups level by level."""
    found: dict[str, None] = dict.fromkeys(groups[name].hosts)
    seen = {name}
    level = list(groups[name].children)
    while level:
        following: list[str] = []
        for child in level:
            if child not in seen:
                seen.add(child)
                found.update(dict.fromkeys(groups[child].hosts))
                following += groups[child].children
        level = following
    return tuple(found)
