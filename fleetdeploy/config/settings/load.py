"""Reads ``fleetdeploy.yml``, which a project may have beside its playbooks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fleetdeploy.config.fields.schema import check, shown
from fleetdeploy.config.settings.schema import NotifyFields, SettingsFields
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import Entry, ListNode, MapNode, Node, Scalar, find
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.text_file import exists, home_path
from fleetdeploy.domain.freeze import FreezeWindow
from fleetdeploy.domain.settings import Recipient, Settings, SyncSettings
from fleetdeploy.errors import InputError, Problem

FILE = "fleetdeploy.yml"
_MISNAMED = ("fleetdeploy.yaml", "fleetdeploy.json", "Fleetdeploy.yml")


def load_settings(project: Path, *, secrets: Secrets | None = None) -> Settings:
    """The settings of the project; those of none where it has no such file. Raises InputError with every problem."""
    path = project / FILE
    if not exists(path):
        for name in _MISNAMED:
            if exists(project / name):
                raise InputError("settings are not read from here", where=str(project / name), hint=f"name it {FILE}")
        return Settings()
    root = _with_on(yaml.load(path, what="settings file", secrets=secrets))
    if isinstance(root, Scalar) and root.is_null:
        return Settings()
    if not isinstance(root, MapNode):
        raise InputError(
            f"settings are a mapping, got {shown(root)}", where=str(root.origin), hint="write keys such as `freeze:`"
        )
    problems: list[Problem] = []
    fields = check(SettingsFields, root, problems)
    problems += _contradictions(root)
    if problems or fields is None:
        raise InputError(problems=problems)
    return _settings(fields, project)


def _settings(fields: SettingsFields, project: Path) -> Settings:
    sync = fields.sync
    return Settings(
        freeze=tuple(FreezeWindow(item.when, item.lasts, item.zone, item.reason) for item in fields.freeze),
        notify=tuple(_recipient(item, project) for item in fields.notify),
        textfile=project / home_path(fields.textfile) if fields.textfile else None,
        sync=SyncSettings(
            playbook=project / home_path(sync.playbook) if sync.playbook else None,
            limit=sync.limit,
            splay_s=sync.splay,
            max_hosts=sync.max_hosts,
            retry_after_s=sync.retry_after,
        ),
    )


def _recipient(fields: NotifyFields, project: Path) -> Recipient:
    command, retries = fields.command, fields.retries
    if command and "/" in command[0]:
        # Not joined by Path, which drops the `./` that keeps it from being looked for on PATH.
        command = (os.path.join(_folder(project), command[0]), *command[1:])  # noqa: PTH118
    if command and "retries" not in fields.model_fields_set:
        retries = 0  # it may have told somebody before it failed, and nobody is paged three times
    return Recipient(fields.url, command, dict(fields.headers), fields.on, fields.timeout, retries)


def _folder(project: Path) -> str:
    return "" if project == Path() else str(project)


def _with_on(root: Node) -> Node:
    """With ``on`` of a recipient as the word it is: YAML 1.1 reads it as a boolean."""
    notify = find(root, ("notify",))
    if not isinstance(root, MapNode) or not isinstance(notify, ListNode):
        return root
    items = tuple(_on_is_a_word(item) if isinstance(item, MapNode) else item for item in notify.items)
    entry = replace(root.entries["notify"], value=ListNode(items, notify.origin))
    return MapNode({**root.entries, "notify": entry}, root.origin)


def _on_is_a_word(node: MapNode) -> MapNode:
    entry = node.entries.get(True)
    if entry is None or entry.key.raw != "on" or "on" in node.entries:
        return node
    word = Entry(replace(entry.key, value="on", quoted=True), entry.value)
    return MapNode({("on" if key is True else key): word if key is True else item
                    for key, item in node.entries.items()}, node.origin)  # fmt: skip


def _contradictions(root: MapNode) -> Iterator[Problem]:
    """Keys that do not go together, each with its place."""
    notify = root.get("notify")
    for index, item in enumerate(notify.items if isinstance(notify, ListNode) else ()):
        if not isinstance(item, MapNode):
            continue
        what = f"notify[{index}]"
        if "url" in item.entries and "command" in item.entries:
            place = str(item.entries["command"].key.origin)
            yield Problem(f"{what}.command: `url` stands here already", place, "make two entries of it")
        elif "url" not in item.entries and "command" not in item.entries:
            yield Problem(f"{what}: nobody is named", str(item.origin), "write `url:` or `command:`")
        elif "headers" in item.entries and "url" not in item.entries:
            place = str(item.entries["headers"].key.origin)
            yield Problem(f"{what}.headers: a command has none", place, "remove it")
    textfile = root.get("textfile")
    if isinstance(textfile, Scalar) and isinstance(textfile.value, str) and not textfile.value.endswith(".prom"):
        hint = "the node exporter reads files that end with .prom"
        yield Problem(f"textfile: {shown(textfile)} would never be read", str(textfile.origin), hint)
