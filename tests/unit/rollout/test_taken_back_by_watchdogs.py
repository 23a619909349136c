"""What a watchdog took back was never proven: nobody is brought back to it, whoever could not strike it then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.controller import Run, deploy
from simulation.rollback import rollback
from simulation.world import SERVICE, World

from fleetdeploy.domain.observed import ProvenRelease
from fleetdeploy.domain.watch import WatchState

from .fleets import V1, V2, V3, settled
from .watched_runs import call_of, killed, state, time_passes, watch, watched

pytestmark = pytest.mark.simulation


def history(world: World) -> list[ProvenRelease]:
    return world.hosts["gpu1"].directory(SERVICE).history or []


def versions(world: World) -> list[tuple[int, ...]]:
    return [item.models["ranker"] for item in history(world)]


@pytest.fixture
def taken_back() -> World:
    """Version 2 is proven and recorded, its controller ends before it confirms, and the host goes back to version 1."""
    world = settled("gpu1")
    killed(world, V2, at=call_of(watched(world.copy(), V2), "watchdog.confirm"))
    assert versions(world) == [(1,), (2,)]
    time_passes(world)
    assert state(world) is WatchState.RESTORED
    return world


@pytest.fixture
def not_struck(taken_back: World) -> World:
    """The same of a host that could not change its history, or whose watchdog did not know that it has to."""
    found = watch(taken_back)
    assert found is not None
    history(taken_back).append(ProvenRelease(found.release, {"ranker": (2,)}))
    return taken_back


def test_the_host_strikes_what_it_takes_back(taken_back: World) -> None:
    """Neither its line nor its record stays."""
    found = watch(taken_back)
    assert found is not None
    assert versions(taken_back) == [(1,)]
    assert found.release not in taken_back.hosts["gpu1"].directory(SERVICE).records


def brought_back(world: World) -> Run:
    run = rollback(world, V3)
    assert world.serves("gpu1").versions == (("ranker", (1,)),)
    return run


def test_a_rollback_goes_past_what_a_watchdog_took_back(taken_back: World) -> None:
    """From the version that mended it to the one that served before both."""
    assert watched(taken_back, V3).code == 0
    assert brought_back(taken_back).code == 0


@pytest.mark.parametrize("with_watchdog", [True, False])
def test_whoever_proves_the_next_release_strikes_what_the_host_could_not(
    not_struck: World, *, with_watchdog: bool
) -> None:
    """A run of this controller puts the history right before it adds to it, whether it arms a watchdog or not."""
    assert (watched if with_watchdog else deploy)(not_struck, V3).code == 0
    assert versions(not_struck) == [(1,), (3,)]
    assert brought_back(not_struck).code == 0


def test_proven_anew_it_counts(not_struck: World) -> None:
    """The same content under an id of its own is a release like any other, with what came before it."""
    before = history(not_struck)[-1]
    assert watched(not_struck, V2).code == 0
    assert versions(not_struck) == [(1,), (2,)]
    assert history(not_struck)[-1].id != before.id
    assert history(not_struck)[-1].content_hash == before.content_hash
    assert watched(not_struck, V3).code == 0
    rollback(not_struck, V3)
    assert not_struck.serves("gpu1").versions == (("ranker", (2,)),)


def test_a_verdict_of_long_ago_strikes_nothing(taken_back: World) -> None:
    """What later runs have proven stays, although the host still tells of what its watchdog did once."""
    for wanted in (V3, V2, V1):
        assert deploy(taken_back, wanted).code == 0
    assert state(taken_back) is WatchState.RESTORED
    assert versions(taken_back) == [(1,), (3,), (2,), (1,)]


@pytest.mark.parametrize("verdict", [WatchState.CONFIRMED, WatchState.FAILED])
def test_what_was_not_taken_back_stays(not_struck: World, verdict: WatchState) -> None:
    """A release that was confirmed, or that its host could not leave, has its place in the history."""
    found = watch(not_struck)
    assert found is not None
    not_struck.hosts["gpu1"].directory(SERVICE).watch = replace(found, state=verdict)
    assert deploy(not_struck, V3).code == 0
    assert versions(not_struck) == [(1,), (2,), (3,)]
