"""Between two waves and behind the last: whether what a play finished still serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fleetdeploy.domain.observed import ObservedService, Present, Unknown
from fleetdeploy.domain.plan import HostPlan, ServicePlan
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import FleetdeployError, HostError, NotHealthy
from fleetdeploy.rollout.finished import Finished
from fleetdeploy.rollout.side_by_side import side_by_side
from fleetdeploy.rollout.targets import Targets
from fleetdeploy.tfserving.status import settled

LOOK_S = 5.0
"""How often the balancers are asked meanwhile."""
_AWAKE_S = 0.5
"""How often it is asked whether it is over: a person who presses Ctrl-C does not notice the wait."""
_LOOKS, _PAUSE_S = 3, 1.0
"""A server that is busy may miss one question; one that misses so many in a row, this far apart, does not serve."""


def soak(seconds: float, clock: Clock, *, over: Callable[[], bool], look: Callable[[], None]) -> None:
    """Wait, with a ``look`` every few seconds, until the time is up or it is ``over``."""
    now = clock.monotonic_s()
    end, looked = now + seconds, now
    while (now := clock.monotonic_s()) < end and not over():
        if now - looked >= LOOK_S:
            looked = now
            look()
        clock.wait(min(_AWAKE_S, end - now))


def no_longer_serving(
    items: Sequence[Finished], targets: Targets, fleet: Fleet, clock: Clock, *, forks: int
) -> list[tuple[Finished, FleetdeployError]]:
    """A look at each host that was left in service, and more where something is wrong: those that do not serve what
    they were proven to serve, with why.
    """
    items = [item for item in items if item.in_service]

    def look(item: Finished) -> FleetdeployError | None:
        try:
            plan = item.in_service.plan if item.in_service else item.plan
            why = no_longer(plan, targets.observe_one(fleet, item.name))
        except HostError as error:
            return error
        return NotHealthy(f"does not serve any longer: {why}") if why else None

    def wrong(item: Finished) -> FleetdeployError | None:
        for _ in range(_LOOKS - 1):
            if look(item) is None:
                return None
            clock.wait(_PAUSE_S)
        return look(item)

    errors = side_by_side(wrong, items, forks=forks)
    return [(item, error) for item, error in zip(items, errors, strict=True) if error is not None]


def no_longer(before: HostPlan, now: HostPlan) -> str:
    """Why a host that was proven does not serve any longer; empty where it does. ``before`` is how it was planned."""
    return "; ".join(why for service in before.services for why in _wrong(service, _seen(now, service)))


def _seen(now: HostPlan, service: ServicePlan) -> ObservedService:
    name = service.desired.name
    return now.observed.services.get(name, ObservedService(name))


def _wrong(planned: ServicePlan, seen: ObservedService) -> Iterator[str]:
    name = planned.desired.name
    if not isinstance(seen.container, Present):
        why = f"cannot be read: {seen.container.reason}" if isinstance(seen.container, Unknown) else "is gone"
        yield f"the container of {name} {why}"
        return
    facts, old = seen.container.value, planned.observed.container
    # A container that was kept may have been restarted before.
    restarts = old.value.restart_count if isinstance(old, Present) and old.value.id == facts.id else 0
    if not facts.running or facts.restart_count > restarts:
        yield f"the container of {name} is {facts.status}, restarted {facts.restart_count} times"
        return
    for model in planned.desired.models:
        reading = seen.served.get(model.name)
        if not isinstance(reading, Present):
            yield f"{model.name}: {reading.reason if isinstance(reading, Unknown) else 'not served'}"
        elif not (verdict := settled(reading.value, model.wanted, others_allowed=True)).ready:
            yield f"{model.name}: {verdict.text}"
