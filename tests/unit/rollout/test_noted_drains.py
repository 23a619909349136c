"""A host that a run of another controller left behind and drained: the balancer's own note of that lets any controller
bring it up to date and put it back.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.controller import Run, deploy, desired, plays
from simulation.debts import SimDebts
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble
from simulation.world import POOLS, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.playbook import OnFailure, Quantity

from .fleets import V1, V2, V3, dangers, settled

pytestmark = pytest.mark.simulation
THREE = ("gpu1", "gpu2", "gpu3")
TWO_OUT = plays(THREE, max_unavailable=Quantity(2))


def drained(world: World) -> set[str]:
    return {server for _, server in world.drained}


def by_hand(world: World, host: str) -> None:
    world.drained |= {(pool, host) for pool in POOLS}


def left_behind(debts: SimDebts) -> tuple[World, Run]:
    """All have version 2 but gpu2, which is back and drained; ``debts`` is the ledger of the controller that did so."""
    world = settled(*THREE)
    world.hosts["gpu2"].reachable = False
    run = deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=TWO_OUT)
    assert run.code == 8
    assert drained(world) == {"gpu2"}
    world.hosts["gpu2"].reachable = True
    return world, run


def settles(run: Run) -> list[tuple[str, str]]:
    """Who was found to owe nothing any longer, and which run had made that debt."""
    return [(event.host, event.data["made_by"]) for event in run.events if event.kind is Kind.DEBT_SETTLED]


@pytest.mark.parametrize("wanted", [V2, V3], ids=["same release", "newer one"])
def test_another_controller_brings_it_back(wanted: object) -> None:
    """It gets the release before its first request, is put back, and the run says whose debt that was."""
    world, first = left_behind(SimDebts())
    served = set[int]()

    def look(_: Event) -> None:
        host = world.hosts["gpu2"]
        if world.gets_requests("gpu2") and host.server("ranking"):
            served.update(dict(world.serves("gpu2").versions)["ranker"])

    numbers = (2,) if wanted is V2 else (3,)
    run = deploy(world, desired(*numbers), debts=SimDebts(), sinks=[look])
    assert run.code == 0, run.last_line
    assert served == set(numbers)
    assert settles(run) == [("gpu2", first.events[0].run)]
    assert converged(world, desired(*numbers)) == []
    assert dangers(world) == []
    assert deploy(world, desired(*numbers), debts=SimDebts()).acts == []


def test_a_run_of_that_host_alone_brings_it_back_too() -> None:
    """Whatever part of the play the other controller's run is about."""
    world, _ = left_behind(SimDebts())
    alone = [replace(bound, hosts=("gpu2",)) for bound in plays(THREE)]
    assert deploy(world, {"gpu2": V2}, run_plays=alone, debts=SimDebts()).code == 0
    assert drained(world) == set()


def test_killed_anywhere_while_it_pays_a_third_controller_ends_it() -> None:
    """Whatever call the paying run died at, one that knows nothing of either finishes it and does no more."""
    world, _ = left_behind(SimDebts())
    calls = deploy(world.copy(), V2, debts=SimDebts()).calls
    wrong = []
    for at in range(1, len(calls) + 1):
        again = world.copy()
        with pytest.raises(Killed):
            deploy(again, V2, debts=SimDebts(), trouble=Trouble("kill", at), owner="second@there")
        again.clock.skip(600.0)  # longer than any lease
        run = deploy(again, V2, debts=SimDebts(), owner="third@there")
        found = [*converged(again, V2), *dangers(again)]
        if run.code or found or deploy(again, V2, debts=SimDebts(), owner="third@there").acts:
            wrong.append((at, calls[at - 1], run.last_line, found))
    assert wrong == []


def test_the_first_controller_sees_that_its_debt_was_paid() -> None:
    """Its own ledger is not believed any longer: a host that a person drained since then is that person's."""
    mine = SimDebts()
    world, _ = left_behind(mine)
    assert deploy(world, V2, debts=SimDebts()).code == 0
    by_hand(world, "gpu2")
    run = deploy(world, V3, debts=mine)
    assert run.code == 5
    assert "gpu2 drained or in maintenance" in run.last_line
    assert drained(world) == {"gpu2"}


def test_a_paid_debt_is_forgotten_where_it_was_made() -> None:
    """The next run of the first controller finds nothing owed, and from then on does nothing."""
    mine = SimDebts()
    world, _ = left_behind(mine)
    assert deploy(world, V2, debts=SimDebts()).code == 0
    assert deploy(world, V2, debts=mine).code == 0
    assert mine.kept == {}
    assert deploy(world, V2, debts=mine).acts == []


@pytest.mark.parametrize("half", [0, 1])
def test_a_drain_that_is_a_persons_in_one_pool_is_a_persons(half: int) -> None:
    """A note for one of its pools is not enough to put a host back."""
    world, _ = left_behind(SimDebts())
    del world.notes[POOLS[half], "gpu2"]
    run = deploy(world, V2, debts=SimDebts())
    assert run.code == 5
    assert drained(world) == {"gpu2"}


def test_a_person_who_drains_it_is_heeded_although_another_host_is_noted() -> None:
    """Notes are each server's own."""
    world, _ = left_behind(SimDebts())
    by_hand(world, "gpu1")
    run = deploy(world, V3, debts=SimDebts(), run_plays=plays(THREE, max_unavailable=Quantity(3)))
    assert run.code == 5
    assert "gpu1 drained or in maintenance" in run.last_line


