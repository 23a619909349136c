"""The groups and hosts of all inventory sources, before variables are merged. Readers of every format feed it.

See Ansible's inventory guide for ``all`` and ``ungrouped``. What Ansible skips with a warning (an invalid name, a host
and a group of one name, a loop) is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.inventory.ranges import MOST_HOSTS, expand
from fleetdeploy.config.syntax.nodes import Entry, MapNode, Node, Scalar
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import Problem

PRIORITY = "ansible_group_priority"
MOST = 50_000
"""Hosts, and groups, of an inventory: far more than a fleet has, and few enough to be refused in seconds."""
_MOST_TOLD = 50
_GROUP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


@dataclass
class GroupDraft:
    """A group while files are read. ``defined`` is false while it was only named, as a child or for its variables."""

    name: str
    origin: Origin
    hosts: dict[str, Origin] = field(default_factory=dict)
    children: dict[str, Origin] = field(default_factory=dict)
    variables: list[MapNode] = field(default_factory=list)
    defined: bool = False
    depth: int = 0
    priority: int = 1


@dataclass
class HostDraft:
    """A host while files are read; ``variables`` in the order in which they were written, ``port`` with its name."""

    name: str
    origin: Origin
    port: int | None = None
    variables: list[MapNode] = field(default_factory=list)


class Draft:
    """All groups and hosts of all sources, and what is wrong with them."""

    def __init__(self) -> None:
        everywhere = Origin("")
        self.groups = {name: GroupDraft(name, everywhere, defined=True) for name in ("all", "ungrouped")}
        self.groups["all"].children["ungrouped"] = everywhere
        self.hosts: dict[str, HostDraft] = {}
        self.problems: list[Problem] = []
        self.ini_files: set[str] = set()

    def problem(self, message: str, origin: Origin, hint: str = "") -> None:
        self.problems.append(Problem(message, str(origin), hint))

    def may_name_group(self, name: str, origin: Origin) -> bool:
        """Whether a group can have this name; a problem when it cannot."""
        if _GROUP_NAME.fullmatch(name):
            return True
        self.problem(f"{name[:80]!r} is not a group's name", origin, "a letter or `_`, then letters, digits, `_-.`")
        return False

    def group(self, name: str, origin: Origin) -> GroupDraft | None:
        """The group of this name, made when there is none; None, and a problem, when it cannot be a name."""
        return self.groups.setdefault(name, GroupDraft(name, origin)) if self.may_name_group(name, origin) else None

    def add_child(self, parent: GroupDraft, child: GroupDraft, origin: Origin) -> bool:
        """Put ``child`` below ``parent``; False, and a problem, for ``all``, which would contain itself."""
        if child.name == "all":
            self.problem(f"group {parent.name!r} has `all` as a child, and so contains itself", origin, "remove it")
            return False
        parent.children.setdefault(child.name, origin)
        return True

    def add_group_variables(self, group: GroupDraft, variables: MapNode) -> None:
        """Variables for all hosts of a group. ``ansible_group_priority`` is the group's, and no variable of hosts."""
        node = variables.get(PRIORITY)
        if node is not None:
            self._priority(group, node)
            rest = {key: entry for key, entry in variables.entries.items() if key != PRIORITY}
            variables = MapNode(rest, variables.origin)
        group.variables.append(variables)

    def _priority(self, group: GroupDraft, node: Node) -> None:
        if isinstance(node, Scalar) and re.fullmatch(r"-?[0-9]{1,9}", node.raw) and not node.surprising:
            group.priority = int(node.raw)
        else:
            hint = "write a number such as 10: of groups of one depth the highest wins, and 1 is the default"
            self.problem(f"{PRIORITY}: {shown(node)} is not a whole number", node.origin, hint)

    def add_hosts(self, group: GroupDraft, written: str, origin: Origin, *, layers: Sequence[MapNode] = ()) -> None:
        """The hosts that ``written`` stands for (ranges, a port after a colon), with their own variables."""
        try:
            names, port = expand(written)
        except Refused as error:
            self.problem(error.message, origin, error.hint)
            return
        if len(self.hosts) + len(names) > MOST_HOSTS * 5:
            self.problem(f"more than {MOST_HOSTS * 5:,} hosts", origin, "check the ranges")
            return
        with_port = [_port_variable(port, origin)] if port else []
        for name in names:
            known = self.hosts.get(name)
            host = self.add_host(group, name, origin)
            if known is None:
                host.port = port
                host.variables += with_port
            elif port and host.port != port:
                self.problem(
                    f"host {name!r} is known by now, and not with port {port}",
                    origin,
                    f"Ansible takes a port where a host is first named: write it there, {host.origin}",
                )
                return
            host.variables += layers

    def add_host(self, group: GroupDraft, name: str, origin: Origin) -> HostDraft:
        """One host of ``group``, by the name as it stands, which the caller has checked."""
        group.hosts.setdefault(name, origin)
        return self.hosts.setdefault(name, HostDraft(name, origin))


