"""What the tests of a server's traps look at, and how they set one in the middle of a run."""

from __future__ import annotations

from collections.abc import Callable

from simulation.controller import Run
from simulation.host import Container
from simulation.model_server import ModelServer
from simulation.world import SERVICE, World

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.outcome import HostOutcome

BACK = "FAILED: gpu1; gpu1 reverted, every host serves what it served before"
NAME = f"fleetdeploy-{SERVICE}"


def container(world: World, host: str = "gpu1") -> Container:
    return world.hosts[host].containers[NAME]


def server(world: World, host: str = "gpu1") -> ModelServer:
    process = container(world, host).process
    assert process is not None
    return process


def outcome(run: Run, host: str = "gpu1") -> HostOutcome:
    assert run.outcome is not None, run.error
    return run.outcome.hosts[host]


def said(run: Run) -> str:
    return "\n".join(event.message for event in run.events if event.kind is Kind.STEP_PROGRESS)


def during(task: str, act: Callable[[], None], *, host: str = "gpu1") -> Callable[[Event], None]:
    """A sink that acts when the task begins on the host."""

    def sink(event: Event) -> None:
        if event.kind is Kind.STEP_STARTED and (event.task, event.host) == (task, host) and not event.data.get("undo"):
            act()

    return sink
