"""After how long a watchdog acts: never while a task may still be at work on a host that is well."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from simulation.controller import Run, deploy, desired, plays, sim_host
from simulation.fleet import SimFleet
from simulation.seen import settled_host
from simulation.wire import Wire
from simulation.world import World, converged

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.planning.host import plan_host
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.foresight.forecast import forecast
from fleetdeploy.rollout.host.watching import watched_s

from .fleets import NEW_IMAGE, V1, V2, settled
from .watched_runs import CONFIRM_S, state, watched

pytestmark = pytest.mark.simulation
REQUEST_S = 2 * 10 + 2
"""One golden request, which may be sent twice."""
BOOK = """
- hosts: gpu
  tasks: [preflight, stage, pull_image]
- hosts: gpu
  confirm_timeout: 1m
  tasks:
    - drain:
    - activate: {timeout: 1m}
"""
SOAKS = """
    - verify: {timeout: 1m, min_healthy_time: 50m}
    - undrain:
"""
WAITS_BETWEEN = """
    - pause: {seconds: 20m}
    - run: {argv: [sleep, "600"], timeout: 10m}
    - verify: {timeout: 1m}
    - undrain:
"""


def given_s(run: Run) -> list[object]:
    return [event.data["seconds"] for event in run.events if event.kind is Kind.WATCH_ARMED]


def foreseen(world: World, run: Run, bound: tuple[BoundPlay, ...]) -> Forecast:
    assert run.plan is not None
    return forecast(run.plan, bound, SimFleet(world, Wire(world)), forks=1)


def switching(path: Path, tasks: str) -> tuple[BoundPlay, ...]:
    path.write_text(BOOK + tasks.lstrip("\n"))
    return plays(["gpu1"], path=path)


@pytest.mark.parametrize("scene", ["reload", "replacement"])
def test_its_time_is_that_of_the_tasks_and_the_confirm(scene: str) -> None:
    """The event and the plan tell the same: the longest that ``activate`` and ``verify`` may take, and
    ``confirm_timeout``.
    """
    first = settled("gpu1")
    run = watched(first.copy(), V2 if scene == "reload" else NEW_IMAGE)
    activate_s = 300 + 2 * (30 + 300) + 10 if scene == "reload" else 2 * 10 + 300
    verify_s = 300 + 30 + 4 * REQUEST_S + 3 * 0.2 + 2
    assert given_s(run) == [math.ceil(activate_s + REQUEST_S + verify_s + CONFIRM_S)]
    found = foreseen(first, run, plays(["gpu1"], confirm_timeout_s=CONFIRM_S))
    assert [play.watched_s for play in found.plays if play.watched_s] == given_s(run)


@pytest.mark.parametrize("tasks", [SOAKS, WAITS_BETWEEN], ids=["soaks", "waits between"])
def test_a_host_that_is_well_is_left_alone_however_long_its_proof_takes(tmp_path: Path, tasks: str) -> None:
    """Longer than all timeouts together: confirmed in the end, and the plan told of that time."""
    first = settled("gpu1")
    world, bound = first.copy(), switching(tmp_path / "book.yml", tasks)
    began_s = world.clock.monotonic_s()
    run = deploy(world, V2, run_plays=bound)
    assert world.clock.monotonic_s() - began_s > 1800
    assert (run.code, state(world), converged(world, V2)) == (0, WatchState.CONFIRMED, [])
    assert [play.watched_s for play in foreseen(first, run, bound).plays if play.watched_s] == given_s(run)


def test_each_service_has_its_time_and_a_confirm_and_a_command_is_one_of_the_host(tmp_path: Path) -> None:
    """The watchdog of the last of two services waits for the tasks and the confirm of the other one as well."""
    (*_, bound) = switching(tmp_path / "book.yml", WAITS_BETWEEN)
    plan = plan_host(sim_host("gpu1"), [V2], settled_host(V1), stamp="T1").services[0]
    more = replace(plan, desired=desired(2, 3))
    calls, waits_s, confirm_s = bound.calls, 1200 + 600, 60.0
    one_s, two_s = (watched_s(calls, "gpu1", services, confirm_s=confirm_s) for services in ([plan], [more]))
    both_s = watched_s(calls, "gpu1", [plan, more], confirm_s=confirm_s)
    assert two_s > one_s > waits_s + 60 + 60 + confirm_s
    assert both_s == pytest.approx(one_s + two_s - waits_s, abs=1)


def test_what_leaves_a_host_out_gives_it_no_time(tmp_path: Path) -> None:
    """A task whose conditions do not hold for the host is not waited for there."""
    (*_, bound) = switching(tmp_path / "book.yml", WAITS_BETWEEN)
    plan = plan_host(sim_host("gpu1"), [V2], settled_host(V1), stamp="T1").services[0]
    elsewhere = [replace(call, hosts=frozenset({"gpu2"})) if call.task.name == "run" else call for call in bound.calls]
    without_s = watched_s(elsewhere, "gpu1", [plan], confirm_s=60)
    assert watched_s(bound.calls, "gpu1", [plan], confirm_s=60) - without_s == 600


def test_what_one_host_does_for_all_is_awaited_before_it_is_done(tmp_path: Path) -> None:
    """A host may wait for another one that is at it and stops, and do it then."""
    (*_, bound) = switching(tmp_path / "book.yml", WAITS_BETWEEN)
    plan = plan_host(sim_host("gpu1"), [V2], settled_host(V1), stamp="T1").services[0]
    shared = [replace(call, once=call.task.name == "run") for call in bound.calls]
    alone_s = watched_s(bound.calls, "gpu1", [plan], confirm_s=60)
    assert watched_s(shared, "gpu1", [plan], confirm_s=60) - alone_s == 600
