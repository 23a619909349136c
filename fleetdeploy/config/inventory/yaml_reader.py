"""Ansible's YAML inventories: groups with ``hosts``, ``vars`` and ``children``, nested as deep as one likes.

See Ansible's ``ansible.builtin.yaml`` inventory plugin for the shape. What it skips with a warning (an unknown section,
an invalid name) is refused here.
"""

from __future__ import annotations

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.inventory.draft import Draft, GroupDraft
from fleetdeploy.config.syntax.nodes import Entry, MapNode, Node, Scalar
from fleetdeploy.config.syntax.suggest import hint_for

SECTIONS = ("hosts", "vars", "children")


def read_yaml(root: Node, draft: Draft) -> None:
    """Take one inventory file into ``draft``, its problems too."""
    if isinstance(root, Scalar) and root.is_null:
        draft.problem("no hosts defined: the file is empty", root.origin, "write `all:`, below it `hosts:`")
    elif not isinstance(root, MapNode):
        draft.problem(
            f"an inventory is a mapping of groups, got {shown(root)}",
            root.origin,
            "write `all:`, below it `hosts:` with one `name:` a line",
        )
    elif "plugin" in root.entries:
        draft.problem("inventory plugins are not run", root.origin, "write the hosts down, or export them as YAML")
    elif not _looks_like_groups(root):
        draft.problem(
            f"{', '.join(str(key) for key in root.entries)}: this stands where groups are expected",
            root.origin,
            "put it below `all:`",
        )
    else:
        for entry in root:
            _group(draft, entry, parent=None)


def _group(draft: Draft, entry: Entry, *, parent: GroupDraft | None) -> None:
    origin = entry.key.origin
    if not isinstance(entry.key.value, str):
        draft.problem(
            f"{entry.key.raw[:80]!r} is not a group's name", origin, "names are text: quote it if that is meant"
        )
        return
    group = draft.group(entry.key.value, origin)
    if group is None or (parent is not None and not draft.add_child(parent, group, origin)):
        return
    if parent is None and group.name != "all":
        group.defined = True
    body = entry.value
    if isinstance(body, Scalar) and body.is_null:
        return
    if not isinstance(body, MapNode):
        draft.problem(f"group {group.name!r}: expected {', '.join(SECTIONS)}, got {shown(body)}", body.origin)
        return
    group.defined = True
    for section in body:
        _section(draft, group, section)


def _section(draft: Draft, group: GroupDraft, entry: Entry) -> None:
    section = entry.key.value
    if section not in SECTIONS:
        draft.problem(
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
        draft.problem(
            f"group {group.name!r}: `{section}` is a mapping, got {shown(body)}",
            body.origin,
            "write each name on its own line, followed by a colon" if section != "vars" else "",
        )
    elif section == "vars":
        draft.add_group_variables(group, body)
    elif section == "children":
        for child in body:
            _group(draft, child, parent=group)
    else:
        for host in body:
            _hosts(draft, group, host)


def _hosts(draft: Draft, group: GroupDraft, entry: Entry) -> None:
    if not isinstance(entry.key.value, str):
        draft.problem(f"the host name {shown(entry.key)} is not text", entry.key.origin, f'quote it: "{entry.key.raw}"')
        return
    body = entry.value
    if not isinstance(body, MapNode) and not (isinstance(body, Scalar) and body.is_null):
        draft.problem(
            f"host {entry.key.value!r}: expected variables, got {shown(body)}",
            body.origin,
            "write `name: value` pairs below the host, or nothing",
        )
        body = Scalar(None, "", body.origin)
    layers = (body,) if isinstance(body, MapNode) else ()
    draft.add_hosts(group, entry.key.value, entry.key.origin, layers=layers)


def _looks_like_groups(root: MapNode) -> bool:
    """False when the sections of a group stand at the top level, without a group above them."""
    return not set(root.entries) & {"hosts", "children"} or all(
        isinstance(entry.value, MapNode) and set(entry.value.entries) <= set(SECTIONS) and entry.value.entries
        for entry in root
    )
