"""A host that was left behind, and then the run that brings it back fails, dies or is cut off as well."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.controller import Run, deploy, plays
from simulation.debts import SimDebts
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble
from simulation.world import POOLS, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.playbook import OnFailure, Quantity

from .fleets import V2, V3, settled
from .test_debts import THREE, TWO_OUT, drained

pytestmark = pytest.mark.simulation
REVERT_ALL = plays(THREE, on_failure=OnFailure.REVERT_ALL, max_unavailable=Quantity(2))


def away(world: World, debts: SimDebts, wanted: Any = V2, **how: Any) -> Run:
    """A run that goes on without gpu2, which stays away."""
    world.hosts["gpu2"].reachable = False
    return deploy(world, wanted, debts=debts, allow_unreachable=True, run_plays=TWO_OUT, **how)


def left_behind() -> tuple[World, SimDebts]:
    """All have version 2 but gpu2, which is back and drained."""
    world, debts = settled(*THREE), SimDebts()
    assert away(world, debts).code == 8
    world.hosts["gpu2"].reachable = True
    return world, debts


def lost_behind_its_drain() -> tuple[World, SimDebts]:
    """gpu2 was lost in the middle of its turn, drained, after gpu1 had been switched over; it is back."""
    world, debts = settled(*THREE), SimDebts()

    def lose(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_FINISHED, "drain", "gpu2"):
            world.hosts["gpu2"].reachable = False

    assert deploy(world, V2, debts=debts, sinks=[lose]).code == 4
    assert drained(world) == {"gpu2"}
    world.hosts["gpu2"].reachable = True
    return world, debts


def old_gets_requests(world: World) -> bool:
    """Whether gpu2 is in service with what the others have left."""
    world.tick()
    if not world.gets_requests("gpu2") or not world.hosts["gpu2"].server("ranking"):
        return False
    return 1 in dict(world.serves("gpu2").versions).get("ranker", ())


def told_or_out(world: World, run: Run) -> bool:
    return not world.gets_requests("gpu2") or "gpu2 may still get requests" in run.last_line


def again(start: tuple[World, SimDebts], wanted: Any, trouble: Trouble, **how: Any) -> tuple[World, SimDebts, str]:
    """The world after a troubled run, all its hosts in reach, the ledger, and how the run ended."""
    world, mine, ended = start[0].copy(), SimDebts(kept=dict(start[1].kept)), "killed"
    try:
        run = deploy(world, wanted, debts=mine, trouble=trouble, **how)
        ended = f"{run.code} {run.last_line}"
    except Killed:
        pass
    for host in world.hosts.values():
        host.reachable = True
        host.quality.clear()
    return world, mine, ended


@pytest.mark.parametrize("same", [True, False], ids=["same controller", "another one"])
@pytest.mark.parametrize("kind", ["drop", "refuse", "lose", "kill", "signal", "takeover"])
def test_however_paying_goes_wrong_the_old_release_gets_no_request(kind: str, *, same: bool) -> None:
    """At every call of the run that pays; the next one fails on the host, and the one behind that makes all good."""
    start = left_behind()
    calls = deploy(start[0].copy(), V2, debts=SimDebts(kept=dict(start[1].kept))).calls
    wrong = []
    for at in range(1, len(calls) + 1):
        world, mine, first = again(start, V2, Trouble(kind, at))
        if old_gets_requests(world):
            wrong.append((at, calls[at - 1], "at once", first))
            continue
        world.clock.skip(600.0)
        world.hosts["gpu2"].quality["ranker", 2] = Quality.WRONG
        who: dict[str, Any] = {"debts": mine} if same else {"debts": SimDebts(), "owner": "two@there"}
        run = deploy(world, V2, **who)
        if old_gets_requests(world):
            wrong.append((at, calls[at - 1], first, run.last_line))
            continue
        world.hosts["gpu2"].quality.clear()
        world.clock.skip(600.0)
        run = deploy(world, V2, debts=SimDebts(), owner="three@there")
        if run.code or converged(world, V2):
            wrong.append((at, calls[at - 1], first, run.last_line))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("kind", ["refuse", "kill"])
def test_however_being_taken_back_goes_wrong_the_old_release_gets_no_request(kind: str) -> None:
    """By ``revert_all``: it had what it owed, and owes it once more, wherever the way back ends."""
    start = left_behind()
    start[0].hosts["gpu3"].quality["ranker", 3] = Quality.WRONG
    calls = deploy(start[0].copy(), V3, debts=SimDebts(kept=dict(start[1].kept)), run_plays=REVERT_ALL).calls
    wrong = []
    for at in range(len(calls) // 2, len(calls) + 1):
        world, mine, first = again(start, V3, Trouble(kind, at), run_plays=REVERT_ALL)
        if old_gets_requests(world):
            wrong.append((at, calls[at - 1], "at once", first))
            continue
        world.clock.skip(600.0)
        world.hosts["gpu2"].quality["ranker", 2] = Quality.WRONG
        run = deploy(world, V2, debts=mine, again=True)
        if old_gets_requests(world):
            wrong.append((at, calls[at - 1], first, run.last_line))
    assert not wrong, "\n".join(map(str, wrong))


def test_a_run_that_is_cut_off_anywhere_leaves_nobody_untold() -> None:
    """gpu2 is away all the time. The same command again has nothing to switch over, and keeps it out or tells of it."""
    start = settled(*THREE)
    calls = away(start.copy(), SimDebts()).calls
    wrong = []
    for at in range(1, len(calls) + 1):
        world, debts, events = start.copy(), SimDebts(), list[Event]()
        with pytest.raises(Killed):
            away(world, debts, trouble=Trouble("kill", at), sinks=[events.append])
        switched = any((event.kind, event.task) == (Kind.STEP_FINISHED, "activate") for event in events)
        run = away(world, debts, left_behind=THREE if switched else ())
        if not told_or_out(world, run):
            wrong.append((at, calls[at - 1], run.code, run.last_line))
    assert not wrong, "\n".join(map(str, wrong))


def test_a_balancer_that_began_anew_is_told_again() -> None:
    """Its drains and notes are gone, and the ledger still has them; the run has nothing else to do."""
    world, debts = settled(*THREE), SimDebts()
    assert away(world, debts).code == 8
    world.drained.clear()
    world.notes.clear()
    assert away(world, debts).code == 8
    assert not world.gets_requests("gpu2")
    world.hosts["gpu2"].reachable = True
    assert deploy(world, V2, debts=SimDebts(), owner="two@there").code == 0
    assert drained(world) == set()


@pytest.mark.parametrize("same", [True, False], ids=["same controller", "another one"])
def test_who_was_lost_behind_its_drain_stays_out_whoever_tries(*, same: bool) -> None:
    """The balancer has a note of that as well, so that every controller knows what the drain is for."""
    world, debts = lost_behind_its_drain()
    world.hosts["gpu2"].quality["ranker", 2] = Quality.WRONG
    world.clock.skip(600.0)
    run = deploy(world, V2, debts=debts if same else SimDebts(), owner="me@here" if same else "two@there")
    assert run.code != 0
    assert not world.gets_requests("gpu2")


def test_a_drain_that_was_cut_off_between_two_pools_is_completed() -> None:
    """By the next run, while the host is still away."""
    world, debts = settled(*THREE), SimDebts()
    assert away(world, debts).code == 8
    world.drained.discard((POOLS[1], "gpu2"))
    world.notes.pop((POOLS[1], "gpu2"))
    away(world, debts, V3)
    assert {pool for pool, server in world.drained if server == "gpu2"} == set(POOLS)
    world.hosts["gpu2"].reachable = True
    assert deploy(world, V3, debts=SimDebts(), owner="two@there").code == 0
    assert drained(world) == set()


@pytest.mark.parametrize("keeps_notes", [True, False])
def test_a_pool_that_a_person_drained_stays_theirs(*, keeps_notes: bool) -> None:
    """The other pool gets no requests either while the host is away, and nobody puts back what the person drained."""
    world, debts = settled(*THREE), SimDebts()
    world.keeps_notes = keeps_notes
    world.drained.add((POOLS[0], "gpu2"))
    run = away(world, debts)
    assert told_or_out(world, run), run.last_line
    world.hosts["gpu2"].reachable = True
    run = deploy(world, V2, debts=debts)
    assert run.code == 5
    assert (POOLS[0], "gpu2") in world.drained


def test_what_cannot_be_remembered_is_noted_all_the_same() -> None:
    """A full disk on the controller: the balancer's note needs none of it."""

    class Full(SimDebts):
        def write(self, _: object) -> None:
            raise OSError(28, "No space left on device")

    world, _ = left_behind()
    world.hosts["gpu2"].quality["ranker", 2] = Quality.WRONG
    assert deploy(world, V2, debts=Full(), owner="two@there").code != 0
    world.clock.skip(600.0)
    deploy(world, V2, debts=SimDebts(), owner="three@there")
    assert not world.gets_requests("gpu2")
