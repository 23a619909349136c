"""A plan as text: what would change on which host and why, with the differences of files and container spec."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import Activation, Change, HostPlan, Plan, ServicePlan
from fleetdeploy.domain.signatures import SignatureComparison
from fleetdeploy.planning.container import GRPC_PORT, REST_PORT, shown_environment
from fleetdeploy.report.wording import part

CONTAINER = "container."
_PORTS = {str(GRPC_PORT): "gRPC", str(REST_PORT): "REST"}


def lines(plan: Plan, extra: Mapping[str, Sequence[str]], *, diff: bool = True) -> Iterator[Text]:
    """The plan. Hosts that change in the same way stand together, above what changes.

    ``extra`` names further work of the playbook on a host, such as versions to prune.
    """
    same: list[str] = []
    blocks: dict[tuple[str, ...], tuple[list[str], list[Text]]] = {}
    for name, reason in plan.unreachable.items():
        yield Text(f"{name}: UNREACHABLE: {reason}", style="red")
    for name, host in plan.hosts.items():
        if host.refusals:
            yield from _refusals(host)
        elif host.changed or extra.get(name):
            block = list(_host(host, extra.get(name, ()), diff=diff))
            blocks.setdefault(tuple(line.plain for line in block), ([], block))[0].append(name)
        else:
            same.append(name)
    for names, block in blocks.values():
        yield Text(", ".join(names), style="bold")
        yield from block
    if same:
        yield Text(f"no change: {', '.join(same)}", style="green")


def last_line(plan: Plan, extra: Mapping[str, Sequence[str]]) -> str:
    """What the plan comes to, in one sentence."""
    changing = [name for name, host in plan.hosts.items() if host.changed or extra.get(name)]
    parts = [f"{part(len(changing), len(plan.hosts) + len(plan.unreachable), 'host')} would change"]
    if plan.refusals:
        parts.append(f"{len({refusal.host for refusal in plan.refusals})} refused")
    if plan.unreachable:
        parts.append(f"{len(plan.unreachable)} unreachable")
    total = sum(item.copy_bytes for host in plan.hosts.values() for service in host.services for item in service.stage)
    if total:
        parts.append(f"{size(total)} to copy")
    return "PLAN: " + ", ".join(parts)


def shown_fields(plan: ServicePlan) -> dict[str, object]:
    """The fields of the container that a plan makes, secrets masked."""
    fields = plan.container.fields()
    environment = fields["environment"]
    assert isinstance(environment, dict)
    return {**fields, "environment": dict(shown_environment(environment))}


def size(count: int) -> str:
    """A number of bytes with a binary unit."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} {units[0]}" if value >= 10 or units[0] == "B" else f"{value:.1f} {units[0]}"


def _refusals(host: HostPlan) -> Iterator[Text]:
    for refusal in host.refusals:
        yield Text(f"{refusal.host}: REFUSED: {refusal.message}", style="red")
        if refusal.hint:
            yield Text(f"    {refusal.hint}")


def _host(host: HostPlan, extra: Sequence[str], *, diff: bool) -> Iterator[Text]:
    for service in host.services:
        if service.changed:
            yield from _service(service, diff=diff)
            for compared in host.signatures:
                if compared.service == service.desired.name:
                    yield from _signatures(compared)
    for text in extra:
        yield Text(f"  {text}")


def _service(plan: ServicePlan, *, diff: bool) -> Iterator[Text]:
    yield (
        Text(f"  service {plan.desired.name}: ")
        + Text(plan.activation.value, style="yellow")
        + Text(f", {plan.reason}")
    )
    for item in plan.stage:
        linked = f", the rest linked from {item.link_from}" if item.link_from is not None else ""
        number = f"{item.model}/{item.version.number}"
        yield Text(f"    stage {number}: copy {size(item.copy_bytes)}{linked}")
    if plan.pull_image:
        yield Text(f"    pull image {plan.desired.wish.image}")
    if plan.undrain:
        yield Text("    put back into its balancer: an earlier run drained it and ended")
    for change in plan.changes:
        yield from _change(_in_words(change, plan), diff=diff)
    if plan.activation is Activation.START:
        yield from _container(plan, diff=diff)


def _signatures(compared: SignatureComparison) -> Iterator[Text]:
    """What callers of the served version will see, and whatever could not be compared."""
    if compared.unknown:
        yield Text(
            f"    signatures of {compared.model}/{compared.new} not compared: {compared.unknown}", style="yellow"
        )
    for change in compared.changes:
        style = "red" if change.breaking else "green"
        allowed = ", breaks callers, allowed" if change.breaking else ""
        yield Text(f"    signature of {compared.model}/{compared.new}: {change}{allowed}", style=style)


def _container(plan: ServicePlan, *, diff: bool) -> Iterator[Text]:
    """The container that is started: whole when it is the first, else how it differs from the recorded one."""
    before, after = _recorded(plan), plan.container.fields()
    if before == after:
        yield Text("    the same container as before")
    elif before:
        for name in sorted(name for name in after if before.get(name) != after[name]):
            yield from _change(_in_words(Change(f"{CONTAINER}{name}", "", ""), plan), diff=diff)
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


def _change(change: Change, *, diff: bool) -> Iterator[Text]:
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
