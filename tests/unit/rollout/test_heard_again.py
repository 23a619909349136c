"""What balancers tell of drains holds until something is changed; meanwhile a person is asked, or a lock held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import simulation.controller as sim
from simulation.controller import deploy, sim_host
from simulation.debts import SimDebts
from simulation.fleet import SimFleet
from simulation.wire import Trouble, Wire
from simulation.world import World

from fleetdeploy.rollout.debt.drains import Drains

from .fleets import V2, V3, settled
from .test_debts import THREE, TWO_OUT, drained
from .test_noted_drains import by_hand

pytestmark = pytest.mark.simulation


def without_gpu2(world: World, debts: SimDebts, wanted: Any = V2, **how: Any) -> None:
    """A run that leaves gpu2 behind, which comes back afterwards."""
    world.hosts["gpu2"].reachable = False
    run = deploy(world, wanted, debts=debts, allow_unreachable=True, run_plays=TWO_OUT, **how)
    assert run.code == 8, run.last_line
    world.hosts["gpu2"].reachable = True


def while_asked(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Between the look at the fleet and the run: there a person is asked whether to go on."""
    real, once = sim.refuse_plan, [act]

    def refuse_plan(*args: Any, **keys: Any) -> None:
        if once:
            once.pop()()
        real(*args, **keys)

    monkeypatch.setattr(sim, "refuse_plan", refuse_plan)


def test_a_debt_made_while_a_person_was_asked_is_its_makers(monkeypatch: pytest.MonkeyPatch) -> None:
    """There was a note that outlived its drain, and by now there is another one, which nobody strikes."""
    world, other = settled(*THREE), SimDebts()
    without_gpu2(world, SimDebts())
    world.drained.clear()
    while_asked(monkeypatch, lambda: without_gpu2(world, other, V3, owner="two@there"))
    assert deploy(world, V3, debts=SimDebts()).code == 5
    assert world.kept_out("gpu2")
    assert deploy(world, V3, debts=other, owner="two@there").code == 0
    assert drained(world) == set()


def test_a_persons_drain_while_a_person_was_asked_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took the place of a run's, whose debt was paid meanwhile."""
    world, other = settled(*THREE), SimDebts()
    without_gpu2(world, other)

    def meanwhile() -> None:
        assert deploy(world, V2, debts=other, owner="two@there").code == 0
        by_hand(world, "gpu2")

    while_asked(monkeypatch, meanwhile)
    run = deploy(world, V3, debts=SimDebts())
    assert run.code == 5
    assert "gpu2: whom the balancer keeps out, and for which run, has changed" in run.last_line
    assert drained(world) == {"gpu2"}


def test_a_ledger_is_not_believed_after_two_debts_were_paid_elsewhere() -> None:
    """There is one note, and it tells of the newer."""
    world, one, two = settled(*THREE), SimDebts(), SimDebts()
    without_gpu2(world, one)
    assert deploy(world, V2, debts=two, owner="two@there").code == 0
    without_gpu2(world, two, V3, owner="two@there")
    assert deploy(world, V3, debts=two, owner="two@there").code == 0
    by_hand(world, "gpu2")
    deploy(world, V3, debts=one)
    assert drained(world) == {"gpu2"}


@pytest.mark.parametrize("times", [1, 2])
def test_a_balancer_that_is_silent_makes_no_ledger_true(times: int) -> None:
    """The debt was paid elsewhere, and a person drains the host: silence at the first or the second question undoes
    nothing.
    """
    world, one = settled(*THREE), SimDebts()
    without_gpu2(world, one)
    assert deploy(world, V2, debts=SimDebts(), owner="two@there").code == 0
    by_hand(world, "gpu2")
    run = deploy(world, V3, debts=one, trouble=Trouble("refuse", times, count="balancer.noted"))
    assert run.code == 5
    assert drained(world) == {"gpu2"}


def test_silence_while_a_ledger_has_a_debt_stops_the_run_before_it_begins() -> None:
    """Whether it is still that run's drain nobody can say."""
    world, debts = settled(*THREE), SimDebts()
    without_gpu2(world, debts)
    run = deploy(world, V3, debts=debts, trouble=Trouble("refuse", 2, count="balancer.noted"))
    assert run.code == 5
    assert "gpu2: its balancer cannot be asked whether it is still run" in run.last_line
    assert deploy(world, V3, debts=debts).code == 0


def test_a_refused_run_strikes_no_note() -> None:
    """Exit 5 says that nothing was touched, and that holds for the balancer as well."""
    world = settled(*THREE)
    without_gpu2(world, SimDebts())
    world.drained.clear()
    by_hand(world, "gpu1")
    before = dict(world.notes)
    assert deploy(world, V3, debts=SimDebts()).code == 5
    assert world.notes == before


def test_a_second_attempt_believes_what_it_hears_then() -> None:
    """As when a lock was waited for, and the debt is paid meanwhile."""
    world, other = settled(*THREE), SimDebts()
    without_gpu2(world, other)
    drains, fleet, host = Drains(SimDebts()), SimFleet(world, Wire(world)), sim_host("gpu2")
    drains.hear([host], fleet)
    assert drains.by(host)
    assert deploy(world, V2, debts=other, owner="two@there").code == 0
    drains.hear([host], fleet)
    assert drains.by(host) == ""
