"""``on_failure: revert_all``: what goes back, how many at a time, and what is left where there is no room."""

from __future__ import annotations

import threading

import pytest
from simulation.controller import Run, deploy, plays
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.playbook import OnFailure, Quantity
from fleetdeploy.errors import LeaseLost
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.host.host_run import HostRun
from fleetdeploy.rollout.locks.leases import LeaseKeeper

from .fleets import V1, V2, dangers, new, settled
from .test_failures import states

pytestmark = pytest.mark.simulation
FIVE = ("gpu1", "gpu2", "gpu3", "gpu4", "gpu5")


def all_back(**keys: object) -> tuple[BoundPlay, ...]:
    return plays(FIVE, **{"serial": (Quantity(1),), "on_failure": OnFailure.REVERT_ALL, **keys})


def versions(world: World) -> dict[str, tuple[int, ...]]:
    return {name: dict(now.versions)["ranker"] for name, now in world.serves_all().items()}


def last_fails(
    run_plays: tuple[BoundPlay, ...], *, threads: bool = False, trouble: Trouble | None = None
) -> tuple[World, Run]:
    """Four hosts go well, the fifth does not."""
    world = settled(*FIVE)
    world.hosts["gpu5"].quality[("ranker", 2)] = Quality.WRONG
    return world, deploy(world, V2, run_plays=run_plays, threads=threads, trouble=trouble)


def test_the_newest_goes_back_first() -> None:
    """The hosts that went well go back one by one where one may be out, the last one first, and exit 3 is true."""
    world, run = last_fails(all_back())
    begun = [event.host for event in run.events if event.kind is Kind.REVERT_STARTED]
    assert begun == ["gpu5", "gpu4", "gpu3", "gpu2", "gpu1"]
    assert run.code == 3
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_as_many_go_back_at_a_time_as_may_be_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for three they go back side by side, never more than three out of service at once."""
    undo, together = HostRun.undo, threading.Barrier(2)

    def undone(run: HostRun) -> None:
        if run.name != "gpu5" and run.past_activation():
            together.wait(30)  # breaks where they come one by one
        undo(run)

    monkeypatch.setattr(HostRun, "undo", undone)
    world, run = last_fails(all_back(max_unavailable=Quantity(3)), threads=True)
    assert run.code == 3
    assert converged(world, V1) == []
    assert dangers(world, most_out=3) == []


def test_without_room_nobody_is_taken_out() -> None:
    """Where the failed host stays out and only one may be, the others keep the new release: told, exit 4."""
    world = settled(*FIVE)
    lost = list[str]()

    def lose(event: Event) -> None:
        if event.task == "activate" and event.host == "gpu5" and event.kind is Kind.STEP_FINISHED:
            world.hosts["gpu5"].reachable = False
            lost.append(event.host)

    run = deploy(world, V2, run_plays=all_back(), sinks=[lose])
    assert lost
    assert run.code == 4
    assert run.last_line == (
        "FAILED: gpu5: not known to serve what it served before, gpu1, gpu2, gpu3, gpu4 changed and not taken back; "
        "look with `fleetdeploy status`, mend it, then: fleetdeploy deploy"
    )
    assert run.outcome is not None
    kept = {name: item for name, item in run.outcome.hosts.items() if item.state is HostState.CHANGED}
    assert set(kept) == {"gpu1", "gpu2", "gpu3", "gpu4"}
    assert {item.reason for item in kept.values()} >= {
        "not taken back: gpu5 out of service, and max_unavailable is 1: gpu4 cannot be taken out as well"
    }
    assert {versions(world)[name] for name in kept} == {(2,)}
    assert all(world.in_service(name) for name in kept)
    assert dangers(world) == []


def test_min_available_holds_while_hosts_go_back() -> None:
    """A floor that leaves room for one host at a time is kept although max_unavailable would allow more."""
    world, run = last_fails(all_back(max_unavailable=Quantity(5), min_available=Quantity(4)), threads=True)
    assert run.code == 3
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_a_host_that_does_not_come_back_leaves_no_room_for_the_rest() -> None:
    """One that fails on its way back counts as out: where one may be, the others stay as they are."""
    world = settled(*FIVE)
    world.hosts["gpu5"].quality[("ranker", 2)] = Quality.WRONG

    def lie(event: Event) -> None:
        if event.kind is Kind.REVERT_STARTED and event.host == "gpu3":
            world.lies = {"undrain"}

    run = deploy(world, V2, run_plays=all_back(), sinks=[lie])
    assert run.code == 4
    assert states(run) == {
        "gpu1": HostState.CHANGED,
        "gpu2": HostState.CHANGED,
        "gpu3": HostState.FAILED,
        "gpu4": HostState.REVERTED,
        "gpu5": HostState.REVERTED,
    }
    assert versions(world)["gpu1"] == versions(world)["gpu2"] == (2,)
    assert dangers(world) == []


def test_a_bug_on_the_way_back_is_an_outcome_of_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody expected leaves that host out, and the others do not wait for its place for ever."""

    undo = HostRun.undo

    def broken(run: HostRun) -> None:
        if run.name != "gpu5":
            raise KeyError("surprise")
        undo(run)

    monkeypatch.setattr(HostRun, "undo", broken)
    _, run = last_fails(all_back(max_unavailable=Quantity(2)))
    assert run.code == 4
    assert run.outcome is not None
    assert run.outcome.hosts["gpu4"].reason == "the revert failed: a bug in fleetdeploy: KeyError: 'surprise'"
    assert "not taken back: " in run.outcome.hosts["gpu1"].reason


