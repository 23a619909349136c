"""A host that a run was killed on behind its drain, and a second run that does not come to its end there either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from simulation.controller import Run, deploy, desired, plays
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.observed import Absent, ObservedHost
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.service import DesiredService, ServiceWish
from fleetdeploy.rollout.host.left_drained import leave_drained
from fleetdeploy.rollout.work import Work

from .fleets import V1, V2, V3, dangers, killed, settled, spoil

pytestmark = pytest.mark.simulation
PAIR = ("gpu1", "gpu2")
NEW_BOTH = desired(2, image="serving:2")
STOPPED = ("signal", "refuse", "drop")
WAYS = pytest.mark.parametrize("wanted", [V2, NEW_BOTH], ids=["reload", "replacement"])


def cut_off(wanted: DesiredService, call: tuple[str, str], *, quality: Quality = Quality.GOOD) -> World:
    """A run that was to bring version 2 of that quality was killed before it came to this call."""
    world = settled(*PAIR)
    at = deploy(world.copy(), wanted).calls.index(call) + 1
    spoil(world, 2, quality)
    killed(world, wanted, at=at)
    assert dangers(world) == []
    world.clock.skip(1)
    return world


def unproven(wanted: DesiredService, quality: Quality = Quality.WRONG) -> World:
    """gpu1 is drained and has loaded version 2, which has not been asked anything yet."""
    world = cut_off(wanted, ("gpu1", "serving.predict"), quality=quality)
    assert not world.gets_requests("gpu1")
    return world


def stopped(world: World, wanted: DesiredService, kind: str) -> Run:
    """A run that goes wrong by ``kind`` when it first drains a host."""
    return deploy(world, wanted, trouble=Trouble(kind, 1, count="balancer.drain"))


def marker(world: World) -> str | None:
    return world.hosts["gpu1"].directory(SERVICE).drained_by


def outcome(run: Run) -> HostOutcome:
    assert run.outcome is not None
    return run.outcome.hosts["gpu1"]


@WAYS
@pytest.mark.parametrize("kind", STOPPED)
@pytest.mark.parametrize("to", ["the same", "what was before", "something newer"])
def test_what_nobody_has_proven_gets_no_request(wanted: DesiredService, kind: str, to: str) -> None:
    """Whatever the second run is to bring and however it ends at its drain, the host stays drained as it was found."""
    world = unproven(wanted)
    before, left_by = world.serves_all(), marker(world)
    stopped(world, {"the same": wanted, "what was before": V1, "something newer": V3}[to], kind)
    assert dangers(world) == []
    assert (world.serves_all(), marker(world)) == (before, left_by)


@pytest.mark.parametrize(
    ("kind", "code", "state", "line"),
    [
        ("signal", 130, HostState.SKIPPED, "INTERRUPTED: nothing was switched over"),
        ("refuse", 3, HostState.FAILED, "FAILED: gpu1; every host serves what it served before"),
    ],
)
def test_it_is_told_as_what_stays_drained(kind: str, code: int, state: HostState, line: str) -> None:
    """Nothing was taken back there, so nothing is called reverted; whose drain it is stands with the host."""
    world = unproven(V2)
    left_by = marker(world)
    run = stopped(world, V2, kind)
    assert (run.code, outcome(run).state) == (code, state)
    assert run.last_line.startswith(line)
    assert outcome(run).reason.endswith(f"; it stays drained as run {left_by} left it: nobody has proven what is there")
    assert outcome(run).untouched


@WAYS
@pytest.mark.parametrize("kind", STOPPED)
def test_the_next_run_that_is_not_stopped_brings_it_back(wanted: DesiredService, kind: str) -> None:
    """A drained host always comes back: it is proven and put back, and then nothing is left to do."""
    world = unproven(wanted, Quality.GOOD)
    stopped(world, wanted, kind)
    world.clock.skip(1)
    run = deploy(world, wanted)
    assert (run.code, converged(world, wanted), dangers(world)) == (0, [], []), run.last_line
    assert deploy(world, wanted).acts == []


def test_what_is_activated_and_taken_back_is_put_back() -> None:
    """The way back of this run's own activation proves the release on record, so the host serves that again."""
    world = unproven(V2)
    run = deploy(world, V2)
    assert (run.code, outcome(run).state) == (3, HostState.REVERTED), run.last_line
    assert world.serves("gpu1") == world.serves("gpu2")
    assert (marker(world), dangers(world)) == (None, [])


@pytest.mark.parametrize("kind", STOPPED)
@pytest.mark.parametrize("call", [("lb", "balancer.drain"), ("gpu1", "files.clear_drained")], ids=["before", "after"])
def test_a_marker_without_a_drain_keeps_nobody_out(call: tuple[str, str], kind: str) -> None:
    """A host that was killed on between its marker and its drain gets requests: it does so again after this run's."""
    world = cut_off(V2, call)
    assert (world.serves("gpu1").traffic, marker(world) is None) == (True, False)
    before = world.serves_all()
    run = stopped(world, V3, kind)
    assert run.code in {3, 130}, run.last_line
    assert (world.serves_all(), marker(world), dangers(world)) == (before, None, [])


@pytest.mark.parametrize("kind", STOPPED)
@pytest.mark.parametrize("pool", POOLS)
def test_a_drain_of_one_pool_keeps_nobody_out_of_both(pool: str, kind: str) -> None:
    """A run that died between two pools had not activated anything yet: what serves in one of them is put back."""
    world = cut_off(V2, ("lb", "balancer.drain"))
    world.drained.add((pool, "gpu1"))
    stopped(world, V2, kind)
    assert (world.drained, marker(world), dangers(world)) == (set(), None, [])


def test_a_host_that_goes_away_then_is_not_called_as_it_was() -> None:
    """Nobody can say any longer which run has it out: it is not put back, and a person is told to look."""
    world = unproven(V2)

    def cut(event: Event) -> None:
        if event.kind is Kind.STEP_FAILED and event.task == "drain":
            world.hosts["gpu1"].reachable = False

    run = deploy(world, V2, trouble=Trouble("refuse", 1, count="balancer.drain"), sinks=[cut])
    assert (run.code, outcome(run).mixed) == (4, True)
    assert "gpu1: not known to serve what it served before" in run.last_line
    assert not world.gets_requests("gpu1")


def test_of_two_services_only_the_one_that_was_not_activated_is_left() -> None:
    """What this run activated is taken back and put back; what it has only found drained stays so, and is named."""
    world = unproven(V2)
    plan = deploy(world, V2, check=True).plan
    assert plan is not None
    (one,) = plan.hosts["gpu1"].services
    names = ("ranking", "other")
    services = [replace(one, desired=replace(one.desired, wish=replace(one.desired.wish, name=name))) for name in names]
    calls = {call.task.name: call for bound in plays(PAIR) for call in bound.calls}
    done = [Work(calls["drain"], service, "") for service in services]
    done.append(Work(calls["activate"], services[0], ""))

    def look(wishes: Sequence[ServiceWish]) -> ObservedHost:
        (wish,) = wishes
        return ObservedHost("gpu1", docker=Absent(), services={wish.name: one.observed})

    left = leave_drained(done, look, services=2)
    assert [(work.name, work.plan.desired.name) for work in done] == [("drain", "ranking"), ("activate", "ranking")]
    assert left.told.startswith("; service 'other' stays drained as run ")
