"""Differences as a plan shows them: of a file row by row, of a container field by field. Secrets are masked."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from rich.text import Text

from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import Change, ServicePlan
from fleetdeploy.planning.container import GRPC_PORT, REST_PORT, shown_environment

CONTAINER = "container."
_PORTS = {str(GRPC_PORT): "gRPC", str(REST_PORT): "REST"}


def shown_fields(plan: ServicePlan) -> dict[str, object]:
    """The fields of the container that a plan makes, secrets masked."""
    fields = plan.container.fields()
    environment = fields["environment"]
    assert isinstance(environment, dict)
    return {**fields, "environment": dict(shown_environment(environment))}


def change_lines(plan: ServicePlan, *, diff: bool) -> Iterator[Text]:
    """Everything that differs between what the host has and what the service shall be."""
    for change in plan.changes:
        yield from _lines(_in_words(change, plan), diff=diff)


def container_lines(plan: ServicePlan, *, diff: bool) -> Iterator[Text]:
    """The container that is started: whole when it is the first, else how it differs from the recorded one."""
    before, after = _recorded(plan), plan.container.fields()
    if before == after:
        yield Text("    the same container as before")
    elif before:
        for name in sorted(name for name in after if before.get(name) != after[name]):
            yield from _lines(_in_words(Change(f"{CONTAINER}{name}", "", ""), plan), diff=diff)
    elif diff:
        for name, value in after.items():
            if value:
                yield Text(f"    + {name}: {_field(name, value, plan)}", style="green")


def _recorded(plan: ServicePlan) -> Mapping[str, object]:
    release = plan.observed.release
    return dict(release.value.container) if isinstance(release, Present) else {}


def _in_words(change: Change, plan: ServicePlan) -> Change:
    """A change of the container with both values as people write them, and alike on hosts that differ in address."""
    if not change.what.startswith(CONTAINER):
        return change
    name = change.what.removeprefix(CONTAINER)
    before, after = _recorded(plan).get(name, ""), plan.container.fields()[name]
    said_before, said_after = _field(name, before, plan), _field(name, after, plan)
    if said_before == said_after and before != after:
        said_after += " (a secret changed)"
    return Change(change.what, said_before, said_after)


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


def _field(name: str, value: object, plan: ServicePlan) -> str:
    """One field of a container, secrets masked."""
    if name == "image_id" and not value:
        return "(to be pulled)"
    if name == "ports" and isinstance(value, dict):
        return _ports(value, plan)
    if name == "environment" and isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in shown_environment(value).items())
    if isinstance(value, list):
        return " ".join(":".join(map(str, item)) if isinstance(item, list) else str(item) for item in value)
    return str(value)


def _ports(value: Mapping[str, object], plan: ServicePlan) -> str:
    """``gRPC 8500 on 10.0.0.0/8``: where the address is this host's own, what the inventory says stands for it."""
    own = {address for address, _ in plan.container.ports.values()}
    words = []
    for inner, place in value.items():
        if not isinstance(place, list) or len(place) != 2:
            return str(value)
        address, port = place
        words.append(f"{_PORTS.get(inner, inner)} {port} on {plan.desired.wish.bind if address in own else address}")
    return ", ".join(words)
