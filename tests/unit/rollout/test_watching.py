"""Watchdogs in whole rollouts on a simulated fleet, whose hosts go back by themselves in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.controller import Run, changes, deploy, desired, plays
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.report import status
from fleetdeploy.report.plan import text as plan_text

from .fleets import NEW_IMAGE, V1, V2, V3, dangers, new, settled, spoil, untrue
from .watched_runs import CONFIRM_S, call_of, deaths, killed, state, time_passes, watch, watched

pytestmark = pytest.mark.simulation
PAIR = ("gpu1", "gpu2")
SCENES = {"reload": V2, "replacement": NEW_IMAGE, "both": desired(2, image="serving:2")}


def ended(run: Run) -> list[tuple[str, object]]:
    return [(event.host, event.data["state"]) for event in run.events if event.kind is Kind.WATCH_ENDED]


def unproven(world: World) -> list[str]:
    """Hosts that serve something else than the release on record, or have another configuration on disk."""
    found = []
    for name, host in world.hosts.items():
        files, now = host.directory(SERVICE), world.serves(name)
        assert files.release is not None
        versions = tuple(sorted((model, numbers) for model, numbers in files.release.models.items()))
        if (now.versions, now.image) != (versions, files.release.container["image"]):
            found.append(f"{name} serves {now} with {files.release.id} on record")
        if files.config_text != files.release.config_text:
            found.append(f"{name} has another configuration on disk than on record")
    return found


@pytest.mark.parametrize("scene", SCENES)
def test_a_run_that_goes_well_confirms_on_every_host(scene: str) -> None:
    """Armed after the drain and before the first act, confirmed after the proof and before requests come in again."""
    world = settled(*PAIR)
    run = watched(world, SCENES[scene])
    assert (run.code, converged(world, SCENES[scene])) == (0, [])
    assert ended(run) == [("gpu1", "confirmed"), ("gpu2", "confirmed")]
    for name in PAIR:
        own = [method for host, method in run.calls if host in {name, "lb"} and changes(method)]
        own = own[own.index("watchdog.arm") - 1 :]
        assert own[0] == "balancer.drain"
        assert own.index("files.write_release") < own.index("watchdog.confirm") < own.index("balancer.undrain")
        acts = [at for at, method in enumerate(own) if method.startswith(("containers.", "serving.", "files.write_c"))]
        assert own.index("watchdog.arm") < min(acts)
        assert state(world, name) is WatchState.CONFIRMED
    time_passes(world)
    assert converged(world, SCENES[scene]) == []
    assert watched(world, SCENES[scene]).acts == []


def test_without_a_confirm_timeout_nothing_is_armed() -> None:
    """The key is off by default: no call of a watchdog, no event."""
    run = deploy(settled("gpu1"), V2)
    assert run.code == 0
    assert not [call for call in run.calls if call[1].startswith("watchdog.")]
    assert ended(run) == []


def test_a_first_deploy_has_nothing_to_go_back_to() -> None:
    """Where no release is recorded no watchdog is armed."""
    world = new("gpu1")
    run = watched(world, V1)
    assert (run.code, state(world)) == (0, None)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("waits", [True, False])
def test_killed_anywhere_the_host_serves_what_is_proven(scene: str, waits: bool) -> None:
    """Whatever call the controller died at: in time every host serves the release on record, and no request is lost;
    the next run converges, at once or after that, and once more changes nothing.
    """
    wanted, wrong, alone = SCENES[scene], [], 0
    for at in deaths(watched(settled("gpu1"), wanted).calls):
        world = settled("gpu1")
        killed(world, wanted, at=at)
        found = []
        armed = state(world) is WatchState.ARMED
        alone += armed
        if waits:
            time_passes(world)
            # What was never armed, or is beyond it, is as it would be without a watchdog: whole, or the next run's.
            found += unproven(world) if armed else []
            found += ["it is still armed"] if state(world) is WatchState.ARMED else []
        found += dangers(world)
        again = watched(world, wanted)
        found += [*converged(world, wanted), *dangers(world)]
        time_passes(world)
        found += converged(world, wanted)
        third = watched(world, wanted)
        if again.code or found or third.acts or third.code:
            wrong.append((at, again.last_line, found, third.acts))
    assert wrong == []
    assert alone > 3, "at most of the acts of an activation"


@pytest.mark.parametrize("image", ["serving:1", "serving:2"])
def test_killed_over_a_broken_version_the_host_goes_back_by_itself(image: str) -> None:
    """A version that answers nothing does not outlive its watchdog, whenever the controller died; nobody met it."""
    wanted, wrong, alone = desired(2, image=image), [], 0
    first = settled("gpu1")
    spoil(first, 2, Quality.NO_VARIABLES)
    for at in deaths(watched(first.copy(), wanted).calls):
        world = first.copy()
        killed(world, wanted, at=at)
        armed = state(world) is WatchState.ARMED
        alone += armed
        time_passes(world)
        found = [*dangers(world), *(unproven(world) if armed else [])]
        back = watched(world, V1)
        if found or back.code or converged(world, V1):
            wrong.append((at, found, back.last_line))
    assert wrong == []
    assert alone > 1


@pytest.mark.parametrize("kind", ["refuse", "drop"])
@pytest.mark.parametrize("scene", ["reload", "replacement"])
def test_whatever_call_fails_the_last_line_is_true(scene: str, kind: str) -> None:
    """One call that fails, or whose answer is lost, leaves no watchdog armed beside a run that says how it ended."""
    wanted, wrong = SCENES[scene], []
    for at, call in enumerate(watched(settled("gpu1"), wanted).calls, 1):
        if kind == "drop" and not changes(call[1]):
            continue  # the same as a look that failed
        world = settled("gpu1")
        before = world.serves_all()
        run = watched(world, wanted, trouble=Trouble(kind, at))
        found = untrue(world, before, wanted, run)
        after = world.serves_all()
        time_passes(world)
        mixed = [name for name, item in run.outcome.hosts.items() if item.mixed] if run.outcome else []
        if world.serves_all() != after and not mixed:
            found.append("the host went back after the run had said how it serves")
        if found:
            wrong.append((at, call, run.code, run.last_line, found))
    assert wrong == []


def test_a_host_that_lets_nobody_in_is_taken_back() -> None:
    """Where the confirm cannot get there over a new connection the step has failed: reverted, exit 3, and disarmed."""
    world = settled(*PAIR)
    before = world.serves_all()
    world.hosts["gpu1"].deaf = True
    run = watched(world, V2)
    assert run.code == 3
    assert run.outcome is not None
    assert "could not be confirmed over a new connection" in run.outcome.hosts["gpu1"].reason
    assert world.serves_all() == before
    assert state(world) is None
    assert run.calls.index(("gpu1", "watchdog.disarm")) < len(run.calls) - run.calls[::-1].index(
        ("gpu1", "files.write_config")
    )
    time_passes(world)
    assert world.serves_all() == before


def passing_at(world: World, task: str) -> Any:
    """A journal for which a lot of time passes once this task is finished."""

    def sink(event: Event) -> None:
        if event.kind is Kind.STEP_FINISHED and event.task == task and not event.data.get("undo"):
            time_passes(world)

    return sink


@pytest.mark.parametrize("scene", SCENES)
def test_a_controller_that_comes_back_too_late_changes_nothing_more(scene: str) -> None:
    """Once the host has gone back the run that slept has lost the lease: nothing more, exit 4, and it says why."""
    world = settled("gpu1")
    run = watched(world, SCENES[scene], sinks=[passing_at(world, "activate")])
    assert run.code == 4
    assert state(world) is WatchState.RESTORED
    assert unproven(world) == []
    assert "activate" in {event.task for event in run.events if event.kind is Kind.STEP_FINISHED}
    after = [method for host, method in run.calls[call_of(run, "watchdog.observe") :] if host == "gpu1"]
    assert [method for method in after if changes(method)] == []
    assert run.outcome is not None
    assert "the host's watchdog took it back" in run.outcome.hosts["gpu1"].reason
    assert world.hosts["gpu1"].directory(SERVICE).drained_by is not None, "the next run puts it back"
    again = watched(world, SCENES[scene])
    assert (again.code, converged(world, SCENES[scene]), dangers(world)) == (0, [], [])


def test_what_a_watchdog_did_is_told_once_and_refuses_nothing() -> None:
    """The next run tells which release of which run the host took back, once, and goes on."""
    world = settled(*PAIR)
    killed(world, V2, at=call_of(watched(settled(*PAIR), V2), "watchdog.confirm"))
    time_passes(world)
    assert state(world) is WatchState.RESTORED
    found = watch(world)
    assert found is not None
    run = watched(world, V3)
    assert run.code == 0
    told = [event for event in run.events if event.kind is Kind.WATCH_ENDED and event.data["state"] == "restored"]
    assert [(event.host, event.message) for event in told] == [("gpu1", found.told)]
    assert f"took release {found.release} of run {found.run} back" in found.told
    assert converged(world, V3) == []


def test_a_newcomer_ends_what_a_dead_run_armed_before_it_changes_anything() -> None:
    """The lease first, then the watchdog of the run before, and only then the first change; it is looked at anew."""
    world = settled("gpu1")
    killed(world, V2, at=call_of(watched(settled("gpu1"), V2), "watchdog.confirm"))
    assert state(world) is WatchState.ARMED
    run = watched(world, V3)
    assert run.code == 0
    on_host = [method for host, method in run.calls if host == "gpu1"]
    changing = [method for method in on_host if changes(method) and method != "files.stage"]
    assert changing[0] == "watchdog.disarm"
    assert on_host.index("leases.take") < on_host.index("watchdog.disarm")
    assert on_host[on_host.index("watchdog.disarm") + 1] == "observe"
    assert "this run takes over" in next(event.message for event in run.events if event.kind is Kind.WATCH_ENDED)


def test_what_is_only_put_in_place_leaves_a_watchdog_alone() -> None:
    """A run of tasks that change nothing that serves does not end what protects the host."""
    world = settled("gpu1")
    killed(world, V2, at=call_of(watched(settled("gpu1"), V2), "watchdog.confirm"))
    stage_only = tuple(bound for bound in plays(["gpu1"]) if not bound.touches_traffic)[:1]
    assert deploy(world, V3, run_plays=stage_only).code == 0
    assert state(world) is WatchState.ARMED


def test_a_proven_release_that_nobody_confirmed_is_work() -> None:
    """Killed between record and confirm: the next run says so, confirms by taking over, and the release stays."""
    world = settled("gpu1")
    killed(world, V2, at=call_of(watched(settled("gpu1"), V2), "watchdog.confirm"))
    run = watched(world, V2)
    assert run.plan is not None
    (service,) = run.plan.hosts["gpu1"].services
    assert service.changed
    assert "nobody has confirmed that to the host's watchdog" in service.reason
    time_passes(world)
    assert (run.code, converged(world, V2)) == (0, [])


def test_a_host_that_a_person_shall_find_as_it_is_does_not_go_back() -> None:
    """With ``on_failure: stop`` a failed host is left alone by its watchdog as well."""
    world = settled("gpu1")
    spoil(world, 2, Quality.NO_VARIABLES)
    run = watched(world, V2, play={"on_failure": OnFailure.STOP})
    assert run.code == 4
    left = world.serves_all()
    assert state(world) is None
    time_passes(world)
    assert world.serves_all() == left


def test_a_host_that_is_lost_goes_back_by_itself_and_the_run_says_so() -> None:
    """Where the controller cannot disarm it does not go back either, and points to what the host does by itself."""
    world = settled(*PAIR)
    run = watched(world, V2, trouble=Trouble("lose", call_of(watched(settled(*PAIR), V2), "watchdog.confirm")))
    assert run.code == 4
    hints = [str(event.data.get("hint")) for event in run.events if event.kind is Kind.STEP_FAILED]
    assert any("its watchdog goes back to release T" in hint for hint in hints)
    time_passes(world)
    assert state(world) is WatchState.RESTORED
    world.hosts["gpu1"].reachable = True
    assert watched(world, V2).code == 0
    assert (converged(world, V2), dangers(world)) == ([], [])


def test_plan_and_status_show_what_stands_there() -> None:
    """What counts down and what went back is shown of a host, whether there is anything to do on it or not."""
    world = settled("gpu1")
    killed(world, V2, at=call_of(watched(settled("gpu1"), V2), "watchdog.confirm"))
    for passes, words in ((False, "its watchdog is armed over release"), (True, "its watchdog took release")):
        if passes:
            time_passes(world)
        seen = watched(world.copy(), V1).plan
        assert seen is not None
        shown = "\n".join(line.plain for line in status.lines(seen, {}))
        assert f"    watchdog   {words}" in shown
        found = status.as_json(seen, {})["hosts"]["gpu1"]["services"][SERVICE]["watchdog"]  # type: ignore[index]
        assert found["state"] == ("restored" if passes else "armed")
        assert words in "\n".join(line.plain for line in plan_text.lines(Forecast(seen)))


def test_an_armed_host_that_no_balancer_keeps_requests_from_is_out_until_it_is_taken_over() -> None:
    """A dead run's watchdog may restart its server at any moment: no other host is taken out before it is disarmed."""
    world = settled("gpu1", "gpu2")
    bound = plays(["gpu1", "gpu2"], balanced=False, confirm_timeout_s=CONFIRM_S)
    unbalanced: dict[str, Any] = {"balanced": False, "run_plays": bound}
    at = call_of(deploy(world.copy(), V2, **unbalanced), "watchdog.confirm", "gpu2")
    with pytest.raises(Killed):
        deploy(world, V2, trouble=Trouble("kill", at), **unbalanced)
    assert state(world, "gpu2") is WatchState.ARMED
    calls = deploy(world, desired(3, image="serving:2"), **unbalanced).calls
    assert calls.index(("gpu2", "watchdog.disarm")) < calls.index(("gpu1", "containers.create_and_start"))


@pytest.mark.parametrize("method", ["watchdog.arm", "watchdog.confirm", "files.write_release"])
def test_hosts_without_a_balancer_converge_after_a_death(method: str) -> None:
    """One that is taken over from a dead run's watchdog counts as in service again: the next run ends with 0."""
    bound = plays(["gpu1", "gpu2", "gpu3"], balanced=False, confirm_timeout_s=CONFIRM_S)
    unbalanced: dict[str, Any] = {"balanced": False, "run_plays": bound}
    calls = deploy(settled("gpu1", "gpu2", "gpu3"), V2, **unbalanced).calls
    for at in [number for number, call in enumerate(calls, 1) if call[1] == method]:
        for late in (0, 1):
            world = settled("gpu1", "gpu2", "gpu3")
            with pytest.raises(Killed):
                deploy(world, V2, trouble=Trouble("kill", at + late), **unbalanced)
            world.clock.skip(1)
            run = deploy(world, V2, **unbalanced)
            assert (run.code, converged(world, V2)) == (0, []), (calls[at - 1], late)
