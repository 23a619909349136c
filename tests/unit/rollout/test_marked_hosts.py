"""Hosts that a marker calls drained: what counts is whether they get requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.controller import deploy, plays
from simulation.world import SERVICE, World

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.rollout.bound_play import BoundPlay

from .fleets import V1, V2, dangers, settled
from .foreseeing import foresee, switching
from .test_capacity_lost import FOUR, after, drain, rolled
from .test_failures import touched

pytestmark = pytest.mark.simulation


def mark(world: World, host: str) -> None:
    """As a run leaves it that ends between its marker and its drain, or between its undrain and the marker."""
    world.hosts[host].directory(SERVICE).drained_by = "run"


def without_the_last() -> tuple[BoundPlay, ...]:
    """Plays with a limit; all four hosts count all the same."""
    return tuple(replace(play, hosts=FOUR[:3]) for play in plays(FOUR))


def test_a_marker_alone_takes_nobody_out_of_service() -> None:
    """A host that is marked as drained and gets its requests serves: with another one out it is not taken out too."""
    world = settled(*FOUR)
    mark(world, "gpu3")
    drain(world, "gpu4")
    run = deploy(world, {"gpu1": V1, "gpu2": V1, "gpu3": V2}, run_plays=without_the_last())
    assert run.code == 5
    assert "gpu4 out of service already, and max_unavailable is 1: gpu3 cannot be taken out as well" in run.last_line
    assert touched(run) == set()
    assert world.in_service("gpu3")


def test_a_marker_that_was_left_over_is_cleared_without_room() -> None:
    """A host that is only put back is taken out by nobody, so that hosts that are out are not in its way."""
    world = settled(*FOUR)
    mark(world, "gpu3")
    drain(world, "gpu4")
    run = deploy(world, dict.fromkeys(FOUR[:3], V1), run_plays=without_the_last())
    assert run.code == 0
    assert run.outcome is not None
    assert [name for name, item in run.outcome.hosts.items() if item.state is HostState.CHANGED] == ["gpu3"]
    assert world.hosts["gpu3"].directory(SERVICE).drained_by is None


def test_a_play_that_asks_no_balancer_hears_of_nobody_who_came_back() -> None:
    """What is down by its balancer alone stays so through a play without traffic, and is repaired before others."""
    world = settled(*FOUR)
    mark(world, "gpu3")
    drain(world, "gpu3")
    assert plays(FOUR)[0].touches_traffic is False
    run = rolled(world, lambda _: None)
    assert run.code == 0, run.last_line
    waves = [event.data["hosts"] for event in run.events if event.kind is Kind.WAVE_STARTED]
    assert [wave for wave in waves if len(wave) == 1] == [["gpu3"], ["gpu1"], ["gpu2"], ["gpu4"]]
    assert dangers(world) == []


def test_a_drained_host_that_is_put_back_before_its_turn_needs_room_again() -> None:
    """By its balancer's word it serves, whatever its marker says: with another one out by then it is left alone."""
    world = settled(*FOUR)
    mark(world, "gpu1")
    drain(world, "gpu1")

    def swap() -> None:
        world.drained.clear()
        drain(world, "gpu4")

    run = rolled(world, after("gpu1", swap, task="stage"))
    assert run.code == 3
    assert "gpu4 out of service, and max_unavailable is 1: gpu1 cannot be taken out as well" in run.last_line
    assert touched(run) == set()
    assert world.in_service("gpu1")


def test_a_plan_takes_nobody_out_who_is_only_put_back() -> None:
    """Of a host with a marker that was left over a plan says that all hosts serve throughout."""
    world = settled(*FOUR)
    mark(world, "gpu3")
    (wave,) = switching(foresee(world, V1)).waves
    assert wave.hosts == ("gpu3",)
    assert wave.service is not None
    assert (wave.service.before, wave.service.lowest, wave.service.taken_out) == (4, 4, ())
