"""Executable inventories: what a program prints for ``--list`` (and ``--host NAME``), as groups and hosts.

See Ansible's guide "Developing dynamic inventory" and its ``ansible.builtin.script`` plugin. A group is a mapping of
``hosts``, ``children`` and ``vars``, or a list of hosts; ``_meta.hostvars`` spares one call for each host. Keys of
other names, which Ansible passes over or takes for a host's variables, are refused, and so is a key given twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.inventory.draft import Draft, GroupDraft
from fleetdeploy.config.inventory.ranges import check_host_name
from fleetdeploy.config.syntax.composer import MAX_DEPTH, MAX_NODES
from fleetdeploy.config.syntax.nodes import Entry, ListNode, MapNode, Node, Scalar
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.redaction import SHOWN
from fleetdeploy.errors import InputError

SECTIONS = ("hosts", "vars", "children")
_META = "_meta"
_VAULT = "__ansible_vault"
AT = ":$"
"""Stands between the program's path and the place in its JSON: ``inventory.py:$.web.vars.rack``."""


def read_script(
    path: Path,
    draft: Draft,
    *,
    run_script: Callable[[Path, Sequence[str]], str] | None,
    secrets: Secrets | None = None,
) -> None:
    """Take the groups and hosts of a program into ``draft``. Raises InputError when it fails or prints no JSON."""
    if run_script is None:
        raise InputError("executable inventories are not run here", where=str(path), hint="write its output to a file")
    root = _vaulted(_parse(run_script(path, ("--list",)), f"{path}{AT}"), secrets)
    if not isinstance(root, MapNode):
        raise InputError(
            f"--list gave {shown(root)}", where=str(path), hint="expected a JSON mapping of groups, and `_meta`"
        )
    meta = root.get(_META)
    for entry in root:
        if entry.key.value != _META:
            _group(draft, entry)
    if meta is None:
        for name in _hosts_of(root):
            variables = _parse(run_script(path, ("--host", name)) or "{}", f"{path} --host {name}{AT}")
            _host_variables(draft, name, _vaulted(variables, secrets))
        return
    hostvars = meta.get("hostvars") if isinstance(meta, MapNode) else meta
    if not isinstance(hostvars, MapNode):
        draft.problem(f"_meta.hostvars: expected a mapping of hosts, got {shown(hostvars)}", meta.origin)
        return
    known = _hosts_of(root)
    for entry in hostvars:
        name = str(entry.key.value)
        if name in known:
            _host_variables(draft, name, entry.value)
        elif not isinstance(entry.value, MapNode) or entry.value.entries:
            draft.problem(
                f"_meta.hostvars has variables of {name!r}, which is in no group",
                entry.key.origin,
                hint_for(name, known, what="hosts") or "list it as a host of some group",
            )


def _hosts_of(root: MapNode) -> dict[str, None]:
    """All hosts that the groups of a program's output name."""
    found: dict[str, None] = {}
    for entry in root:
        hosts = entry.value.get("hosts") if isinstance(entry.value, MapNode) else entry.value
        if entry.key.value != _META and isinstance(hosts, ListNode):
            found.update(dict.fromkeys(str(item.plain()) for item in hosts.items if isinstance(item, Scalar)))
    return found


def _host_variables(draft: Draft, name: str, variables: Node) -> None:
    host = draft.hosts.get(name)
    if not isinstance(variables, MapNode):
        draft.problem(f"the variables of host {name!r} are a mapping, got {shown(variables)}", variables.origin)
    elif host is not None and variables.entries:
        host.variables.append(variables)


