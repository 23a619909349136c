"""Debts that a run leaves as they are: it brought the host nothing, or the balancer's word was somebody else's."""

from __future__ import annotations

import pytest
from simulation.controller import deploy, plays, sim_host
from simulation.world import POOLS, converged

from fleetdeploy.rollout.debt.ledger import Debts

from .fleets import V2, settled
from .test_debts import THREE, debts, drained, without

__all__ = ["debts"]
pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("part", [0, 2], ids=["stage", "tidy up"])
def test_a_run_that_does_not_put_it_back_pays_nothing(debts: Debts, part: int) -> None:
    """Of the playbook's plays only the one that switches over settles a debt: a host is not done by being copied to."""
    world = settled(*THREE)
    without(world, "gpu2", debts)
    world.hosts["gpu2"].reachable = True
    run = deploy(world, V2, debts=debts, run_plays=plays(THREE)[part : part + 1])
    assert run.code == 0
    assert ("gpu2 files.stage" in run.acts) == (part == 0)
    assert drained(world) == {"gpu2"}
    assert debts.of(sim_host("gpu2")) is not None
    assert deploy(world, V2, debts=debts).code == 0
    assert converged(world, V2) == []
    assert list(debts.everybodys()) == []


@pytest.mark.parametrize("way", ["drained", "maintenance"])
def test_who_was_out_by_a_persons_hand_is_not_put_back_by_its_debt(debts: Debts, way: str) -> None:
    """What we did not take out is not ours to put back: the debt says so, and the next run leaves it out."""
    world = settled(*THREE)
    out = {(pool, "gpu2") for pool in POOLS}
    setattr(world, way, getattr(world, way) | out)
    without(world, "gpu2", debts)
    debt = debts.of(sim_host("gpu2"))
    assert debt is not None
    assert not debt.drained
    world.hosts["gpu2"].reachable = True
    run = deploy(world, V2, debts=debts)
    assert run.code == 5
    assert "gpu2 drained or in maintenance" in run.last_line
    assert getattr(world, way) == out
