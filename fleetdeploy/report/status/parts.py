"""What every form of the status is made of: readings as words, never a claim about what was not seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from rich.text import Text

from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    ObservedService,
    Present,
    State,
    Unknown,
    VersionState,
)
from fleetdeploy.domain.plan import Activation, HostPlan, Plan, ServicePlan
from fleetdeploy.report.fleet_state import FleetState, Members
from fleetdeploy.rollout.debt.ledger import Debt

NO_DEBTS: Mapping[str, Debt] = MappingProxyType({})
_ORDER = (State.AVAILABLE, State.LOADING, State.START, State.UNLOADING, State.UNKNOWN, State.END)
"""What answers requests first, what is long gone last."""


def last_line(plan: Plan, members: Members) -> str:
    """Whether the fleet is what the inventory says, in one sentence."""
    return f"STATUS: {FleetState.of(plan, members).summary}"


def of_the_fleet(plan: Plan, members: Members, owed: Mapping[str, Debt]) -> Iterator[Text]:
    """What stands above all hosts: those that cannot be reached, what is owed, balancers that are silent."""
    hints = set[str]()
    for name, reason in plan.unreachable.items():
        message, _, hint = reason.rpartition(" (")
        yield Text(f"{name}: UNREACHABLE: {message if message and hint in hints else reason}", style="red")
        hints.add(hint)  # what to do about it is told once, at the first host
    for name, debt in owed.items():
        drained = f", drained by run {debt.run}" if debt.drained else ""
        yield Text(f"{name}: OWES since {debt.since}{drained}: {debt.why}", style="yellow")
    for balancer, reason in FleetState.of(plan, members).silent_balancers.items():
        yield Text(f"balancer {balancer}: CANNOT BE ASKED: {reason}", style="red")


def plan_of(host: HostPlan, name: str) -> ServicePlan | None:
    """The plan of one of the host's services; None where the host was refused."""
    return next((service for service in host.services if service.desired.name == name), None)


def seen_of(host: HostPlan, name: str) -> ObservedService:
    """One of the host's services as it was seen."""
    return host.observed.services.get(name) or ObservedService(name)


def models_of(host: HostPlan, name: str) -> list[str]:
    """The models that shall be served; a service that was refused has no plan, but its models were asked for."""
    plan = plan_of(host, name)
    wanted = [model.name for model in plan.desired.models] if plan else []
    return list(dict.fromkeys([*wanted, *seen_of(host, name).served]))


def container_of(seen: ObservedService) -> ContainerFacts | None:
    """The service's container, where there is one and it could be read."""
    return seen.container.value if isinstance(seen.container, Present) else None


def image_of(host: HostPlan, name: str) -> str:
    """By which name the container's image was asked for, as far as the release's record or the engine tells.

    A container is made by the image's id, which the record keeps beside the name.
    """
    seen = seen_of(host, name)
    container = container_of(seen)
    if container is None:
        return ""
    if isinstance(seen.release, Present):
        recorded = seen.release.value.container
        if recorded.get("image_id") == container.image_id:
            return str(recorded.get("image", ""))
    images = host.observed.docker.value.images if isinstance(host.observed.docker, Present) else {}
    return next((reference for reference, found in images.items() if found == container.image_id), "")


def up_s(host: HostPlan, container: ContainerFacts) -> float | None:
    """For how long the container has been running, by its host's own clock; None where that is not known."""
    if not container.running or not container.started_at or not host.observed.clock_s:
        return None
    try:
        # Docker writes nanoseconds, which Python before 3.11 does not read.
        started = datetime.fromisoformat(container.started_at[:19] + "+00:00")
    except ValueError:
        return None
    return max(0.0, host.observed.clock_s - started.timestamp())


def in_order(states: Sequence[VersionState]) -> list[VersionState]:
    """What is AVAILABLE first, what is at its END last."""
    return sorted(states, key=lambda entry: (_ORDER.index(entry.state), entry.number))


def served_of(seen: ObservedService, model: str) -> Present[tuple[VersionState, ...]] | Absent | Unknown:
    """The model's versions, in order."""
    reading = seen.served.get(model, Absent())
    return Present(tuple(in_order(reading.value))) if isinstance(reading, Present) else reading


def worth_telling(states: Sequence[VersionState]) -> Sequence[VersionState]:
    """Without those that ended well, where there are others: TF Serving lists every version it ever had."""
    kept = [item for item in states if item.error or item.state is not State.END]
    return kept if any(item.state is not State.END for item in kept) else states


def drift_of(plan: ServicePlan | None, seen: ObservedService) -> list[str]:
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
