"""Ansible's YAML inventory, with ``group_vars`` and ``host_vars``, as an :class:`Inventory`.

Variables merge in Ansible's order ("Understanding variable precedence"), the weakest first: variables of ``all`` in
inventory files, of the other groups there, ``group_vars/all``, ``group_vars/*``, a host's own in inventory files,
``host_vars/*``, ``-e``. Of groups, an outer one is weaker than an inner one, then ``ansible_group_priority`` decides,
then the name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fleetdeploy.config.inventory import vars_files
from fleetdeploy.config.inventory.connection import read_connection
from fleetdeploy.config.inventory.draft import Draft, GroupDraft, finish
from fleetdeploy.config.inventory.merging import merge_variables
from fleetdeploy.config.reserved.near_misses import near_misses
from fleetdeploy.config.reserved.reader import ReservedReader
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import MapNode, from_python
from fleetdeploy.domain.inventory import BalancerWish, Connection, DeclaredGpus, Group, Host, Inventory
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import InputError, Problem

EXTRA_VARS = Origin("--extra-vars")
_YAML = (".yml", ".yaml")
_OTHER_FORMATS = (".ini", ".toml")
_MOST_NAMED = 6


def load_inventory(sources: Sequence[Path], *, extra_vars: Mapping[str, object] | None = None) -> Inventory:
    """The inventory that ``sources`` (files, or directories of them) describe together.

    ``extra_vars`` outrank every file; relative paths in them start from the working directory. Raises InputError with
    every problem of every file.
    """
    if not sources:
        raise InputError("no inventory given", hint="name one with -i, such as -i inventories/lab")
    problems: list[Problem] = []
    draft = Draft()
    files = [(file, base) for source in sources for file, base in _files_of(Path(source), problems)]
    for file, _ in files:
        try:
            draft.read(yaml.load(file, what="inventory"))
        except InputError as error:
            problems += error.problems
    finish(draft)
    if not draft.hosts and not problems and not draft.problems:
        problems.append(Problem("no hosts defined", ", ".join(map(str, sources)), "write hosts below `hosts:`"))
    if problems or draft.problems:
        # Without all hosts and groups, later checks would complain about names that are only missing here.
        raise InputError(problems=[*problems, *draft.problems])
    return _Merger(draft, files, extra_vars or {}).inventory(tuple(Path(source) for source in sources))


def _files_of(source: Path, problems: list[Problem]) -> list[tuple[Path, Path]]:
    """The inventory files of a source, each with its inventory directory."""
    if not source.is_dir():
        return [(source, source.parent)]
    try:
        children = sorted(source.iterdir())
    except OSError as error:
        problems.append(
            Problem(f"the inventory directory cannot be read: {error.strerror}", str(source), "check its permissions")
        )
        return []
    files = [path for path in children if _is_inventory(path)]
    problems += [
        Problem("only YAML inventories are read (.yml, .yaml)", str(path), "convert it, or move it elsewhere")
        for path in children
        if path.suffix in _OTHER_FORMATS or (path.name in {"hosts", "inventory"} and path.is_file())
    ]
    if not files:
        problems.append(
            Problem(
                "the directory holds no inventory (no .yml or .yaml file)",
                str(source),
                _below(children) or "write hosts.yml there, or name another directory",
            )
        )
    return [(path, source) for path in files]


def _below(children: Sequence[Path]) -> str:
    """The inventories one level down, as the options that name them."""
    found = [path for path in children if path.name not in vars_files.FOLDERS.values() and _holds_inventory(path)]
    return f"did you mean {' or '.join(f'-i {path}' for path in found[:_MOST_NAMED])}?" if found else ""


def _holds_inventory(path: Path) -> bool:
    try:
        return path.is_dir() and any(_is_inventory(child) for child in path.iterdir())
    except OSError:
        return False


def _is_inventory(path: Path) -> bool:
    return path.suffix in _YAML and not path.name.startswith(".")


class _Merger:
    """Merges variables and reads the reserved ones, host by host."""

    def __init__(self, draft: Draft, files: Sequence[tuple[Path, Path]], extra_vars: Mapping[str, object]) -> None:
        self.draft = draft
        self.problems: list[Problem] = []
        self._bases = {str(file): base for file, base in files}
        self._group_files: list[dict[str, tuple[MapNode, ...]]] = []
        self._host_files: list[dict[str, tuple[MapNode, ...]]] = []
        for base in dict.fromkeys(base for _, base in files):
            self._group_files.append(self._read_vars(base, "group"))
            self._host_files.append(self._read_vars(base, "host"))
        extra = from_python(dict(extra_vars), EXTRA_VARS)
        self._extra = (extra,) if isinstance(extra, MapNode) and extra_vars else ()
        self._merged_groups: dict[tuple[str, ...], MapNode] = {}
        self._reader = ReservedReader(self._base_of)

    def _read_vars(self, base: Path, kind: str) -> dict[str, tuple[MapNode, ...]]:
        known = self.draft.groups if kind == "group" else self.draft.hosts
        found = vars_files.read(base, kind, known=known.keys(), problems=self.problems)
        for nodes in found.values():
            self._bases.update({node.origin.file: base for node in nodes})
        return found

    def _base_of(self, origin: Origin) -> Path:
        return self._bases.get(origin.file, Path())

    def inventory(self, sources: tuple[Path, ...]) -> Inventory:
        groups = {name: _group(group) for name, group in self.draft.groups.items()}
        order = tuple(self.draft.hosts)
        parents = _parents(self.draft.groups)
        merged: dict[str, tuple[tuple[str, ...], MapNode]] = {}
        memberships: dict[str, list[str]] = {name: [] for name in order}
        for group in self.draft.groups.values():
            for host in group.hosts:
                memberships[host].append(group.name)
        for name in order:
            names = self._groups_of(memberships[name], parents)
            merged[name] = (names, self._variables(name, names))
        drafts = [self._host(name, names, variables) for name, (names, variables) in merged.items()]
        services = {wish.name for host in drafts for wish in host.services}
        # A service that was refused is not in the list; its pools would only look wrong.
        for _, variables in merged.values() if not self._reader.problems else ():
            self._reader.check_balancer(variables, hosts=order, services=services)
        problems = list(dict.fromkeys([*near_misses(self._layers()), *self.problems, *self._reader.problems]))
        if problems:
            raise InputError(problems=problems)
        return Inventory(hosts={host.name: host for host in drafts}, groups=groups, sources=sources)

    def _layers(self) -> Iterator[MapNode]:
        """Every mapping of variables, also of groups that no host is in."""
        for drafts in (self.draft.groups, self.draft.hosts):
            for draft in drafts.values():
                yield from draft.variables
        for files in (*self._group_files, *self._host_files):
            for nodes in files.values():
                yield from nodes
        yield from self._extra

    def _groups_of(self, direct: Sequence[str], parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """All groups of a host, its groups' groups included, the weakest first."""
        found = {"all"}
        waiting = list(direct)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += parents[name]
        groups = self.draft.groups
        return tuple(sorted(found, key=lambda name: (groups[name].depth, groups[name].priority, name)))

    def _variables(self, host: str, groups: tuple[str, ...]) -> MapNode:
        if groups not in self._merged_groups:
            self._merged_groups[groups] = merge_variables(self._group_layers(groups))
        own = [*self.draft.hosts[host].variables, *(node for files in self._host_files for node in files.get(host, ()))]
        layers = (*own, *self._extra)
        return merge_variables([self._merged_groups[groups], *layers]) if layers else self._merged_groups[groups]

    def _group_layers(self, groups: tuple[str, ...]) -> list[MapNode]:
        layers = [node for name in groups for node in self.draft.groups[name].variables]
        layers += [node for files in self._group_files for node in files.get("all", ())]
        for files in self._group_files:
            layers += [node for name in groups if name != "all" for node in files.get(name, ())]
        return layers

    def _host(self, name: str, groups: tuple[str, ...], variables: MapNode) -> Host:
        connection: Connection = read_connection(name, variables, base_of=self._base_of, problems=self.problems)
        gpus: DeclaredGpus | None = self._reader.gpus(variables)
        services: tuple[ServiceWish, ...] = self._reader.services(variables, gpus)
        balancer: BalancerWish | None = self._reader.balancer(variables, name)
        plain = {str(key): value for key, value in variables.plain().items()}
        return Host(name, connection, plain, groups, gpus, services, balancer)


def _group(draft: GroupDraft) -> Group:
    return Group(draft.name, tuple(draft.hosts), tuple(draft.children))


def _parents(groups: Mapping[str, GroupDraft]) -> dict[str, list[str]]:
    parents: dict[str, list[str]] = {name: [] for name in groups}
    for group in groups.values():
        for child in group.children:
            parents[child].append(group.name)
    return parents


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
