"""Which places set variables for a host, the weakest first.

Ansible's order ("Understanding variable precedence" and its setting ``VARIABLE_PRECEDENCE``): variables of groups in
inventory sources, ``group_vars/all`` beside the inventory, then beside the playbook, ``group_vars/*`` in the same
order, a host's own in inventory sources, ``host_vars/*`` beside the inventory, then beside the playbook, ``-e``. Of
groups, an outer one is weaker than an inner one, then ``ansible_group_priority`` decides, then the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.config.inventory import vars_files
from fleetdeploy.config.inventory.draft import PRIORITY, Draft
from fleetdeploy.config.inventory.script_reader import AT
from fleetdeploy.config.inventory.sources import SourceFile
from fleetdeploy.config.syntax.nodes import MapNode
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import Problem

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VarsFiles = Mapping[str, tuple[MapNode, ...]]


@dataclass(frozen=True)
class Layer:
    """Variables that one place sets; ``what`` says which: ``group web``, ``host_vars of gpu1``, ``-e``."""

    what: str
    node: MapNode


class Layers:
    """The layers of every host. Problems of variable files are collected while they are read."""

    def __init__(
        self,
        draft: Draft,
        files: Sequence[SourceFile],
        *,
        playbook_dir: Path | None,
        extra: MapNode | None,
        secrets: Secrets | None = None,
    ) -> None:
        self._secrets = secrets
        self.problems: list[Problem] = []
        self._draft = draft
        self._bases = {str(file.path): file.base for file in files}
        # A directory that several sources share is read for the last of them, as that would win.
        beside = list(reversed(dict.fromkeys(file.base for file in reversed(files))))
        for folder in dict.fromkeys([*beside, *([playbook_dir] if playbook_dir else [])]):
            self.problems += vars_files.near_misses_in(folder)
        self._group_files = [self._read(base, "group") for base in beside]
        self._host_files = [self._read(base, "host") for base in beside]
        self._group_files_play = self._read(playbook_dir, "group") if playbook_dir else {}
        self._host_files_play = self._read(playbook_dir, "host") if playbook_dir else {}
        self.unread = bool(self.problems)
        """Whether a file of variables could not be read, or belongs to nobody."""
        self._extra = (Layer("-e", extra),) if extra is not None and extra.entries else ()
        self._parents: dict[str, list[str]] = {name: [] for name in draft.groups}
        self._memberships: dict[str, list[str]] = {name: [] for name in draft.hosts}
        for group in draft.groups.values():
            for child in group.children:
                self._parents[child].append(group.name)
            for host in group.hosts:
                self._memberships[host].append(group.name)
        self.problems += self._bad_names()

    def _read(self, base: Path, kind: str) -> VarsFiles:
        known = self._draft.groups if kind == "group" else self._draft.hosts
        found = vars_files.read(base, kind, known=known.keys(), problems=self.problems, secrets=self._secrets)
        for nodes in found.values():
            self._bases.update({node.origin.file: base for node in nodes})
        return found

    def base_of(self, origin: Origin) -> Path:
        """The directory that relative paths written at ``origin`` start from."""
        return self._bases.get(origin.file.partition(AT)[0].partition(" --host ")[0], Path())

    def groups_of(self, host: str) -> tuple[str, ...]:
        """All groups of a host, its groups' groups included, the weakest first."""
        found = {"all"}
        waiting = list(self._memberships[host])
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._parents[name]
        groups = self._draft.groups
        return tuple(sorted(found, key=lambda name: (groups[name].depth, groups[name].priority, name)))

    def priority_of(self, group: str) -> int:
        """The group's ``ansible_group_priority``, 1 unless it sets one."""
        return self._draft.groups[group].priority

    def of_groups(self, groups: Sequence[str]) -> Iterator[Layer]:
        """What ``groups`` (in their order) set."""
        for name in groups:
            for node in self._draft.groups[name].variables:
                yield Layer(f"group {name}", node)
        outermost = [name for name in groups if name == "all"]
        for names in (outermost, [name for name in groups if name != "all"]):
            for files in (*self._group_files, self._group_files_play):
                yield from (Layer(f"group_vars of {name}", node) for name in names for node in files.get(name, ()))

    def of_host_itself(self, host: str) -> Iterator[Layer]:
        """What is set for ``host`` alone, and by ``-e``."""
        for node in self._draft.hosts[host].variables:
            yield Layer(f"host {host}", node)
        for files in (*self._host_files, self._host_files_play):
            yield from (Layer(f"host_vars of {host}", node) for node in files.get(host, ()))
        yield from self._extra

    def of(self, host: str) -> list[Layer]:
        """Every layer of a host, the weakest first."""
        return [*self.of_groups(self.groups_of(host)), *self.of_host_itself(host)]

    def everything(self) -> Iterator[MapNode]:
        """Every mapping of variables, also of groups that no host is in."""
        for drafts in (self._draft.groups, self._draft.hosts):
            for draft in drafts.values():
                yield from draft.variables
        for files in self._all_files():
            for nodes in files.values():
                yield from nodes
        yield from (layer.node for layer in self._extra)

    def _all_files(self) -> Iterator[VarsFiles]:
        yield from (*self._group_files, self._group_files_play, *self._host_files, self._host_files_play)

    def _bad_names(self) -> Iterator[Problem]:
        """Names that Ansible complains about in inventory files, and a priority that it would pass over elsewhere."""
        nodes = [node for group in self._draft.groups.values() for node in group.variables]
        nodes += [node for host in self._draft.hosts.values() for node in host.variables]
        for node in {id(node): node for node in nodes}.values():
            for entry in node:
                name = entry.key.value
                if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                    yield Problem(
                        f"{entry.key.raw[:80]!r} is not a variable's name",
                        str(entry.key.origin),
                        "a letter or `_`, then letters, digits and `_`",
                    )
        for files in (*self._group_files, self._group_files_play):
            for node in (node for nodes in files.values() for node in nodes):
                if PRIORITY in node.entries:
                    yield Problem(
                        f"{PRIORITY} has no effect in a variables file",
                        str(node.entries[PRIORITY].key.origin),
                        "Ansible honours it in inventory files only: write it below the group's `vars:` there",
                    )
