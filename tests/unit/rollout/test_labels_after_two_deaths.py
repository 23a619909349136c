"""Two runs that died one after the other, the second between its last file and the reload of it."""

from __future__ import annotations

import pytest
from simulation.controller import deploy, desired
from simulation.model_server import ModelServer
from simulation.wire import Killed, Trouble
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.service import DesiredService
from fleetdeploy.tfserving import model_config

pytestmark = pytest.mark.simulation

STABLE_1, STABLE_2 = desired(1, 2, labels={"stable": 1}), desired(1, 2, labels={"stable": 2})
ALONE, BESIDE = desired(models={"ranker": (1,)}), desired(models={"ranker": (1,), "tagger": (1,)})
PLACES = range(1, 30)


def killed(world: World, wanted: DesiredService, *, at: int, balanced: bool) -> bool:
    """Whether the run came to its ``at``-th act, before which it died."""
    try:
        deploy(world, wanted, trouble=Trouble("kill", at, count="acts"), balanced=balanced, allow_remove=True)
    except Killed:
        world.clock.skip(3600)  # its lease is over
        return True
    return False


def server(world: World) -> ModelServer:
    process = world.hosts["gpu1"].server(SERVICE)
    assert process is not None
    return process


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize(
    ("before", "after"), [(STABLE_1, STABLE_2), (ALONE, BESIDE)], ids=["a label that moved", "a model more"]
)
def test_memory_is_what_the_file_says_after_a_run_and_the_one_back_both_died(
    before: DesiredService, after: DesiredService, *, balanced: bool
) -> None:
    """File, record and versions may all be as wanted while labels or models in memory are not: exit 0 is true anyhow,
    and the run after it changes nothing.
    """
    settled, wrong, cases = World.of("gpu1"), [], 0
    assert deploy(settled, before, balanced=balanced).code == 0
    labels, available = server(settled).labels, server(settled).available()
    for first in PLACES:
        middle = settled.copy()
        if not killed(middle, after, at=first, balanced=balanced):
            break
        for second in PLACES:
            world = middle.copy()
            if not killed(world, before, at=second, balanced=balanced):
                break
            cases += 1
            run = deploy(world, before, balanced=balanced, allow_remove=True)
            found = converged(world, before) if balanced else []
            if run.code or found or (server(world).labels, server(world).available()) != (labels, available):
                wrong.append((first, second, run.last_line, found, server(world).labels, server(world).available()))
            elif deploy(world, before, balanced=balanced, allow_remove=True).acts:
                wrong.append((first, second, "the next run changed something"))
    assert cases > 15
    assert wrong == []


def test_a_server_that_starts_again_reads_a_file_in_doubt() -> None:
    """The mark is a comment: whatever Docker starts in between comes up with what was about to be loaded."""
    world = World.of("gpu1")
    assert deploy(world, STABLE_1).code == 0
    host, container = world.hosts["gpu1"], f"fleetdeploy-{SERVICE}"
    files = host.directory(SERVICE)
    files.config_text = model_config.in_doubt(STABLE_2.config_text)
    host.stop(container)
    host.start(container)
    assert server(world).labels == {"ranker": {"stable": 2}}
