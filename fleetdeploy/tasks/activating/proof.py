"""One golden request of each version: enough to give up the old one, not yet to send traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fleetdeploy.gates.readiness import answer_golden
from fleetdeploy.tasks.step import Step

REQUEST_S = 10.0


def prove(step: Step, wanted: Mapping[str, Sequence[int]], *, alive: Callable[[], None] | None = None) -> None:
    """Raise NotHealthy or WrongAnswer unless every version answers. Without ``alive`` Docker is not asked."""
    requests = {model.name: model.golden for model in step.plan.desired.models}
    asked = alive or (lambda: None)
    answer_golden(step.serving, requests, wanted, step.clock, times=1, deadline_s=REQUEST_S, alive=asked)
