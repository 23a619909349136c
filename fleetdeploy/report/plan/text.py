"""A plan as text: what would change on which host and why, with the differences of files and container spec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.plan import Activation, HostPlan, ServicePlan
from fleetdeploy.domain.signatures import SignatureComparison
from fleetdeploy.report.plan import waves_text
from fleetdeploy.report.plan.changes_text import change_lines, container_lines, stage_lines
from fleetdeploy.report.plan.gpu_text import gpu_lines
from fleetdeploy.report.plan.server_text import server_lines
from fleetdeploy.report.wording import part, size


def lines(forecast: Forecast, *, diff: bool = True) -> Iterator[Text]:
    """The plan. Hosts that change in the same way stand together, above what changes."""
    plan, further = forecast.plan, forecast.further
    same: list[str] = []
    blocks: dict[tuple[str, ...], tuple[list[str], list[Text]]] = {}
    for name, reason in plan.unreachable.items():
        yield Text(f"{name}: UNREACHABLE: {reason}", style="red")
    for name, host in plan.hosts.items():
        if host.refusals:
            yield from _refusals(host)
        elif host.changed or further.get(name):
            block = list(_host(host, further.get(name, ()), diff=diff))
            blocks.setdefault(tuple(line.plain for line in block), ([], block))[0].append(name)
        else:
            same.append(name)
    for names, block in blocks.values():
        yield Text(", ".join(names), style="bold")
        yield from block
    if same:
        yield Text(f"no change: {', '.join(same)}", style="green")
    yield from waves_text.lines(forecast)


def last_line(forecast: Forecast) -> str:
    """What the plan comes to, in one sentence."""
    plan = forecast.plan
    parts = [f"{part(len(forecast.changing), len(plan.hosts) + len(plan.unreachable), 'host')} would change"]
    if plan.refusals:
        parts.append(f"{len({refusal.host for refusal in plan.refusals})} refused")
    if plan.unreachable:
        parts.append(f"{len(plan.unreachable)} unreachable")
    total = sum(item.copy_bytes for host in plan.hosts.values() for service in host.services for item in service.stage)
    if total:
        parts.append(f"{size(total)} to copy")
    if forecast.refusals:
        parts.append("the run would be refused")
    elif expected := waves_text.in_words(forecast.expected):
        parts.append(expected)
    return "PLAN: " + ", ".join(parts)


def _refusals(host: HostPlan) -> Iterator[Text]:
    for refusal in host.refusals:
        yield Text(f"{refusal.host}: REFUSED: {refusal.message}", style="red")
        if refusal.hint:
            yield Text(f"    {refusal.hint}")


def _host(host: HostPlan, further: Sequence[str], *, diff: bool) -> Iterator[Text]:
    for service in host.services:
        if service.changed:
            yield from _service(service, diff=diff)
            for compared in host.signatures:
                if compared.service == service.desired.name:
                    yield from _signatures(compared)
    yield from gpu_lines(host)
    for text in further:
        yield Text(f"  {text}")


def _service(plan: ServicePlan, *, diff: bool) -> Iterator[Text]:
    yield (
        Text(f"  service {plan.desired.name}: ")
        + Text(plan.activation.value, style="yellow")
        + Text(f", {plan.reason}")
    )
    for item in plan.stage:
        yield from stage_lines(item, diff=diff)
    if plan.pull_image:
        yield Text(f"    pull image {plan.desired.wish.image}")
    if plan.undrain:
        yield Text("    put back into its balancer: an earlier run drained it and ended")
    yield from change_lines(plan, diff=diff)
    if plan.activation is Activation.START:
        yield from container_lines(plan, diff=diff)
    yield from server_lines(plan)


def _signatures(compared: SignatureComparison) -> Iterator[Text]:
    """What callers of the served version will see, and whatever could not be compared."""
    name = f"{compared.model}/{compared.new}" + (f" ({compared.labelled})" if compared.label else "")
    if compared.unknown:
        yield Text(f"    signatures of {name} not compared: {compared.unknown}", style="yellow")
    for change in compared.changes:
        style = "red" if change.breaking else "green"
        allowed = ", breaks callers, allowed" if change.breaking else ""
        yield Text(f"    signature of {name}: {change}{allowed}", style=style)
