"""What each host serves now, one block a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from fleetdeploy.domain.observed import ObservedService, PoolMember, Present, Reading, Traffic, Unknown, VersionState
from fleetdeploy.domain.plan import HostPlan, Plan, ServicePlan
from fleetdeploy.gates.readiness import describe
from fleetdeploy.report.plan_text import size

Members = Mapping[str, Sequence[PoolMember]]


def lines(plan: Plan, members: Members) -> Iterator[Text]:
    """The fleet as it is. ``members`` holds each host's servers as its balancer reports them."""
    for name, reason in plan.unreachable.items():
        yield Text(f"{name}: UNREACHABLE: {reason}", style="red")
    for name, host in plan.hosts.items():
        yield Text(name, style="bold") + Text(_gpus(host), style="dim")
        for refusal in host.refusals:
            yield Text(f"  {refusal.message}", style="red")
        for service in host.services:
            yield from _service(service, members.get(name, ()))


def last_line(plan: Plan) -> str:
    """Whether the fleet is what the inventory says, in one sentence."""
    drift = [name for name, host in plan.hosts.items() if host.changed or host.refusals]
    total = len(plan.hosts) + len(plan.unreachable)
    if plan.unreachable or drift:
        parts = [f"{len(drift)} of {total} hosts differ from the inventory"] if drift else []
        parts += [f"{len(plan.unreachable)} unreachable"] if plan.unreachable else []
        return "STATUS: " + ", ".join(parts)
    return f"STATUS: all {total} hosts are as the inventory says"


def as_json(plan: Plan, members: Members) -> dict[str, object]:
    """The same as JSON values."""
    return {
        "hosts": {
            name: {
                "refusals": [item.message for item in host.refusals],
                "services": {service.desired.name: _service_json(service) for service in host.services},
                "balancer": [
                    {"pool": item.pool, "server": item.server, "traffic": item.traffic.value, "weight": item.weight}
                    for item in members.get(name, ())
                ],
            }
            for name, host in plan.hosts.items()
        },
        "unreachable": dict(plan.unreachable),
        "summary": last_line(plan),
    }


def _service(plan: ServicePlan, members: Sequence[PoolMember]) -> Iterator[Text]:
    seen = plan.observed
    release = seen.release.value.id if isinstance(seen.release, Present) else "none recorded"
    yield Text(f"  {plan.desired.name}: release {release}")
    yield Text(f"    container  {_container(seen)}")
    for model in plan.desired.models:
        states = _reading(seen.served.get(model.name))
        yield Text(f"    {model.name:<10} {states}")
    for member in members:
        style = "green" if member.traffic is Traffic.UP else "yellow"
        yield Text(f"    balancer   {member.pool} ") + Text(member.traffic.value, style=style)
    if plan.changed:
        yield Text(f"    drift      {plan.activation.value}: {plan.reason}", style="yellow")


def _container(seen: ObservedService) -> str:
    if isinstance(seen.container, Present):
        facts = seen.container.value
        restarts = f", {facts.restart_count} restarts" if facts.restart_count else ""
        return f"{facts.name} {facts.status}, image {facts.image_id[:19]}{restarts}"
    return seen.container.reason if isinstance(seen.container, Unknown) else "none"


def _reading(reading: Reading[tuple[VersionState, ...]] | None) -> str:
    if isinstance(reading, Present):
        return describe(reading.value)
    return f"unknown: {reading.reason}" if isinstance(reading, Unknown) else "not served"


def _gpus(host: HostPlan) -> str:
    if not isinstance(host.observed.gpus, Present) or not host.observed.gpus.value:
        return ""
    gpus = host.observed.gpus.value
    used, total = sum(gpu.memory_used_bytes for gpu in gpus), sum(gpu.memory_bytes for gpu in gpus)
    return f"  {len(gpus)} x {gpus[0].name}, {size(used)} of {size(total)} in use"


def _service_json(plan: ServicePlan) -> dict[str, object]:
    seen = plan.observed
    return {
        "release": seen.release.value.id if isinstance(seen.release, Present) else None,
        "container": _container(seen),
        "served": {model.name: _reading(seen.served.get(model.name)) for model in plan.desired.models},
        "drift": plan.reason if plan.changed else None,
    }
