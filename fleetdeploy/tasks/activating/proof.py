"""One golden request of each version: enough to give up the old one, not yet to send traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.gates.readiness import LOOK_S, LOOKS_AT_END, POLL_S, answer_golden
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving.golden import for_version

REQUEST_S = 10.0


def prove(step: Step, wanted: Mapping[str, Sequence[int]], *, alive: Callable[[], None] | None = None) -> None:
    """Raise NotHealthy or WrongAnswer unless every version answers. Without ``alive`` Docker is not asked."""
    requests = {model.name: model.golden for model in step.plan.desired.models}
    asked = alive or (lambda: None)
    answer_golden(step.serving, requests, wanted, step.clock, times=1, deadline_s=REQUEST_S, alive=asked)


def answers_s(plan: ServicePlan, *, times: int = 1, deadline_s: float = REQUEST_S) -> float:
    """How long so many rounds of golden requests may take: nobody answers any of them in time but for the second one
    that is sent in its place.
    """
    requests = sum(len(for_version(model.golden, number)) for model in plan.desired.models for number in model.wanted)
    return times * requests * (2 * deadline_s + LOOKS_AT_END * LOOK_S) + (times - 1) * POLL_S
