"""Debts that a run leaves as they are: it brought the host nothing, or the balancer's word was somebody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from simulation.controller import deploy, plays, sim_host
from simulation.fleet import SimFleet
from simulation.wire import Wire
from simulation.world import POOLS, converged

from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.rollout.debt.ledger import Debts
from fleetdeploy.rollout.debt.owing import Owing
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.verdict import judge

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


def test_a_run_of_one_service_pays_nothing_for_the_other(debts: Debts) -> None:
    """Also where it finds nothing to do: the other service's pools may still be drained."""
    world = settled(*THREE)
    without(world, "gpu2", debts)
    world.hosts["gpu2"].reachable = True
    plan = deploy(world, V2, debts=debts, check=True).plan
    assert plan is not None
    found = plan.hosts["gpu1"]
    one = found.services[0].desired.wish
    owing = Owing(Drains(debts), SimFleet(world, Wire(world)), Emitter("r2", world.clock), world.clock)
    for services, left in (((one, replace(one, name="other")), True), ((one,), False)):
        host = replace(sim_host("gpu2"), services=services)
        done = replace(plan, hosts={"gpu2": replace(found, host=host)})
        owing.pay_the_rest(done, {"gpu2": HostOutcome("gpu2", HostState.OK)})
        assert (debts.of(host) is not None) == left


@pytest.mark.parametrize("end", [{"interrupted": 2}, {"held": True, "stopped": "held before wave 2"}], ids=str)
def test_who_may_get_requests_is_named_however_the_run_ended(end: dict[str, Any]) -> None:
    """It was switched over to something that this host does not have."""
    hosts = {
        "gpu1": HostOutcome("gpu1", HostState.CHANGED, untouched=False, activated=True),
        "gpu2": HostOutcome("gpu2", HostState.UNREACHABLE, "no route to host"),
    }
    how = {"interrupted": 0, "allowed": {"gpu2"}, "again": "fleetdeploy deploy", **end}
    assert "; gpu2 may still get requests" in judge("r", hosts, exposed=("gpu2",), **how).last_line
