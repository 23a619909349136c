"""A plan as text: what would change on which host and why, with the differences of files and container spec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from fleetdeploy.domain.forecast import Forecast, Foreseen
from fleetdeploy.domain.plan import Activation, HostPlan, ServicePlan
from fleetdeploy.domain.signatures import SignatureComparison
from fleetdeploy.report.host_names import heading
from fleetdeploy.report.plan import freeze, waves_text
from fleetdeploy.report.plan.changes_text import change_lines, container_lines, stage_lines
from fleetdeploy.report.plan.gpu_text import gpu_lines
from fleetdeploy.report.plan.refusal_text import refusal_lines, unreachable_lines
from fleetdeploy.report.plan.server_text import server_lines
from fleetdeploy.report.safe_text import safe_lines
from fleetdeploy.report.wording import counted, part, size
from fleetdeploy.rollout.host.watching import told_watch

MOST_TOLD = 500
_TRAFFIC = frozenset({"drain", "verify", "undrain"})


def lines(forecast: Forecast, *, diff: bool = True, every_name: bool = False) -> Iterator[Text]:
    """The plan. Hosts that change in the same way stand together, above what changes.

    Long lists of hosts are shortened; ``every_name`` shows them whole. Hosts and servers say what they like: what a
    terminal would obey is shown as an escape.
    """
    yield from safe_lines(_lines(forecast, diff=diff, every_name=every_name))


def told(forecast: Forecast) -> list[dict[str, list[str]]]:
    """What is done, for a run's events: ``hosts`` that change in the same way, and the ``lines`` above, without names.

    Of more than MOST_TOLD lines the last of them says how many are left out.
    """
    return [
        {"hosts": names, "lines": _first([line.plain for line in block])}
        for names, block in _blocks(forecast, diff=True)[0].values()
    ]


def _first(rows: list[str]) -> list[str]:
    more = len(rows) - MOST_TOLD
    return rows if more <= 0 else [*rows[:MOST_TOLD], f"  and {counted(more, 'line')} more"]


def last_line(forecast: Forecast) -> str:
    """What the plan comes to, in one sentence."""
    plan = forecast.plan
    parts = [f"{part(len(forecast.changing), len(plan.hosts) + len(plan.unreachable), 'host')} would change"]
    if pending := len(forecast.pending):
        parts.append(f"{pending} {'needs' if pending == 1 else 'need'} tasks not chosen")
    if plan.refusals:
        parts.append(f"{len({refusal.host for refusal in plan.refusals})} refused")
    if plan.unreachable:
        parts.append(f"{len(plan.unreachable)} unreachable")
    total = sum(
        item.copy_bytes
        for name, host in plan.hosts.items()
        for service in host.services
        if _does(forecast.work_on(name), service, "stage")
        for item in service.stage
    )
    if total:
        parts.append(f"{size(total)} to copy")
    if forecast.freeze and freeze.waiting(forecast):
        parts.append(f"frozen {freeze.until_in_words(forecast.freeze)}")
    if forecast.refusals:
        parts.append("the run would be refused")
    elif not plan.refusals and not forecast.idle and (expected := waves_text.in_words(forecast.expected)):
        parts.append(expected)
    return "PLAN: " + ", ".join(parts)


def _lines(forecast: Forecast, *, diff: bool, every_name: bool) -> Iterator[Text]:
    plan = forecast.plan
    yield from unreachable_lines(plan, every_name=every_name)
    yield from refusal_lines(plan, every_name=every_name)
    for name, host in plan.hosts.items():
        for seen in host.observed.services.values():
            if watch := told_watch(seen):
                yield Text(f"{name}: {seen.name}: {watch.told}", style="yellow")
    blocks, same = _blocks(forecast, diff=diff)
    for names, block in blocks.values():
        yield from (Text(row, style="bold") for row in heading(names, every_name=every_name))
        yield from block
    if same:
        yield from (Text(row, style="green") for row in heading(same, before="no change: ", every_name=every_name))
    if not forecast.idle or forecast.refusals:
        yield from waves_text.lines(forecast, every_name=every_name)
    yield from freeze.lines(forecast)


_Blocks = dict[tuple[str, ...], tuple[list[str], list[Text]]]


def _blocks(forecast: Forecast, *, diff: bool) -> tuple[_Blocks, list[str]]:
    """What changes, once for the hosts that it is the same for; and the hosts on which nothing does."""
    blocks, same = _Blocks(), list[str]()
    for name, host in forecast.plan.hosts.items():
        if host.refusals:
            continue
        block = list(_host(forecast, name, host, diff=diff))
        if block:
            blocks.setdefault(tuple(line.plain for line in block), ([], block))[0].append(name)
        else:
            same.append(name)
    return blocks, same


def _host(forecast: Forecast, name: str, host: HostPlan, *, diff: bool) -> Iterator[Text]:
    """Nothing for a host on which nothing is done and that needs nothing."""
    work, pending = forecast.work_on(name), forecast.pending.get(name, ())
    whole = False
    for service in host.services:
        if not service.changed:
            continue
        lacking = [need for need in pending if need.service == service.desired.name]
        if lacking and not _does(work, service, "activate"):
            yield from _in_part(service, work or (), diff=diff)
        else:
            whole = True
            yield from _service(service, work, diff=diff)
            for compared in host.signatures:
                if compared.service == service.desired.name:
                    yield from _signatures(compared)
        for need in lacking:
            yield Text(f"    not with these tasks: {need.what}", style="dim")
    if whole:
        yield from gpu_lines(host)
    for text in forecast.further(name):
        yield Text(f"  {text}")


def _service(plan: ServicePlan, work: Sequence[Foreseen] | None, *, diff: bool) -> Iterator[Text]:
    yield (
        Text(f"  service {plan.desired.name}: ")
        + Text(plan.activation.value, style="yellow")
        + Text(f", {plan.reason}")
    )
    yield from _brought(plan, work, diff=diff)
    if plan.undrain and _does(work, plan, "undrain"):
        yield Text("    put back into its balancer: an earlier run drained it and ended")
    yield from change_lines(plan, diff=diff)
    if plan.activation is Activation.START:
        yield from container_lines(plan, diff=diff)
    yield from server_lines(plan)


def _in_part(plan: ServicePlan, work: Sequence[Foreseen], *, diff: bool) -> Iterator[Text]:
    """A service that is not activated by the tasks that were chosen: only what they do is told."""
    yield Text(f"  service {plan.desired.name}")
    yield from _brought(plan, work, diff=diff)
    for item in work:
        if item.service == plan.desired.name and item.task in _TRAFFIC:
            yield Text(f"    {item.task}: {item.summary}")


def _brought(plan: ServicePlan, work: Sequence[Foreseen] | None, *, diff: bool) -> Iterator[Text]:
    if _does(work, plan, "stage"):
        for item in plan.stage:
            yield from stage_lines(item, diff=diff)
    if plan.pull_image and _does(work, plan, "pull_image"):
        yield Text(f"    pull image {plan.desired.wish.image}")


def _does(work: Sequence[Foreseen] | None, plan: ServicePlan, task: str) -> bool:
    return work is None or any(item.task == task and item.service == plan.desired.name for item in work)


def _signatures(compared: SignatureComparison) -> Iterator[Text]:
    """What callers of the served version will see, and whatever could not be compared."""
    name = f"{compared.model}/{compared.new}" + (f" ({compared.labelled})" if compared.label else "")
    if compared.unknown:
        yield Text(f"    signatures of {name} not compared: {compared.unknown}", style="yellow")
    for change in compared.changes:
        style = "red" if change.breaking else "green"
        allowed = ", breaks callers, allowed" if change.breaking else ""
        yield Text(f"    signature of {name}: {change}{allowed}", style=style)