def test_what_was_taken_back_while_it_was_noted_stays_out() -> None:
    """A paying run that fails leaves the host drained, remembers it, and the next controller pays."""
    world, _ = left_behind(SimDebts())

    def spoil(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_STARTED, "verify", "gpu2"):
            world.hosts["gpu2"].containers.clear()

    run = deploy(world, V2, debts=SimDebts(), sinks=[spoil])
    assert run.code in {3, 4}, run.last_line
    assert drained(world) == {"gpu2"}
    assert deploy(world, V2, debts=SimDebts()).code == 0
    assert drained(world) == set()


def test_a_plan_foresees_what_a_run_does() -> None:
    """Who is to be brought back is in the plan, and nothing is written for it anywhere."""
    debts = SimDebts()
    world, first = left_behind(SimDebts())
    before = dict(world.notes)
    run = deploy(world, V2, debts=debts, check=True)
    assert run.plan is not None
    (service,) = run.plan.hosts["gpu2"].services
    assert service.undrain
    assert (debts.kept, world.notes) == ({}, before)
    assert {note.run for note in before.values()} == {first.events[0].run}


def test_version_1_is_never_served_again_by_who_was_left_behind() -> None:
    """Not even where the fleet goes back to it: the host has it already, and is put back with it."""
    world, _ = left_behind(SimDebts())
    run = deploy(world, V1, debts=SimDebts())
    assert run.code == 0, run.last_line
    assert (converged(world, V1), drained(world)) == ([], set())


def gone_back(debts: SimDebts) -> World:
    """The fleet left version 2 again while gpu2 was away: gpu2 has what it shall have, and is out all the same."""
    world, _ = left_behind(debts)
    world.hosts["gpu2"].reachable = False
    assert deploy(world, V1, debts=debts, allow_unreachable=True, run_plays=TWO_OUT).code == 8
    world.hosts["gpu2"].reachable = True
    return world


def test_who_is_out_with_nothing_else_to_do_comes_back() -> None:
    """Another controller's run that finds everything as it is wanted sees the note all the same."""
    world = gone_back(SimDebts())
    run = deploy(world, V1, debts=SimDebts())
    assert run.code == 0, run.last_line
    assert drained(world) == set()
    assert deploy(world, V1, debts=SimDebts()).acts == []


def test_without_a_drain_of_its_own_a_dead_run_leaves_the_note() -> None:
    """Where the playbook drains nobody the host never gets a mark: whatever call the paying run died at, one that knows
    nothing of it finds the note.
    """
    bound = tuple(
        replace(play, calls=tuple(call for call in play.calls if call.task.name != "drain")) for play in plays(THREE)
    )
    start, _ = left_behind(SimDebts())
    calls = deploy(start.copy(), V2, debts=SimDebts(), run_plays=bound).calls
    wrong = []
    for at in range(1, len(calls) + 1):
        world = start.copy()
        with pytest.raises(Killed):
            deploy(world, V2, debts=SimDebts(), run_plays=bound, trouble=Trouble("kill", at), owner="second@there")
        world.clock.skip(600.0)
        run = deploy(world, V2, debts=SimDebts(), run_plays=bound, owner="third@there")
        if run.code or drained(world) or converged(world, V2):
            wrong.append((at, calls[at - 1], run.last_line, drained(world)))
    assert wrong == []


def test_a_note_that_a_person_ended_is_no_word_on_the_next_drain() -> None:
    """Maintenance and `ready` end our drain and leave the note: the next run strikes it, and a drain days later is the
    person's whose it is.
    """
    world = gone_back(SimDebts())
    world.drained.clear()
    assert deploy(world, V1, debts=SimDebts()).code == 0
    by_hand(world, "gpu2")
    run = deploy(world, V2, debts=SimDebts())
    assert run.code == 5
    assert drained(world) == {"gpu2"}


def test_a_plan_strikes_no_note() -> None:
    """It changes nothing anywhere."""
    world = gone_back(SimDebts())
    world.drained.clear()
    before = dict(world.notes)
    run = deploy(world, V1, debts=SimDebts(), check=True)
    assert (world.notes, run.acts) == (before, [])


@pytest.mark.parametrize("keeps_notes", [True, False])
def test_a_debt_made_anew_is_believed_whatever_was_paid_before(*, keeps_notes: bool) -> None:
    """Also where its own note could not be written, and the balancer still has that of the debt that was paid."""
    debts = SimDebts()
    world, _ = left_behind(debts)
    assert deploy(world, V2, debts=debts).code == 0
    world.hosts["gpu2"].reachable = False
    world.keeps_notes = keeps_notes
    assert deploy(world, V3, debts=debts, allow_unreachable=True, run_plays=TWO_OUT).code == 8
    world.hosts["gpu2"].reachable, world.keeps_notes = True, True
    assert deploy(world, V3, debts=debts).code == 0
    assert drained(world) == set()


@pytest.mark.parametrize("same", [True, False], ids=["same controller", "another one"])
def test_who_was_taken_back_to_what_is_old_gets_no_request_with_it(*, same: bool) -> None:
    """It paid, was taken back by `revert_all`, and fails once more: it stays out, whoever tries, as the others have
    left its release.
    """
    debts = SimDebts()
    world, _ = left_behind(debts)
    world.hosts["gpu3"].quality["ranker", 3] = Quality.WRONG
    back = plays(THREE, on_failure=OnFailure.REVERT_ALL, max_unavailable=Quantity(2))
    assert deploy(world, V3, debts=debts, run_plays=back).code in {3, 4}
    assert drained(world) == {"gpu2"}
    world.hosts["gpu3"].quality.clear()
    world.hosts["gpu2"].quality["ranker", 2] = Quality.WRONG
    run = deploy(world, V2, debts=debts if same else SimDebts())
    assert run.code != 0
    assert not world.gets_requests("gpu2")
    world.hosts["gpu2"].quality.clear()
    assert deploy(world, V2, debts=SimDebts()).code == 0
    assert (converged(world, V2), drained(world)) == ([], set())
