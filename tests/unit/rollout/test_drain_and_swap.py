"""Versions that do not fit a GPU together: one is swapped for the other while drained, and never are both loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from simulation.controller import Run, deploy, desired
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.observed import State
from fleetdeploy.domain.service import DesiredService, Requirements

from .fleets import dangers, killed, spoil, untrue

pytestmark = pytest.mark.simulation

THREE = ("gpu1", "gpu2", "gpu3")
GIB = 1024**3
LARGE, SMALL = 50, 40
"""Of the 80 GiB of the simulation's GPU: one of the large ones, two of the small ones."""


@dataclass
class Watched(World):
    """A world that notes how many versions any host has had in memory at once."""

    most_loaded: int = 0

    def record(self) -> None:
        super().record()
        for host in self.hosts.values():
            running = [container.process for container in host.containers.values() if container.process]
            loaded = sum(
                entry.state is not State.END
                for process in running
                if not process.exited
                for versions in process.versions.values()
                for entry in versions.values()
            )
            self.most_loaded = max(self.most_loaded, loaded)


def of(gib: int, number: int) -> DesiredService:
    """Version ``number`` of a model that needs so much."""
    service = desired(number)
    (model,) = service.wish.models
    wish = replace(service.wish, models=(replace(model, requires=Requirements(gib * GIB)),))
    return replace(service, wish=wish)


def served(gib: int, *names: str) -> Watched:
    """Hosts that serve version 1. Loading takes a while, so that what is loaded together is seen together."""
    world = Watched.of(*names)
    assert isinstance(world, Watched)
    for host in world.hosts.values():
        host.load_s = 1.0
    assert deploy(world, of(gib, 1)).code == 0
    assert converged(world, of(gib, 1)) == []
    return world


def reloads(run: Run) -> int:
    return sum(method == "serving.reload" for _, method in run.calls)


def test_a_swap_keeps_capacity_and_never_loads_both() -> None:
    """Host by host, drained, in new processes; every other host serves meanwhile."""
    world = served(LARGE, *THREE)
    run = deploy(world, of(LARGE, 2))
    assert run.code == 0
    assert run.plan is not None
    assert {s.activation.value for host in run.plan.hosts.values() for s in host.services} == {"replace"}
    assert converged(world, of(LARGE, 2)) == []
    assert dangers(world) == []
    assert (world.most_loaded, reloads(run)) == (1, 0)


def test_what_fits_together_is_reloaded() -> None:
    """The same rollout with smaller models has both in memory, which shows that the watch sees it."""
    world = served(SMALL, *THREE)
    run = deploy(world, of(SMALL, 2))
    assert run.code == 0
    assert (world.most_loaded, reloads(run)) == (2, 6)
    assert dangers(world) == []


@pytest.mark.parametrize("quality", [Quality.UNLOADABLE, Quality.WRONG])
def test_a_swap_is_taken_back_without_loading_both(quality: Quality) -> None:
    """The new version fails on the first host; the old one comes back there in a process of its own."""
    world = served(LARGE, *THREE)
    spoil(world, 2, quality)
    before = world.serves_all()
    run = deploy(world, of(LARGE, 2))
    assert run.code == 3
    assert untrue(world, before, of(LARGE, 2), run) == []
    assert world.serves_all() == before
    assert (world.most_loaded, reloads(run)) == (1, 0)


def test_a_killed_swap_is_taken_up_or_back_without_loading_both() -> None:
    """Wherever the controller ends: the next run, to the new version or to the old one, never has both in memory."""
    settled = served(LARGE, "gpu1")
    calls = len(deploy(settled.copy(), of(LARGE, 2)).calls)
    ended = set[str]()
    for at in range(2, calls + 1):
        for number in (1, 2, 3):
            world = settled.copy()
            assert isinstance(world, Watched)
            killed(world, of(LARGE, 2), at=at)
            run = deploy(world, of(LARGE, number))
            assert run.code == 0, (at, number, run.last_line)
            assert converged(world, of(LARGE, number)) == []
            assert world.most_loaded == 1, (at, number)
            ended |= {service.activation.value for service in run.plan.hosts["gpu1"].services} if run.plan else set()
    assert {"verify", "replace", "start"} <= ended


def test_a_killed_swap_whose_newcomer_is_bad_goes_back_without_loading_both() -> None:
    """The version that a killed run left unproven answers wrongly: the recorded one takes its place, not its side."""
    settled = served(LARGE, "gpu1")
    spoil(settled, 2, Quality.WRONG)
    calls = len(deploy(settled.copy(), of(LARGE, 2)).calls)
    for at in range(2, calls + 1):
        world = settled.copy()
        assert isinstance(world, Watched)
        killed(world, of(LARGE, 2), at=at)
        deploy(world, of(LARGE, 2))
        assert world.most_loaded == 1, at
        assert deploy(world, of(LARGE, 1)).code == 0
        assert world.serves_all()["gpu1"].versions == (("ranker", (1,)),)
        assert world.most_loaded == 1, at


def test_an_unbalanced_host_is_swapped_too() -> None:
    """Nobody drains it; the plan has said that it does not answer in between."""
    world = Watched.of("gpu1")
    assert isinstance(world, Watched)
    assert deploy(world, of(LARGE, 1), balanced=False).code == 0
    run = deploy(world, of(LARGE, 2), balanced=False)
    assert run.code == 0
    assert run.plan is not None
    assert run.plan.hosts["gpu1"].services[0].reason.endswith("and ranking does not answer in between")
    assert world.most_loaded == 1
    process = world.hosts["gpu1"].server(SERVICE)
    assert process is not None
    assert process.available() == {"ranker": (2,)}


def test_any_trouble_of_a_swap_leaves_the_fleet_told_truly() -> None:
    """Every call of it refused or unanswered once: nothing is lost, and never are both versions loaded."""
    settled = served(LARGE, "gpu1", "gpu2")
    calls = len(deploy(settled.copy(), of(LARGE, 2)).calls)
    before = settled.serves_all()
    for kind in ("refuse", "drop"):
        for at in range(1, calls + 1):
            world = settled.copy()
            assert isinstance(world, Watched)
            run = deploy(world, of(LARGE, 2), trouble=Trouble(kind, at))
            assert untrue(world, before, of(LARGE, 2), run) == [], (kind, at)
            assert world.most_loaded == 1, (kind, at)
