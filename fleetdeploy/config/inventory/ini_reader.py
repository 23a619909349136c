"""Ansible's INI inventories: ``[group]``, ``[group:children]``, ``[group:vars]``, hosts with ``key=value`` words.

See Ansible's ``ansible.builtin.ini`` inventory plugin. It gives up a file at the first line that it cannot read and
keeps the groups before it; here every such line is a problem and nothing of the inventory is used.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleetdeploy.config.inventory.draft import Draft, GroupDraft
from fleetdeploy.config.inventory.ini_values import Word, commented, literal, split_words
from fleetdeploy.config.syntax.nodes import Entry, MapNode, Node, Scalar
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.config.syntax.text_file import read_text
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError

KINDS = ("hosts", "children", "vars")
_SECTION = re.compile(r"\[(?P<name>[^:\]\s]+)(?::(?P<kind>[^\]\s]*))?\]\s*(?:#.*)?")
_MOST_LINES = 100_000
_LONGEST_LINE = 256 * 1024
_HOPELESS, _SHOWN = 50, 10
"""With so many problems a file is hardly an inventory, as any text is read as INI; so many tell that."""
_HEADER_LIKE = re.compile(r"\[[^\]]*(\]\s*([;#].*)?)?")


def read_ini(path: Path, draft: Draft) -> None:
    """Take one INI inventory into ``draft``. Raises InputError when the file cannot be read as text."""
    reader, known = _Reader(str(path), draft), len(draft.problems)
    draft.ini_files.add(str(path))
    text = read_text(path, what="inventory")
    if text.count("\n") > _MOST_LINES:
        raise InputError(f"more than {_MOST_LINES:,} lines", where=str(path), hint="write ranges, or split the file")
    for number, line in enumerate(text.split("\n"), 1):
        reader.line(line, number)
    reader.finish()
    if len(draft.problems) - known >= _HOPELESS:
        draft.problems[known + _SHOWN :] = [
            replace(problem, one_of_many_in=str(path)) for problem in draft.problems[known + _SHOWN :]
        ]


@dataclass
class _Section:
    """Where the lines that follow belong; ``name`` is empty after a section that cannot be one."""

    name: str
    kind: str
    hosts: dict[str, int] = field(default_factory=dict)
    """The hosts written in it, and their lines."""


class _Reader:
    """Reads line after line; ``[group:vars]`` of the whole file are put together, as their keys must not repeat."""

    def __init__(self, file: str, draft: Draft) -> None:
        self._file = file
        self._draft = draft
        self._section = _Section("ungrouped", "hosts")
        self._hosts: dict[str, dict[str, int]] = {}
        self._variables: dict[str, tuple[Origin, dict[Hashable, Entry]]] = {}
        self._waiting: dict[str, list[tuple[GroupDraft, Origin]]] = {}

    def line(self, line: str, number: int) -> None:
        text = line.strip()
        if not text or text[0] in "#;":
            return
        column = len(line) - len(line.lstrip()) + 1
        origin = Origin(self._file, number, column)
        if len(text) > _LONGEST_LINE:
            hint = "put the host's variables into host_vars"
            self._draft.problem(f"a line of more than {_LONGEST_LINE:,} characters", origin, hint)
            return
        control = next((char for char in line.rstrip("\r") if (char < " " and char != "\t") or char == "\x7f"), "")
        if control:
            where = Origin(self._file, number, line.index(control) + 1)
            self._draft.problem(f"the control character U+{ord(control):04X} is not allowed", where, "remove it")
        elif (section := _SECTION.fullmatch(text)) is not None and not _is_address(text):
            self._begin(section, origin)
        elif _HEADER_LIKE.fullmatch(text) and not _is_address(text):
            self._draft.problem(
                f"{text[:80]!r} is not a section",
                origin,
                "write [group], [group:children] or [group:vars], without blanks; a comment begins with #",
            )
            self._section = _Section("", "hosts")
        elif self._section.kind == "vars":
            self._variable(text, origin)
        elif self._section.kind == "children":
            self._child(text, origin)
        else:
            self._host(line, number)

    def _begin(self, section: re.Match[str], origin: Origin) -> None:
        kind = "hosts" if section["kind"] is None else section["kind"]
        if kind not in KINDS:
            self._draft.problem(
                f"[{section[0][1:].split(']')[0]}]: unknown kind of section {kind!r}",
                origin,
                hint_for(kind, KINDS, what="kinds"),
            )
            self._section = _Section("", "hosts")
            return
        name_origin = Origin(origin.file, origin.line, origin.column + 1)
        if not self._draft.may_name_group(section["name"], name_origin):
            self._section = _Section("", kind)
            return
        self._section = _Section(section["name"], kind, self._hosts.setdefault(section["name"], {}))
        if kind == "vars":
            self._variables.setdefault(section["name"], (name_origin, {}))
        elif (group := self._draft.group(section["name"], name_origin)) is not None:
            self._declare(group)

    def _declare(self, group: GroupDraft) -> None:
        group.defined = True
        for parent, origin in self._waiting.pop(group.name, ()):
            self._draft.add_child(parent, group, origin)

    def _child(self, text: str, origin: Origin) -> None:
        name = re.split(r"\s+#", text, maxsplit=1)[0].rstrip()
        if not self._draft.may_name_group(name, origin) or not self._section.name:
            return
        parent = self._draft.groups[self._section.name]
        child = self._draft.groups.get(name)
        if child is not None and (child.defined or child.name == "all"):
            self._draft.add_child(parent, child, origin)
        else:
            # As in Ansible, a child that is described further down takes its place when it is.
            self._waiting.setdefault(name, []).append((parent, origin))

    def _variable(self, text: str, origin: Origin) -> None:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            self._draft.problem(f"{text[:80]!r} is not `key=value`", origin, "variables of a group are `key=value`")
            return
        place = Origin(origin.file, origin.line, origin.column + text.index("=") + 1)
        offset = len(text.partition("=")[2]) - len(text.partition("=")[2].lstrip())
        place = Origin(place.file, place.line, place.column + offset)
        node = self._value(value, place)
        if node is None or not self._section.name:
            return
        if isinstance(node, Scalar) and node.value == value and commented(value):
            self._draft.problem(
                f"{key}: what follows `#` would be part of the value",
                place,
                "put the comment on a line of its own, or the whole value in quotes",
            )
            return
        _, entries = self._variables[self._section.name]
        self._add(entries, key, node, origin)

    def _host(self, line: str, number: int) -> None:
        try:
            first, *words = split_words(line.rstrip("\r"))
        except Refused as error:
            where = Origin(self._file, number, int(error.at[0]))
            self._draft.problem(error.message, where, error.hint)
            return
        origin = Origin(self._file, number, first.column)
        entries: dict[Hashable, Entry] = {}
        for word in words:
            self._host_variable(word, entries, number)
        if not self._section.name:
            return
        if first.text.endswith(":"):
            self._draft.problem(
                f"{first.text!r} ends with a colon", origin, "a port belongs behind it; YAML inventories end in .yml"
            )
            return
        earlier = self._section.hosts.setdefault(first.text, number)
        if earlier != number and entries:
            self._draft.problem(
                f"host {first.text!r} is given twice in one group, first at line {earlier}",
                origin,
                "put all of its variables on one line",
            )
            return
        group = self._draft.groups[self._section.name]
        self._draft.add_hosts(group, first.text, origin, layers=[MapNode(entries, origin)] if entries else [])

    def _host_variable(self, word: Word, entries: dict[Hashable, Entry], number: int) -> None:
        key, equals, value = word.text.partition("=")
        origin = Origin(self._file, number, word.column)
        if not equals:
            self._draft.problem(
                f"{word.text[:80]!r} is not `key=value`",
                origin,
                "after a host's name stand its variables, without blanks around `=`; each host has its own line",
            )
            return
        node = self._value(value, Origin(self._file, number, word.column + len(key) + 1))
        if node is not None:
            self._add(entries, key, node, origin)

    def _value(self, text: str, origin: Origin) -> Node | None:
        try:
            return literal(text, origin)
        except Refused as error:
            self._draft.problem(error.message, origin, error.hint)
            return None

    def _add(self, entries: dict[Hashable, Entry], key: str, node: Node, origin: Origin) -> None:
        if key in entries:
            first = entries[key].key.origin.line
            self._draft.problem(f"the key {key!r} is given twice, first at line {first}", origin, "keep one of the two")
        else:
            entries[key] = Entry(Scalar(key, key, origin, quoted=True), node)

    def finish(self) -> None:
        for name, parents in self._waiting.items():
            for parent, origin in parents:
                child = self._draft.group(name, origin)
                if child is not None:
                    self._draft.add_child(parent, child, origin)
        for name, (origin, entries) in self._variables.items():
            group = self._draft.group(name, origin)
            if group is not None and entries:
                self._draft.add_group_variables(group, MapNode(entries, origin))


def _is_address(text: str) -> bool:
    """``[::1]`` or ``[::1]:22``: a host in brackets, and no section. Only a colon can tell them apart."""
    return re.match(r"\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[^\]]*)?\](:\d+|\s|$)", text) is not None and "::" in text
