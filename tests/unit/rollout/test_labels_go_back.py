"""A revert that moves labels back to versions which have left memory by then."""

from __future__ import annotations

import pytest
from simulation.controller import deploy, desired, plays
from simulation.model_server import Quality
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.playbook import OnFailure, Quantity

from .fleets import dangers

pytestmark = pytest.mark.simulation

TWO = ("gpu1", "gpu2")


@pytest.mark.parametrize(
    ("before", "labels"),
    [((1,), {"stable": 1}), ((1, 2), {"stable": 1, "canary": 2}), ((1, 2), {"stable": 2})],
)
def test_labels_that_moved_go_back_by_reload(before: tuple[int, ...], labels: dict[str, int]) -> None:
    """The server refuses a label on a version that is not loaded, and loads none then: versions come first, labels
    after. No container is started anew for it, and nothing is waited for until its deadline.
    """
    old = desired(*before, labels=labels)
    world = World.of(*TWO)
    assert deploy(world, old).code == 0
    world.hosts["gpu2"].quality[("ranker", 3)] = Quality.NO_VARIABLES
    containers = {name: host.containers[f"fleetdeploy-{SERVICE}"].id for name, host in world.hosts.items()}
    began = world.clock.monotonic_s()
    everywhere = plays(TWO, serial=(Quantity(1),), on_failure=OnFailure.REVERT_ALL)
    run = deploy(world, desired(3, labels={"stable": 3}), run_plays=everywhere)
    assert run.code == 3
    assert converged(world, old) == []
    assert dangers(world) == []
    for host in world.hosts.values():
        container = host.containers[f"fleetdeploy-{SERVICE}"]
        assert container.process is not None
        assert container.process.labels == {"ranker": labels}
    assert {name: host.containers[f"fleetdeploy-{SERVICE}"].id for name, host in world.hosts.items()} == containers
    assert not [act for act in run.acts if act.endswith((".start", ".stop"))]
    assert world.clock.monotonic_s() - began < 120
