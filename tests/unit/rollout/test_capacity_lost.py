"""Hosts that leave service while a rollout goes on, by whatever hand, and what it does then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from simulation.controller import Run, deploy, plays
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.playbook import OnFailure, Quantity

from .fleets import V1, V2, dangers, settled
from .test_failures import states, touched

pytestmark = pytest.mark.simulation
FOUR = ("gpu1", "gpu2", "gpu3", "gpu4")
ONE_BY_ONE = (Quantity(1),)


def after(host: str, act: Callable[[], None], *, task: str = "undrain") -> Callable[[Event], None]:
    """A sink that acts once, when a task of the host is done."""
    done = list[str]()

    def sink(event: Event) -> None:
        if not done and (event.kind, event.task, event.host) == (Kind.STEP_FINISHED, task, host):
            done.append(host)
            act()

    return sink


def drain(world: World, host: str) -> None:
    world.drained |= {(pool, host) for pool in POOLS}


def crash(world: World, host: str) -> None:
    """Nothing serves there any more, and nothing comes back by itself."""
    container = next(iter(world.hosts[host].containers))
    world.hosts[host].stop(container)
    world.hosts[host].cut.clear()


def rolled(world: World, sink: Callable[[Event], None], **keys: object) -> Run:
    return deploy(world, V2, run_plays=plays(FOUR, **{"serial": ONE_BY_ONE, **keys}), sinks=[sink])


def test_a_host_that_is_drained_by_another_hand_stops_a_rollout_without_room() -> None:
    """Between two waves somebody takes a host out: no other one is, the message names it, and the fleet is mixed."""
    world = settled(*FOUR)
    run = rolled(world, after("gpu1", lambda: drain(world, "gpu4")))
    assert run.code == 4
    assert run.last_line == (
        "FAILED: gpu4 out of service, and max_unavailable is 1: gpu2 cannot be taken out as well; "
        "the fleet is mixed: gpu1 changed; mend it, then: fleetdeploy deploy"
    )
    assert touched(run) == {"gpu1"}
    assert states(run) == {"gpu1": HostState.CHANGED, **dict.fromkeys(FOUR[1:], HostState.SKIPPED)}
    assert dangers(world) == []


def test_a_host_that_crashes_before_the_first_wave_stops_it_with_nothing_changed() -> None:
    """What was up when the run began and is down when a host would be taken out counts: exit 3, nothing switched."""
    world = settled(*FOUR)
    run = rolled(world, after("gpu4", lambda: crash(world, "gpu3"), task="stage"), max_unavailable=Quantity(1))
    assert run.code == 3
    assert run.last_line == (
        "FAILED: gpu3 out of service, and max_unavailable is 1: gpu1 cannot be taken out as well; "
        "every host that was touched serves what it served before"
    )
    assert touched(run) == set()


def test_a_rollout_goes_on_where_there_is_room() -> None:
    """With two allowed out, one that crashes is repaired when its turn comes, and the others are done before."""
    world = settled(*FOUR)
    run = rolled(world, after("gpu1", lambda: crash(world, "gpu4")), max_unavailable=Quantity(2))
    assert run.code == 0
    assert converged(world, V2) == []
    assert dangers(world, most_out=2) == []


def test_a_host_that_came_back_counts_no_longer() -> None:
    """A host outside the limit that its balancer had out frees its place as soon as it is back: another may go then."""
    world = settled(*FOUR)
    drain(world, "gpu4")

    def swap() -> None:
        world.drained.clear()
        drain(world, "gpu3")

    bound = plays(FOUR, serial=ONE_BY_ONE, max_unavailable=Quantity(2))
    limited = tuple(replace(play, hosts=FOUR[:2]) for play in bound)
    run = deploy(world, dict.fromkeys(FOUR[:2], V2), run_plays=limited, sinks=[after("gpu1", swap)])
    assert run.code == 0
    assert dangers(world, most_out=2) == []


def test_a_host_that_a_person_drained_meanwhile_is_not_put_back() -> None:
    """With room for it the rollout comes to such a host, refuses it untouched, and that is a failure."""
    world = settled(*FOUR)
    run = rolled(world, after("gpu1", lambda: drain(world, "gpu2")), max_unavailable=Quantity(2))
    assert run.code == 4
    assert run.outcome is not None
    assert (
        run.outcome.hosts["gpu2"].reason
        == "drained or in maintenance in the balancer, and nothing here tells that fleetdeploy did it"
    )
    assert run.outcome.hosts["gpu2"].state is HostState.FAILED
    assert "gpu2" not in touched(run)
    assert not world.serves("gpu2").traffic
    assert dangers(world, most_out=2) == []


def test_a_floor_that_is_lost_in_one_domain_leaves_the_others() -> None:
    """A domain without room is passed over and told; hosts of another one are still done: exit 4."""
    world = settled(*FOUR)
    racks = {name: {"rack": rack} for name, rack in zip(FOUR, ("a", "b", "a", "b"), strict=True)}
    bound = plays(
        FOUR, variables=racks, spread="rack", min_available=Quantity(1), max_unavailable=Quantity(3), serial=ONE_BY_ONE
    )
    run = deploy(world, V2, run_plays=bound, sinks=[after("gpu1", lambda: drain(world, "gpu4"))])
    assert states(run) == {
        "gpu1": HostState.CHANGED,
        "gpu2": HostState.SKIPPED,
        "gpu3": HostState.CHANGED,
        "gpu4": HostState.FAILED,
    }
    assert run.code == 4
    assert world.in_service("gpu2")


def test_a_balancer_that_falls_silent_stops_the_rollout() -> None:
    """Nobody knows capacity then: no further host is taken out, and the message says so."""
    world = settled(*FOUR)
    run = rolled(world, after("gpu1", lambda: setattr(world, "balancer_down", True)))
    assert run.code == 4
    assert run.last_line.startswith(
        "FAILED: nobody can say which hosts are in service: the balancer does not answer (lb); "
        "the fleet is mixed: gpu1 changed"
    )
    assert touched(run) == {"gpu1"}
    world.balancer_down = False
    assert world.in_service("gpu1")


def test_a_balancer_is_asked_once_a_wave_not_once_a_host() -> None:
    """Twenty hosts side by side cost one question of the whole wave, as long as the answer is fresh."""
    names = tuple(f"gpu{number}" for number in range(1, 21))
    world = settled(*names)
    run = deploy(world, V2, run_plays=plays(names, serial=(), max_unavailable=Quantity(20)))
    assert run.code == 0
    asked = sum(method == "balancer.members" for _, method in run.calls)
    elapsed_s = run.events[-1].time_s - run.events[0].time_s
    assert asked - len(names) <= 3 + elapsed_s / 5, "preflight asks for each host, once"


# Between two waves


SOAK = {"serial": ONE_BY_ONE, "soak_s": 60.0}


def at_soak(act: Callable[[], None]) -> Callable[[Event], None]:
    done = list[str]()

    def sink(event: Event) -> None:
        if event.kind is Kind.SOAK_STARTED and not done:
            done.append("soaking")
            act()

    return sink


def test_a_finished_host_that_goes_down_while_soaking_has_failed() -> None:
    """What its balancer finds down goes back, the rollout stops, and that is known before the soak is over: exit 3."""
    world = settled(*FOUR)
    run = rolled(world, at_soak(lambda: crash(world, "gpu1")), **SOAK)
    assert run.code == 3
    assert states(run)["gpu1"] is HostState.REVERTED
    assert run.outcome is not None
    assert "its balancer holds it for down" in run.outcome.hosts["gpu1"].reason
    begun = next(event.time_s for event in run.events if event.kind is Kind.SOAK_STARTED)
    stopped = next(event.time_s for event in run.events if event.kind is Kind.ROLLOUT_STOPPED)
    assert stopped - begun < 30
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_a_container_that_restarts_while_soaking_has_failed() -> None:
    """One that Docker had to restart serves again, and is a failure all the same: the look at the end finds it."""
    world = settled(*FOUR)

    def restart() -> None:
        process = world.hosts["gpu1"].server(SERVICE)
        assert process is not None
        process.exited = True
        world.tick()

    run = rolled(world, at_soak(restart), **SOAK)
    assert states(run)["gpu1"] is HostState.REVERTED
    assert run.outcome is not None
    assert "restarted 1 times" in run.outcome.hosts["gpu1"].reason
    assert run.code == 3
    assert touched(run) == {"gpu1"}


@pytest.mark.parametrize("balanced", [True, False])
def test_a_host_that_is_lost_while_soaking_is_unreachable(balanced: bool) -> None:
    """The look at its end needs no balancer: a host that cannot be reached then counts as failed, exit 4."""
    world = settled(*FOUR)
    lose = at_soak(lambda: setattr(world.hosts["gpu1"], "reachable", False))
    run = deploy(world, V2, run_plays=plays(FOUR, balanced=balanced, **SOAK), balanced=balanced, sinks=[lose])
    assert states(run)["gpu1"] is HostState.UNREACHABLE
    assert run.code == 4
    assert run.last_line.startswith("FAILED: gpu1: not known to serve")
    assert "gpu2" not in touched(run)


@pytest.mark.parametrize("failures", [1, 2])
def test_a_late_failure_counts_against_the_one_budget(failures: int) -> None:
    """With one failure borne the rollout goes on past a host that failed late, and with two it stops."""
    world = settled(*FOUR)
    soaks = list[int]()

    def fall(event: Event) -> None:
        if event.kind is Kind.SOAK_STARTED:
            soaks.append(1)
            if len(soaks) <= failures:
                crash(world, f"gpu{len(soaks)}")

    run = rolled(world, fall, max_fail_percentage=50, **SOAK)
    gone, rest = FOUR[:failures], HostState.CHANGED if failures == 1 else HostState.SKIPPED
    assert states(run) == dict.fromkeys(gone, HostState.REVERTED) | dict.fromkeys(FOUR[failures:], rest)
    assert run.code == (4 if failures == 1 else 3)


def test_on_failure_stop_leaves_a_late_failure_as_it_is() -> None:
    """``stop`` takes nothing back, while soaking as elsewhere."""
    world = settled(*FOUR)
    run = rolled(world, at_soak(lambda: crash(world, "gpu1")), on_failure=OnFailure.STOP, **SOAK)
    assert states(run)["gpu1"] is HostState.FAILED
    assert run.code == 4
    assert not any(event.kind is Kind.REVERT_STARTED for event in run.events)


def test_a_late_failure_takes_everything_back_where_that_is_asked_for() -> None:
    """``revert_all`` after a host failed while soaking: those before it go back as well, exit 3."""
    world = settled(*FOUR)
    soaks = list[int]()

    def second(event: Event) -> None:
        if event.kind is Kind.SOAK_STARTED:
            soaks.append(1)
            if len(soaks) == 2:
                crash(world, "gpu2")

    run = rolled(world, second, on_failure=OnFailure.REVERT_ALL, **SOAK)
    assert run.code == 3
    assert {name for name, state in states(run).items() if state is HostState.REVERTED} == {"gpu1", "gpu2"}
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_a_late_failure_is_not_taken_back_without_room() -> None:
    """A host that still serves stays where it is while another one is out: named, exit 4, and nobody is drained."""
    world = settled(*FOUR)

    def both() -> None:
        process = world.hosts["gpu1"].server(SERVICE)
        assert process is not None
        process.exited = True
        world.tick()
        drain(world, "gpu4")

    run = rolled(world, at_soak(both), **SOAK)
    assert run.code == 4
    assert run.outcome is not None
    assert "not taken back: gpu4 out of service" in run.outcome.hosts["gpu1"].reason
    assert world.serves("gpu1").traffic
    assert dangers(world) == []
