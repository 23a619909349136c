"""What each task says it would do, and what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError
from simulation.controller import desired, sim_host
from simulation.fleet import SimFleet
from simulation.model_server import Quality
from simulation.probe import look
from simulation.seen import settled_host
from simulation.wire import Wire
from simulation.world import SERVICE, World

from fleetdeploy.domain.observed import Absent, Present, State, Unknown, VersionState
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.errors import BalancerFailed, HostError, NotHealthy, PreflightRefused
from fleetdeploy.planning.host import plan_host
from fleetdeploy.tasks import registry
from fleetdeploy.tasks.prune import prunable
from fleetdeploy.tasks.step import Step

V1, V2 = desired(1), desired(2)


def step(world: World, wanted: DesiredService, *, balanced: bool = True) -> Step:
    """A step on ``gpu1`` as the plan for ``wanted`` stands now."""
    host = sim_host("gpu1", balanced=balanced)
    plan = plan_host(host, [wanted], look(world.hosts["gpu1"], [wanted.wish]), stamp="T1")
    assert plan.refusals == ()
    fleet = SimFleet(world, Wire(world))
    balancer = fleet.balancer(host.balancer) if host.balancer else None
    return Step(fleet.session(host), plan.services[0], "run", world.clock, lambda _: None, balancer)


def do(name: str, world: World, wanted: DesiredService, **arguments: object) -> None:
    task = registry()[name]
    task.act(step(world, wanted), task.arguments(**arguments))
    world.tick()


def undo(name: str, world: World, taken: Step) -> None:
    task = registry()[name]
    task.undo(taken, task.arguments())
    world.tick()


@pytest.fixture
def served() -> World:
    """``gpu1`` serves version 1."""
    world = World.of("gpu1", registry=["serving:2"])
    for name in ("stage", "activate", "verify"):
        do(name, world, V1)
    return world


def summaries(plan: ServicePlan, *, balanced: bool = True) -> dict[str, str]:
    """What each task would do; those that stand beside the services do what their arguments say, whatever the plan."""
    tasks = {name: task for name, task in registry().items() if not task.per_host}
    return {name: text for name, task in tasks.items() if (text := task.summary(plan, balanced, task.arguments()))}


def test_its_own_desired_state_is_nothing_to_do_for_any_task() -> None:
    """On a host that is as it shall be no task has anything to say."""
    plan = plan_host(sim_host("gpu1"), [V1], settled_host(V1), stamp="T1").services[0]
    assert summaries(plan) == {}


def test_every_task_with_something_to_do_says_what() -> None:
    """A new image and version give a line to each task but prune."""
    wanted = desired(2, image="serving:2")
    plan = plan_host(sim_host("gpu1"), [wanted], settled_host(V1), stamp="T1").services[0]
    found = summaries(plan)
    assert set(found) == {name for name, task in registry().items() if not task.per_host} - {"prune"}
    assert found["stage"] == "ranker/2"
    assert found["pull_image"] == "serving:2"
    assert found["activate"].startswith("replace: the container's image")
    assert found["verify"] == "ranker 2 AVAILABLE, golden requests 3 times"


def test_a_host_without_a_balancer_is_not_drained() -> None:
    """Drain and undrain have nothing to do where nobody balances."""
    plan = plan_host(sim_host("gpu1"), [V2], settled_host(V1), stamp="T1").services[0]
    assert {"drain", "undrain"} & set(summaries(plan, balanced=False)) == set()


def test_undrain_puts_back_what_an_earlier_run_drained() -> None:
    """A drain marker alone is work for undrain and for no other task that changes anything."""
    seen = settled_host(V1)
    service = replace(seen.services[SERVICE], drained_by=Present("run-0"))
    plan = plan_host(sim_host("gpu1"), [V1], replace(seen, services={SERVICE: service}), stamp="T1").services[0]
    assert set(summaries(plan)) == {"undrain", "preflight"}


@pytest.mark.parametrize("name", sorted(registry()))
def test_no_task_takes_an_unknown_argument(name: str) -> None:
    """A typo in a playbook is an error, not a default."""
    with pytest.raises(ValidationError):
        registry()[name].arguments(tiemout="5m")


def test_every_act_may_be_repeated(served: World) -> None:
    """An act that is run a second time, as after an interruption, changes nothing more and raises nothing."""
    for name in ("preflight", "stage", "drain", "activate", "verify", "undrain", "prune"):
        taken = step(served, V2)
        task = registry()[name]
        task.act(taken, task.arguments())
        task.act(taken, task.arguments())
    assert served.serves("gpu1").versions == (("ranker", (2,)),)
    assert served.serves("gpu1").traffic


def test_undoing_an_activation_that_never_began_changes_nothing(served: World) -> None:
    """An undo of ``activate`` on a host on which nothing happened leaves it serving what it served."""
    do("stage", served, V2)
    before = served.serves("gpu1")
    undo("activate", served, step(served, V2))
    assert served.serves("gpu1") == before


@pytest.mark.parametrize("image", ["serving:1", "serving:2"])
def test_undoing_an_activation_goes_back_to_the_release(served: World, image: str) -> None:
    """After a reload or a replacement the undo brings version, image, file and record back."""
    wanted = desired(2, image=image)
    release = served.hosts["gpu1"].directory(SERVICE).release
    do("stage", served, wanted)
    do("pull_image", served, wanted)
    taken = step(served, wanted)
    do("activate", served, wanted)
    undo("activate", served, taken)
    assert served.serves("gpu1").versions == (("ranker", (1,)),)
    assert served.serves("gpu1").image == "serving:1"
    assert served.hosts["gpu1"].directory(SERVICE).config_text == V1.config_text
    assert served.hosts["gpu1"].directory(SERVICE).release == release


def test_an_undo_without_the_old_container_says_so(served: World) -> None:
    """When somebody removed the container to go back to, the undo fails with the release's name and a hint."""
    wanted = desired(2, image="serving:2")
    do("stage", served, wanted)
    do("pull_image", served, wanted)
    taken = step(served, wanted)
    do("activate", served, wanted)
    served.hosts["gpu1"].remove("fleetdeploy-ranking.previous")
    with pytest.raises(NotHealthy, match="no longer on the host") as caught:
        undo("activate", served, taken)
    assert "deploy the previous inventory" in caught.value.hint