def test_a_host_that_another_one_drained_meanwhile_counts() -> None:
    """The balancers are asked before hosts go back: who is out by then by anybody's hand leaves no room."""
    world = settled(*FIVE)
    world.hosts["gpu5"].quality[("ranker", 2)] = Quality.WRONG

    def drain(event: Event) -> None:
        if event.kind is Kind.HOST_FINISHED and event.data["state"] == "reverted" and event.host == "gpu5":
            world.drained |= {(pool, "gpu2") for pool in POOLS}

    run = deploy(world, V2, run_plays=all_back(), sinks=[drain])
    assert run.code == 4
    assert "the fleet is mixed: gpu1, gpu2, gpu3, gpu4 changed" in run.last_line
    assert not world.serves("gpu2").traffic, "who drained it puts it back"
    assert dangers(world) == []


def test_a_signal_ends_the_way_back_with_what_is_at_hand() -> None:
    """After the first signal the host that is going back gets there, and no other one is begun: exit 130."""
    calls = last_fails(all_back())[1].calls
    back = max(at for at, call in enumerate(calls, 1) if call == ("gpu4", "files.write_config"))
    world, run = last_fails(all_back(), trouble=Trouble("signal", back))
    assert run.code == 130
    assert {name for name, state in states(run).items() if state is HostState.REVERTED} == {"gpu4", "gpu5"}
    assert versions(world) == {"gpu1": (2,), "gpu2": (2,), "gpu3": (2,), "gpu4": (1,), "gpu5": (1,)}
    assert all(world.in_service(name) for name in FIVE)


def test_hosts_of_an_earlier_play_go_back_in_its_own_capacity() -> None:
    """What an earlier play of the run finished goes back as well, with as many out as that play allows."""
    first, second = ("gpu1", "gpu2"), ("gpu3", "gpu4")
    world = settled(*first, *second)
    world.hosts["gpu4"].quality[("ranker", 2)] = Quality.WRONG
    keys = {"serial": (Quantity(1),), "on_failure": OnFailure.REVERT_ALL}
    bound = (*plays(first, **keys), *plays(second, **keys))
    run = deploy(world, V2, run_plays=bound)
    assert run.code == 3
    assert [event.host for event in run.events if event.kind is Kind.REVERT_STARTED] == ["gpu4", "gpu3", "gpu2", "gpu1"]
    assert converged(world, V1) == []
    assert dangers(world, most_out=1) == []


def test_a_host_whose_lease_is_known_to_be_lost_is_left_to_the_other_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finished, and another run has it by now: it is not touched, is told as not known, and the others go back."""
    world, over = settled(*FIVE), list[Event]()
    world.hosts["gpu5"].quality[("ranker", 2)] = Quality.WRONG

    def finished(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_FINISHED, "undrain", "gpu4"):
            over.append(event)

    def check(_: LeaseKeeper, name: str) -> None:
        if over and name == "gpu4":
            raise LeaseLost("the lease is lost: run-elsewhere took over", where=name)

    monkeypatch.setattr(LeaseKeeper, "check", check)
    # One more may be out, as nobody knows of this one.
    run = deploy(world, V2, run_plays=all_back(max_unavailable=Quantity(2)), sinks=[finished])
    assert run.code == 4
    assert states(run)["gpu4"] is HostState.FAILED
    assert versions(world) == {"gpu1": (1,), "gpu2": (1,), "gpu3": (1,), "gpu4": (2,), "gpu5": (1,)}
    assert world.in_service("gpu4")


def test_new_hosts_go_back_to_nothing() -> None:
    """Hosts that the run set up serve nothing again, without taking room from the others: exit 3."""
    world = new(*FIVE)
    world.hosts["gpu5"].quality[("ranker", 1)] = Quality.WRONG
    run = deploy(world, V1, run_plays=all_back())
    assert run.code == 3
    assert all(host.directory(SERVICE).release is None for host in world.hosts.values())
    assert deploy(world, V2).code == 0
