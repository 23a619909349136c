"""Releases that a run had recorded and then left again: what the host's history and records keep of them."""

from __future__ import annotations

import pytest
from simulation.controller import deploy, plays
from simulation.model_server import Quality
from simulation.rollback import rollback
from simulation.world import SERVICE, converged

from fleetdeploy.domain.events import Event, Kind

from .fleets import V1, V2, killed, new, settled

pytestmark = pytest.mark.simulation


def test_what_was_left_for_a_container_that_no_record_tells_of_is_no_last_good_one() -> None:
    """A host that goes back to what a killed run had started has no release at all, as before."""
    world = new("gpu1")
    calls = deploy(world.copy(), V1).calls
    killed(world, V1, at=calls.index(("gpu1", "files.write_release")) + 1)
    world.lies = {"undrain"}

    def heal(event: Event) -> None:
        if event.kind is Kind.REVERT_STARTED:
            world.lies = set()

    run = deploy(world, V2, sinks=[heal])
    files = world.hosts["gpu1"].directory(SERVICE)
    assert ("gpu1", "files.write_release") in run.calls
    assert (run.code, dict(world.serves("gpu1").versions)) == (3, {"ranker": (1,)})
    assert (files.release, files.history, files.records) == (None, [], {})
    assert rollback(world, V2).code == 5


def test_a_run_that_starts_its_own_release_anew_goes_back_to_the_one_before() -> None:
    """Where a later play of the same run has to start the release anew and fails, the one before the run serves, and
    nothing tells of the one that was left.
    """
    world = settled("gpu1")
    host = world.hosts["gpu1"]
    once, begun = plays(["gpu1"]), list[Event]()

    def spoil(event: Event) -> None:
        if event.kind is Kind.PLAY_STARTED:
            begun.append(event)
            if len(begun) == len(once) + 1:
                host.stop("fleetdeploy-ranking")
                host.quality[("ranker", 2)] = Quality.WRONG

    run = deploy(world, V2, sinks=[spoil], run_plays=(*once, *once))
    assert run.code == 3
    assert [event.host for event in run.events if event.kind is Kind.REVERT_STARTED] == ["gpu1"]
    files = host.directory(SERVICE)
    assert files.release is not None
    assert files.release.models == {"ranker": (1,)}
    assert files.history is not None
    assert [item.id for item in files.history] == [*files.records] == [files.release.id]
    assert rollback(world, V2).code == 5
    assert converged(world, V1) == []
