"""What each host serves now, one block a host: what was seen first, then what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from types import MappingProxyType

from rich.text import Text

from fleetdeploy.domain.observed import Absent, ObservedService, PoolMember, Present, Traffic, Unknown
from fleetdeploy.domain.plan import Activation, HostPlan, Plan, ServicePlan
from fleetdeploy.gates.readiness import describe
from fleetdeploy.report.fleet_state import FleetState, Members, key_refused_at, pools_of, services_of, unknown_of
from fleetdeploy.report.safe_text import safe_lines
from fleetdeploy.report.wording import size
from fleetdeploy.rollout.debt.ledger import Debt
from fleetdeploy.rollout.host.watching import told_watch

NO_DEBTS: Mapping[str, Debt] = MappingProxyType({})


def lines(plan: Plan, members: Members, owed: Mapping[str, Debt] = NO_DEBTS) -> Iterator[Text]:
    """The fleet as it is. ``members`` holds each host's servers as its balancer reports them, ``owed`` what hosts have
    missed.
    """
    yield from safe_lines(_lines(plan, members, owed))


def _lines(plan: Plan, members: Members, owed: Mapping[str, Debt]) -> Iterator[Text]:
    for name, reason in plan.unreachable.items():
        yield Text(f"{name}: UNREACHABLE: {reason}", style="red")
    for name, debt in owed.items():
        drained = f", drained by run {debt.run}" if debt.drained else ""
        yield Text(f"{name}: OWES since {debt.since}{drained}: {debt.why}", style="yellow")
    for balancer, reason in FleetState.of(plan, members).silent_balancers.items():
        yield Text(f"balancer {balancer}: CANNOT BE ASKED: {reason}", style="red")
    for name, host in plan.hosts.items():
        yield Text(name, style="bold") + Text(_gpus(host), style="dim")
        for service in services_of(host):
            yield from _service(host, service, members)
        for refusal in host.refusals:
            word = "HOST KEY REFUSED" if key_refused_at(host) else "REFUSED"
            for row in f"  {word}: {refusal.message}".split("\n"):
                yield Text(row, style="red")
            if refusal.hint:
                yield Text(f"    {refusal.hint}")


def last_line(plan: Plan, members: Members) -> str:
    """Whether the fleet is what the inventory says, in one sentence."""
    return f"STATUS: {FleetState.of(plan, members).summary}"


def as_json(plan: Plan, members: Members, owed: Mapping[str, Debt] = NO_DEBTS) -> dict[str, object]:
    """The same as JSON values. ``null`` is what is not known; ``balancer`` is left out where there is none."""
    return {
        "hosts": {name: _host_json(host, members) for name, host in plan.hosts.items()},
        "unreachable": dict(plan.unreachable),
        "owed": {name: asdict(debt) for name, debt in owed.items()},
        "balancers_not_asked": dict(FleetState.of(plan, members).silent_balancers),
        "summary": last_line(plan, members),
    }


def _service(host: HostPlan, name: str, members: Members) -> Iterator[Text]:
    plan, seen = _plan_of(host, name), _seen(host, name)
    yield Text(f"  {name}: release {_release(seen)}")
    yield Text(f"    container  {_container(seen)}")
    for model in _models(host, name):
        yield Text(f"    {model:<10} {_served(seen, model)}")
    reading = members.get(host.host.name, Absent())
    if isinstance(reading, Present):
        for pool in pools_of(host, name):
            yield _traffic(pool, reading.value, host)
    if watch := told_watch(seen):
        yield Text(f"    watchdog   {watch.told}", style="yellow")
    for reason in _drift(plan, seen):
        yield Text(f"    drift      {reason}", style="yellow")


def _plan_of(host: HostPlan, name: str) -> ServicePlan | None:
    return next((service for service in host.services if service.desired.name == name), None)


def _seen(host: HostPlan, name: str) -> ObservedService:
    return host.observed.services.get(name) or ObservedService(name)


def _models(host: HostPlan, name: str) -> list[str]:
    """The models that shall be served; a service that was refused has no plan, but its models were asked for."""
    plan = _plan_of(host, name)
    wanted = [model.name for model in plan.desired.models] if plan else []
    return list(dict.fromkeys([*wanted, *_seen(host, name).served]))


def _release(seen: ObservedService) -> str:
    if isinstance(seen.release, Present):
        release = seen.release.value
        return release.id + (f", in place of {release.took_back}, which was taken back" if release.took_back else "")
    return f"unknown: {seen.release.reason}" if isinstance(seen.release, Unknown) else "none recorded"


def _container(seen: ObservedService) -> str:
    if isinstance(seen.container, Present):
        facts = seen.container.value
        restarts = f", {facts.restart_count} restarts" if facts.restart_count else ""
        return f"{facts.name} {facts.status}, image {facts.image_id[:19]}{restarts}"
    return f"unknown: {seen.container.reason}" if isinstance(seen.container, Unknown) else "none"


def _served(seen: ObservedService, model: str) -> str:
    reading = seen.served.get(model, Absent())
    if isinstance(reading, Present):
        return describe(reading.value)
    return f"unknown: {reading.reason}" if isinstance(reading, Unknown) else "not served"


def _traffic(pool: str, members: tuple[PoolMember, ...], host: HostPlan) -> Text:
    member = next((member for member in members if member.pool == pool), None)
    if member is None:
        server = host.host.balancer.server if host.host.balancer else host.host.name
        return Text(f"    balancer   {pool} ") + Text(f"has no server {server}", style="yellow")
    style = "green" if member.traffic is Traffic.UP else "yellow"
    return Text(f"    balancer   {pool} ") + Text(member.traffic.value, style=style)


def _drift(plan: ServicePlan | None, seen: ObservedService) -> list[str]:
    """Everything in which a service differs from the inventory."""
    found = []
    if isinstance(seen.drained_by, Present):
        found.append(f"drained by run {seen.drained_by.value}, not put back yet")
    if plan is None:
        return found
    if plan.activation is not Activation.NOTHING:
        found.append(f"{plan.activation.value}: {plan.reason}")
        found += [
            f"{item.what}: {item.before} -> {item.after}" for item in plan.changes if item.what.startswith("models.")
        ]
    elif plan.stage:
        missing = ", ".join(f"{item.model}/{item.version.number}" for item in plan.stage)
        found.append(f"not on the host's disk: {missing}")
    return found


def _gpus(host: HostPlan) -> str:
    if not isinstance(host.observed.gpus, Present) or not host.observed.gpus.value:
        return ""
    gpus = host.observed.gpus.value
    used, total = sum(gpu.memory_used_bytes for gpu in gpus), sum(gpu.memory_bytes for gpu in gpus)
    return f"  {len(gpus)} x {gpus[0].name}, {size(used)} of {size(total)} in use"


def _host_json(host: HostPlan, members: Members) -> dict[str, object]:
    found: dict[str, object] = {
        "refusals": [
            {"message": item.message, "hint": item.hint, "exit_code": item.exit_code} for item in host.refusals
        ],
        "services": {name: _service_json(host, name) for name in services_of(host)},
    }
    reading = members.get(host.host.name, Absent())
    if isinstance(reading, Present):
        found["balancer"] = [
            {"pool": item.pool, "server": item.server, "traffic": item.traffic.value, "weight": item.weight}
            for item in reading.value
        ]
    elif isinstance(reading, Unknown):
        found["balancer"] = None
    return found


def _service_json(host: HostPlan, name: str) -> dict[str, object]:
    seen = _seen(host, name)
    container = seen.container.value if isinstance(seen.container, Present) else None
    unknown = dict(unknown_of(seen))
    unknown |= {f"served {model}": item.reason for model, item in seen.served.items() if isinstance(item, Unknown)}
    return {
        "release": seen.release.value.id if isinstance(seen.release, Present) else None,
        "took_back": (seen.release.value.took_back or None) if isinstance(seen.release, Present) else None,
        "container": container
        and {
            "name": container.name,
            "status": container.status,
            "image_id": container.image_id,
            "restarts": container.restart_count,
        },
        "served": {model: _served_json(seen, model) for model in _models(host, name)},
        "drained_by": seen.drained_by.value if isinstance(seen.drained_by, Present) else None,
        "watchdog": {"state": watch.state.value, "run": watch.run, "release": watch.release, "reason": watch.reason}
        if (watch := told_watch(seen))
        else None,
        "drift": "; ".join(_drift(_plan_of(host, name), seen)) or None,
        "unknown": unknown,
    }


def _served_json(seen: ObservedService, model: str) -> list[dict[str, object]] | None:
    reading = seen.served.get(model, Absent())
    if isinstance(reading, Present):
        return [
            {"version": item.number, "state": item.state.value, "error": item.error or None} for item in reading.value
        ]
    return None if isinstance(reading, Unknown) else []