def test_undoing_a_first_start_removes_the_container() -> None:
    """Where nothing was released before, nothing runs after the undo."""
    world = World.of("gpu1")
    do("stage", world, V1)
    taken = step(world, V1)
    do("activate", world, V1)
    undo("activate", world, taken)
    assert world.hosts["gpu1"].containers == {}


def test_verify_records_the_release_only_after_the_proof(served: World) -> None:
    """A version that answers wrongly is not recorded, and the error shows the container's log."""
    served.hosts["gpu1"].quality[("ranker", 2)] = Quality.WRONG
    before = served.hosts["gpu1"].directory(SERVICE).release
    do("stage", served, V2)
    with pytest.raises(HostError) as caught:
        do("activate", served, V2)
    assert "fleetdeploy-ranking" in caught.value.detail
    with pytest.raises(HostError):
        do("verify", served, V2, timeout=1.0)
    assert served.hosts["gpu1"].directory(SERVICE).release == before


def test_drain_leaves_its_marker_and_undrain_takes_it_away(served: World) -> None:
    """The marker names the run, and is there exactly as long as the host may be out."""
    do("drain", served, V2)
    assert served.hosts["gpu1"].directory(SERVICE).drained_by == "run"
    assert not served.serves("gpu1").traffic
    do("undrain", served, V2)
    assert served.hosts["gpu1"].directory(SERVICE).drained_by is None
    assert served.serves("gpu1").traffic


def test_drain_without_a_balancer_is_an_error(served: World) -> None:
    """A drain that nobody can carry out is not quietly skipped."""
    task = registry()["drain"]
    with pytest.raises(BalancerFailed):
        task.act(step(served, V2, balanced=False), task.arguments())


def test_preflight_asks_the_balancer_for_the_host(served: World) -> None:
    """A host missing from its pools is refused with the pools' names."""
    do("preflight", served, V2)
    served.unlisted = {"gpu1"}
    with pytest.raises(PreflightRefused, match="no server 'gpu1' in pool ranking_rest, ranking_grpc"):
        do("preflight", served, V2)


def test_staging_sweeps_what_an_interrupted_one_left(served: World) -> None:
    """Leftovers in the staging directory go when the next version is staged."""
    served.hosts["gpu1"].directory(SERVICE).staging = ("ranker.2.partial",)
    do("stage", served, V2)
    assert served.hosts["gpu1"].directory(SERVICE).staging == ()


@pytest.mark.parametrize(("keep", "gone"), [(1, (1, 2)), (2, (1, 2)), (3, (1, 2)), (4, (1,)), (5, ()), (50, ())])
def test_prune_keeps_what_anything_needs(keep: int, gone: tuple[int, ...]) -> None:
    """Kept are the newest, the wanted, the recorded, and all that is in memory."""
    observed = settled_host(desired(models={"ranker": (1, 2, 3, 4, 5)})).services[SERVICE]
    release = settled_host(desired(3)).services[SERVICE].release
    loaded = tuple(VersionState(number, State.AVAILABLE) for number in (4,))
    observed = replace(observed, release=release, served={"ranker": Present(loaded)}, config_text=Absent())
    plan = plan_host(sim_host("gpu1"), [desired(5)], settled_host(desired(5)), stamp="T1").services[0]
    plan = replace(plan, observed=observed, activation=Activation.NOTHING)
    assert prunable(plan, keep).get("ranker", ()) == gone


def test_prune_removes_nothing_it_cannot_be_sure_of() -> None:
    """Where it is not known what the server has in memory, or what lies on disk, nothing is removed."""
    plan = plan_host(sim_host("gpu1"), [desired(5)], settled_host(desired(5)), stamp="T1").services[0]
    many = settled_host(desired(models={"ranker": (1, 2, 3, 4, 5)})).services[SERVICE]
    for change in ({"served": {"ranker": Unknown("timeout")}}, {"versions": Unknown("x")}, {"versions": Absent()}):
        seen = replace(many, **change)  # type: ignore[arg-type]
        assert prunable(replace(plan, observed=seen), 1) == {}