def _group(draft: Draft, entry: Entry) -> None:
    group = draft.group(str(entry.key.value), entry.key.origin)
    if group is None:
        return
    group.defined = True
    body = entry.value
    if isinstance(body, ListNode):
        _hosts(draft, group, body)
        return
    if not isinstance(body, MapNode):
        draft.problem(f"group {group.name!r}: expected a list of hosts or a mapping, got {shown(body)}", body.origin)
        return
    for section in body:
        name = section.key.raw
        expected = MapNode if name == "vars" else ListNode
        if name not in SECTIONS:
            draft.problem(
                f"group {group.name!r}: unknown key {name!r}",
                section.key.origin,
                hint_for(name, SECTIONS, what="a group has"),
            )
        elif not isinstance(section.value, expected):
            what = "a mapping" if name == "vars" else "a list"
            draft.problem(f"group {group.name!r}: `{name}` is {what}, got {shown(section.value)}", section.value.origin)
        elif isinstance(section.value, MapNode):
            draft.add_group_variables(group, section.value)
        elif name == "hosts":
            _hosts(draft, group, section.value)
        else:
            _children(draft, group, section.value)


def _hosts(draft: Draft, group: GroupDraft, hosts: ListNode) -> None:
    for item in hosts.items:
        name = item.plain()
        try:
            # A program names each host: neither ranges nor ports are read, as in Ansible.
            if not isinstance(name, str):
                raise Refused(f"the host name {shown(item)} is not text", "put it in quotes")
            check_host_name(name)
        except Refused as error:
            draft.problem(error.message, item.origin, error.hint)
            continue
        draft.add_host(group, name, item.origin)


def _children(draft: Draft, group: GroupDraft, children: ListNode) -> None:
    for item in children.items:
        name = item.plain()
        child = draft.group(name if isinstance(name, str) else shown(item), item.origin)
        if child is not None:
            draft.add_child(group, child, item.origin)


class _Twice(ValueError):
    """A JSON object with two equal keys."""


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _parse(text: str, place: str) -> Node:
    try:
        value = json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except _Twice as error:
        raise InputError(
            f"the key {str(error)!r} is given twice in one mapping", where=place.removesuffix(AT), hint="keep one"
        ) from None
    except (ValueError, RecursionError) as error:
        where = place.removesuffix(AT)
        raise InputError(f"what it printed is no JSON: {error}", where=where, hint="run it by hand") from None
    return _node(value, place, _Budget())


def _vaulted(node: Node, secrets: Secrets | None) -> Node:
    """Ansible's JSON for an inline vault block, ``{"__ansible_vault": "…"}``, as the secret that it is."""
    if secrets is None or isinstance(node, Scalar):
        return node
    if isinstance(node, ListNode):
        return ListNode(tuple(_vaulted(item, secrets) for item in node.items), node.origin)
    block = node.get(_VAULT)
    if len(node.entries) == 1 and isinstance(block, Scalar) and isinstance(block.value, str):
        try:
            return Scalar(secrets.vaulted(block.value, node.origin), SHOWN, node.origin, quoted=True)
        except Refused as error:
            raise InputError(error.message, where=str(node.origin), hint=error.hint) from None
    entries = {key: Entry(entry.key, _vaulted(entry.value, secrets)) for key, entry in node.entries.items()}
    return MapNode(entries, node.origin)


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON value")


class _Budget:
    """How many values may still come."""

    def __init__(self) -> None:
        self.left = MAX_NODES


def _node(value: object, place: str, budget: _Budget, depth: int = 0) -> Node:
    origin = Origin(place)
    budget.left -= 1
    if budget.left < 0 or depth > MAX_DEPTH:
        limit = f"nested more than {MAX_DEPTH} levels deep" if depth > MAX_DEPTH else f"more than {MAX_NODES:,} values"
        raise InputError(limit, where=place, hint="let the program print less")
    if isinstance(value, Mapping):
        entries = {}
        for key, item in value.items():
            inner = f"{place}.{key}"
            entries[key] = Entry(Scalar(key, key, Origin(inner), quoted=True), _node(item, inner, budget, depth + 1))
        return MapNode(entries, origin)
    if isinstance(value, list):
        items = (_node(item, f"{place}[{index}]", budget, depth + 1) for index, item in enumerate(value))
        return ListNode(tuple(items), origin)
    text = json.dumps(value) if not isinstance(value, str) else value
    return Scalar(value, text, origin, quoted=isinstance(value, str))