def _port_variable(port: int, origin: Origin) -> MapNode:
    value = Scalar(port, str(port), origin)
    return MapNode({"ansible_port": Entry(Scalar("ansible_port", "ansible_port", origin), value)}, origin)


def finish(draft: Draft) -> None:
    """Put every group below ``all`` and every lone host into ``ungrouped``; refuse cycles and undefined groups."""
    groups = draft.groups
    children = {name for group in groups.values() for name in group.children}
    known = [name for name, group in groups.items() if group.defined]
    for number, group in enumerate(group for group in groups.values() if not group.defined):
        if number < _MOST_TOLD:
            how = "is named as a child but" if group.name in children else "has variables, but"
            draft.problem(
                f"group {group.name!r} {how} nothing defines it",
                group.origin,
                "; ".join(filter(None, (hint_for(group.name, known, what="groups"), _empty(draft, group)))),
            )
    for conflict in sorted(groups.keys() & draft.hosts.keys()):
        draft.problem(
            f"{conflict!r} is a host and a group",
            draft.hosts[conflict].origin,
            "rename one: a pattern could not tell them apart",
        )
    cycle = _find_cycle(groups)
    if cycle:
        origin = groups[cycle[0]].children[cycle[1]]
        draft.problem(f"group {cycle[0]!r} contains itself: {' -> '.join(cycle)}", origin, "remove one of the links")
        return
    for name in groups:
        if name != "all" and name not in children:
            groups["all"].children[name] = groups[name].origin
    _settle_ungrouped(draft)
    _set_depths(groups)


def _empty(draft: Draft, group: GroupDraft) -> str:
    """How a group without hosts is written, in the words of the file that names it."""
    is_ini = group.origin.file in draft.ini_files
    return f"an empty group is a line [{group.name}]" if is_ini else "an empty group says `hosts: {}`"


def _settle_ungrouped(draft: Draft) -> None:
    grouped = {host for name, group in draft.groups.items() if name not in {"all", "ungrouped"} for host in group.hosts}
    ungrouped = draft.groups["ungrouped"].hosts
    for host in list(ungrouped):
        if host in grouped:
            del ungrouped[host]
    for name, draft_host in draft.hosts.items():
        if name not in grouped:
            ungrouped.setdefault(name, draft_host.origin)


def _find_cycle(groups: dict[str, GroupDraft]) -> list[str]:
    """The names along one cycle, the first repeated at the end; empty when there is none."""
    done: set[str] = set()
    for start, group in groups.items():
        if start in done:
            continue
        trail = {start: None}  # in order, and quick to look into
        stack: list[Iterator[str]] = [iter(group.children)]
        while stack:
            child = next(stack[-1], None)
            if child is None:
                done.add(trail.popitem()[0])
                stack.pop()
            elif child in trail:
                names = list(trail)
                return [*names[names.index(child) :], child]
            elif child not in done:
                trail[child] = None
                stack.append(iter(groups[child].children))
    return []


def _set_depths(groups: dict[str, GroupDraft]) -> None:
    """The longest way from ``all`` to each group, which is what Ansible merges variables by."""
    waiting = dict.fromkeys(groups, 0)
    for group in groups.values():
        for child in group.children:
            waiting[child] += 1
    ready = [name for name, parents in waiting.items() if parents == 0]
    while ready:
        name = ready.pop()
        for child in groups[name].children:
            groups[child].depth = max(groups[child].depth, groups[name].depth + 1)
            waiting[child] -= 1
            if waiting[child] == 0:
                ready.append(child)
