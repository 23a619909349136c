"""The groups and hosts of YAML inventory files, before variables are merged: Ansible's shape, and nothing else.

See Ansible's ``ansible.builtin.yaml`` inventory plugin for the shape, and its inventory guide for ``all`` and
``ungrouped``. What Ansible skips with a warning (an unknown section, an invalid name) is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.inventory.ranges import MOST_HOSTS, expand
from fleetdeploy.config.syntax.nodes import Entry, MapNode, Node, Scalar
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import Problem

SECTIONS = ("hosts", "vars", "children")
_GROUP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


@dataclass
class GroupDraft:
    """A group while files are read. ``defined`` is false while it was only named as a child."""

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
    """A host while files are read; ``variables`` in the order in which they were written."""

    name: str
    origin: Origin
    variables: list[MapNode] = field(default_factory=list)


class Draft:
    """All groups and hosts of all sources, and what is wrong with them."""

    def __init__(self) -> None:
        everywhere = Origin("")
        self.groups = {name: GroupDraft(name, everywhere, defined=True) for name in ("all", "ungrouped")}
        self.groups["all"].children["ungrouped"] = everywhere
        self.hosts: dict[str, HostDraft] = {}
        self.problems: list[Problem] = []

    def problem(self, message: str, origin: Origin, hint: str = "") -> None:
        self.problems.append(Problem(message, str(origin), hint))

    def read(self, root: Node) -> None:
        """Take in one inventory file."""
        if isinstance(root, Scalar) and root.is_null:
            self.problem("no hosts defined: the file is empty", root.origin, "write `all:`, below it `hosts:`")
        elif not isinstance(root, MapNode):
            self.problem(
                f"an inventory is a mapping of groups, got {shown(root)}",
                root.origin,
                "write `all:`, below it `hosts:` with one `name:` a line",
            )
        elif "plugin" in root.entries:
            self.problem("inventory plugins are not run", root.origin, "write the hosts down, or export them as YAML")
        elif not _looks_like_groups(root):
            self.problem(
                f"{', '.join(str(key) for key in root.entries)}: this stands where groups are expected",
                root.origin,
                "put it below `all:`",
            )
        else:
            for entry in root:
                self._group(entry, parent=None)

    def _group(self, entry: Entry, *, parent: GroupDraft | None) -> None:
        name, origin = entry.key.value, entry.key.origin
        if not isinstance(name, str) or not _GROUP_NAME.fullmatch(name):
            self.problem(
                f"{entry.key.raw[:80]!r} is not a group's name",
                origin,
                "a letter or `_`, then letters, digits, `_`, `-`, `.`",
            )
            return
        if parent is not None and name == "all":
            self.problem(f"group {parent.name!r} has `all` as a child, and so contains itself", origin, "remove it")
            return
        group = self.groups.setdefault(name, GroupDraft(name, origin))
        if parent is not None:
            parent.children.setdefault(name, origin)
        elif name != "all":
            group.defined = True
        body = entry.value
        if isinstance(body, Scalar) and body.is_null:
            return
        if not isinstance(body, MapNode):
            self.problem(f"group {name!r}: expected {', '.join(SECTIONS)}, got {shown(body)}", body.origin)
            return
        group.defined = True
        for section in body:
            self._section(group, section)

    def _section(self, group: GroupDraft, entry: Entry) -> None:
        section = entry.key.value
        if section not in SECTIONS:
            self.problem(
                f"group {group.name!r}: unknown key {entry.key.raw!r}",
                entry.key.origin,
                hint_for(entry.key.raw, SECTIONS, what="a group has"),
            )
            return
        body = entry.value
        if isinstance(body, Scalar) and body.is_null:
            return
        if isinstance(body, Scalar) and isinstance(body.value, str) and section != "vars":
            # Ansible takes `hosts: name` for the mapping `name:`.
            body = MapNode({body.value: Entry(body, Scalar(None, "", body.origin))}, body.origin)
        if not isinstance(body, MapNode):
            self.problem(
                f"group {group.name!r}: `{section}` is a mapping, got {shown(body)}",
                body.origin,
                "write each name on its own line, followed by a colon" if section != "vars" else "",
            )
        elif section == "vars":
            group.variables.append(body)
            self._priority(group, body)
        elif section == "children":
            for child in body:
                self._group(child, parent=group)
        else:
            for host in body:
                self._hosts(group, host)

    def _priority(self, group: GroupDraft, variables: MapNode) -> None:
        node = variables.get("ansible_group_priority")
        if node is None:
            return
        if isinstance(node, Scalar) and re.fullmatch(r"-?[0-9]{1,9}", node.raw) and not node.surprising:
            group.priority = int(node.raw)
        else:
            self.problem(f"ansible_group_priority: {shown(node)} is not a whole number", node.origin)

    def _hosts(self, group: GroupDraft, entry: Entry) -> None:
        if not isinstance(entry.key.value, str):
            self.problem(
                f"the host name {shown(entry.key)} is not text", entry.key.origin, f'quote it: "{entry.key.raw}"'
            )
            return
        try:
            names, port = expand(entry.key.value)
        except Refused as error:
            self.problem(error.message, entry.key.origin, error.hint)
            return
        body = entry.value
        if not isinstance(body, MapNode) and not (isinstance(body, Scalar) and body.is_null):
            self.problem(
                f"host {entry.key.value!r}: expected variables, got {shown(body)}",
                body.origin,
                "write `name: value` pairs below the host, or nothing",
            )
            return
        layers = [_port_variable(port, entry.key)] if port else []
        layers += [body] if isinstance(body, MapNode) else []
        if len(self.hosts) + len(names) > MOST_HOSTS * 5:
            self.problem(f"more than {MOST_HOSTS * 5:,} hosts", entry.key.origin, "check the ranges")
            return
        for name in names:
            group.hosts.setdefault(name, entry.key.origin)
            self.hosts.setdefault(name, HostDraft(name, entry.key.origin)).variables.extend(layers)


def _looks_like_groups(root: MapNode) -> bool:
    """False when the sections of a group stand at the top level, without a group above them."""
    return not set(root.entries) & {"hosts", "children"} or all(
        isinstance(entry.value, MapNode) and set(entry.value.entries) <= set(SECTIONS) and entry.value.entries
        for entry in root
    )


def _port_variable(port: int, key: Scalar) -> MapNode:
    value = Scalar(port, str(port), key.origin)
    return MapNode({"ansible_port": Entry(Scalar("ansible_port", "ansible_port", key.origin), value)}, key.origin)


def finish(draft: Draft) -> None:
    """Put every group below ``all`` and every lone host into ``ungrouped``; refuse cycles and undefined groups."""
    groups = draft.groups
    for group in groups.values():
        if not group.defined:
            known = [name for name, other in groups.items() if other.defined]
            draft.problem(
                f"group {group.name!r} is named as a child but nothing defines it",
                group.origin,
                hint_for(group.name, known, what="groups") + "; an empty group says `hosts: {}`",
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
    has_parent = {child for group in groups.values() for child in group.children}
    for name in groups:
        if name != "all" and name not in has_parent:
            groups["all"].children[name] = groups[name].origin
    _settle_ungrouped(draft)
    _set_depths(groups)


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
        trail: list[str] = [start]
        stack: list[Iterator[str]] = [iter(group.children)]
        while stack:
            child = next(stack[-1], None)
            if child is None:
                done.add(trail.pop())
                stack.pop()
            elif child in trail:
                return [*trail[trail.index(child) :], child]
            elif child not in done:
                trail.append(child)
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
