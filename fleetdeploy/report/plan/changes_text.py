"""Differences as a plan shows them: a file row by row, a directory file by file, a container field by field."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from rich.text import Text

from fleetdeploy.domain.plan import Activation, Change, FileKind, ServicePlan, StageItem
from fleetdeploy.report.plan.container_changes import (
    FieldChange,
    container_changes,
    in_words,
    recorded,
)
from fleetdeploy.report.wording import counted, size

CONTAINER = "container."
FILES = 8
"""Rows of a directory's difference that are shown."""
_SIGNS = {FileKind.ADDED: ("+", "green"), FileKind.CHANGED: ("~", "yellow"), FileKind.REMOVED: ("-", "red")}


def stage_lines(item: StageItem, *, diff: bool) -> Iterator[Text]:
    """A version directory to be put in place, with the files that differ from those of the version before."""
    files = item.files
    linked = f", the rest linked from {item.link_from}" if item.link_from is not None else ""
    other = files.against is not None and files.against != item.link_from
    compared = f", compared with {files.against}" if other and files.changes else ""
    yield Text(f"    stage {item.model}/{item.version.number}: copy {size(item.copy_bytes)}{linked}{compared}")
    if not diff or files.against is None:
        return
    for change in files.changes[:FILES]:
        sign, style = _SIGNS[change.kind]
        took = "" if change.kind is FileKind.REMOVED else f"  {size(change.size_bytes)}"
        yield Text(f"      {sign} {change.path}{took}", style=style)
    if more := files.changes[FILES:]:
        yield Text(f"      and {counted(len(more), 'file')} more")


def change_lines(plan: ServicePlan, *, diff: bool) -> Iterator[Text]:
    """Everything that differs between what the host has and what the service shall be."""
    if plan.activation is Activation.REPLACE:
        for field in container_changes(plan):
            yield from _field_lines(field)
    for change in plan.changes:
        yield from _lines(change, diff=diff)


def container_lines(plan: ServicePlan, *, diff: bool) -> Iterator[Text]:
    """The container that is started: whole when it is the first, else how it differs from the recorded one."""
    if not recorded(plan):
        for name, value in plan.container.fields().items() if diff else ():
            if value:
                yield Text(f"    + {name}: {in_words(name, value, plan)}", style="green")
        return
    changes = container_changes(plan)
    if not changes:
        yield Text("    the same container as before")
    for change in changes:
        yield from _field_lines(change)


def _field_lines(change: FieldChange) -> Iterator[Text]:
    """A field with its values, or, one line each, the entries in it that differ."""
    name = f"{CONTAINER}{change.name}"
    for entry in change.entries:
        if entry.before is None:
            yield Text(f"    {name}: +{entry.after}", style="green")
        elif entry.after is None:
            yield Text(f"    {name}: -{entry.before}", style="red")
        else:
            yield Text(f"    {name}: {entry.before} -> {entry.after}")
    if not change.entries:
        yield Text(f"    {name}: {change.before or '(none)'} -> {change.after or '(none)'}")


def _lines(change: Change, *, diff: bool) -> Iterator[Text]:
    if "\n" not in change.before + change.after:
        yield Text(f"    {change.what}: {change.before or '(none)'} -> {change.after or '(none)'}")
        return
    yield Text(f"    {change.what}")
    if not diff:
        return
    rows = difflib.unified_diff(change.before.splitlines(), change.after.splitlines(), lineterm="", n=1)
    for row in list(rows)[2:]:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(row[:1], "")
        yield Text(f"      {row}", style=style)
