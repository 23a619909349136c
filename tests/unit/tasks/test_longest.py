"""How long each task says that it may take, held against its arguments and against servers that take their time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from simulation.containers import SimContainers, SimServing
from simulation.controller import desired, sim_host
from simulation.fleet import SimFleet
from simulation.seen import settled_host
from simulation.wire import Wire
from simulation.world import World

from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.errors import HostError, NoAnswer, NotHealthy
from fleetdeploy.planning.host import plan_host
from fleetdeploy.tasks import registry

from .test_tasks import do, step

V1, V2, NEW_IMAGE = desired(1), desired(2), desired(1, image="serving:2")
CHANGING = sorted(set(Activation) - {Activation.NOTHING})
MORE_S = 1000.0


def plan_of(activation: Activation) -> ServicePlan:
    made = plan_host(sim_host("gpu1"), [V2], settled_host(V1), stamp="T1").services[0]
    return replace(made, activation=activation)


def durations() -> list[tuple[str, str]]:
    """Every argument of a task that is a duration."""
    return [
        (name, argument)
        for name, task in registry().items()
        for argument, schema in task.arguments.model_json_schema().get("properties", {}).items()
        if schema.get("title") == "duration"
    ]


def test_durations_are_found() -> None:
    """What the next test goes over is what playbooks know as durations."""
    assert {("verify", "min_healthy_time"), ("activate", "stop_grace"), ("pause", "seconds")} <= {*durations()}


@pytest.mark.parametrize("activation", CHANGING)
@pytest.mark.parametrize(("name", "argument"), durations())
def test_every_duration_counts(name: str, argument: str, activation: Activation) -> None:
    """Whatever time a playbook gives a task, a watchdog leaves it that time."""
    task, plan = registry()[name], plan_of(activation)
    longest = [task.longest_s(plan, task.arguments(**{argument: seconds})) for seconds in (1.0, 1.0 + MORE_S)]
    assert round(longest[1] - longest[0], 3) >= MORE_S


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_task_says_how_long_it_takes(name: str) -> None:
    """No task lacks an answer; one that has nothing to do with what is activated needs no time for it."""
    task = registry()[name]
    assert all(task.longest_s(plan_of(item), task.arguments()) >= 0 for item in Activation)


def test_what_is_done_again_counts_each_time() -> None:
    """Rounds of golden requests, tries of a message, and the pauses between those; what is not asked for does not."""
    verify, notify, plan = registry()["verify"], registry()["notify"], plan_of(Activation.RELOAD)

    def proof(**arguments: object) -> float:
        return verify.longest_s(plan, verify.arguments(timeout=0, **arguments))

    twice_s = 2 * 10 + 2  # of one request that is sent again, with a look at Docker in between
    assert proof(times=5, min_healthy_time=0) - proof(times=1, min_healthy_time=0) == pytest.approx(4 * (twice_s + 0.2))
    assert proof(min_healthy_time=1) - proof(min_healthy_time=0) == pytest.approx(twice_s + 0.2 + 1)
    assert proof(golden=False, min_healthy_time=0) - proof(golden=False, gpus=False, min_healthy_time=0) == 30
    assert proof(golden=False, gpus=False, min_healthy_time=0) == 0
    pauses_s = 1 + 2 + 4 + 8 + 16 + 30 + 30
    for retries, told_s in ((0, 9), (7, 8 * 9 + pauses_s)):
        assert notify.longest_s(plan, notify.arguments(url="https://x/y", timeout=9, retries=retries)) == told_s


def test_each_version_has_its_golden_requests() -> None:
    """A service with more versions takes longer to prove."""
    verify = registry()["verify"]
    one, two = (
        plan_host(sim_host("gpu1"), [wanted], settled_host(V1), stamp="T1").services[0]
        for wanted in (V2, desired(2, 3))
    )
    arguments = verify.arguments(times=1, min_healthy_time=0)
    assert verify.longest_s(two, arguments) - verify.longest_s(one, arguments) == 22


def test_where_nothing_changes_there_is_nothing_to_wait_for() -> None:
    """A service that is as it shall be adds nothing to the time of its neighbours."""
    plan = plan_of(Activation.NOTHING)
    for name in ("activate", "verify"):
        assert registry()[name].longest_s(plan, registry()[name].arguments()) == 0


@dataclass
class Late:
    """Servers and engines of a world that do everything at the last moment of ``timeout_s``, or of a call's deadline;
    each golden request is lost once.
    """

    world: World
    timeout_s: float = 0.0
    until_s: float = 0.0
    lost: bool = False

    def begins(self, timeout_s: float = 0.0) -> None:
        """From now on there is no state to be had for almost as long as somebody waits for it."""
        self.timeout_s = timeout_s or self.timeout_s
        self.until_s = self.world.clock.monotonic_s() + self.timeout_s - 1

    def look(self) -> None:
        if self.world.clock.monotonic_s() < self.until_s:
            raise NotHealthy("not yet")

    def request(self, deadline_s: float) -> None:
        self.world.clock.wait(deadline_s)
        self.lost = not self.lost
        if self.lost:
            raise NoAnswer("UNAVAILABLE")


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], Late]:
    """Make a world late, from its next wait on."""

    def make(world: World) -> Late:
        made = Late(world)
        plain = {name: getattr(SimServing, name) for name in ("status", "reload", "predict")}
        plain |= {name: getattr(SimContainers, name) for name in ("stop", "execute")}

        def status(self: SimServing, *args: Any, **more: Any) -> Any:
            made.look()
            return plain["status"](self, *args, **more)

        def reload(self: SimServing, *args: Any, deadline_s: float) -> None:
            world.clock.wait(deadline_s)
            plain["reload"](self, *args, deadline_s=deadline_s)
            made.begins()

        def predict(self: SimServing, *args: Any, deadline_s: float, **more: Any) -> Any:
            made.request(deadline_s)
            return plain["predict"](self, *args, deadline_s=deadline_s, **more)

        def stop(self: SimContainers, name: str, *, grace_s: float) -> None:
            world.clock.wait(grace_s)
            plain["stop"](self, name, grace_s=grace_s)
            made.begins()

        def execute(self: SimContainers, *args: Any, deadline_s: float) -> Any:
            world.clock.wait(deadline_s)
            return plain["execute"](self, *args, deadline_s=deadline_s)

        for serving in (status, reload, predict):
            monkeypatch.setattr(SimServing, serving.__name__, serving)
        for engine in (stop, execute):
            monkeypatch.setattr(SimContainers, engine.__name__, engine)
        return made

    return make


@pytest.mark.parametrize("wanted", [V2, NEW_IMAGE, desired(2, image="serving:2")], ids=["reload", "replace", "both"])
def test_no_task_takes_longer_than_it_says(wanted: DesiredService, late: Callable[[World], Late]) -> None:
    """On a host that is well, and slow in all that it may be slow in; nor does a task say much more than that."""
    world = World.of("gpu1", registry=["serving:2"])
    for name in ("stage", "activate", "verify"):
        do(name, world, V1)
    for name in ("stage", "pull_image"):
        do(name, world, wanted)
    given = {"activate": {"timeout": 120, "stop_grace": 40}, "verify": {"timeout": 70, "min_healthy_time": 500}}
    made = late(world)
    for name, more in given.items():
        made.until_s = 0
        task, taken = registry()[name], step(world, wanted)
        arguments, began_s = task.arguments(**more), world.clock.monotonic_s()
        made.begins(more["timeout"])
        task.act(taken, arguments)
        took_s, longest_s = world.clock.monotonic_s() - began_s, task.longest_s(taken.plan, arguments)
        assert took_s <= longest_s
        assert took_s > 0.85 * longest_s
        assert not made.lost


def test_a_message_takes_no_longer_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers any try before its deadline."""
    world = World.of("gpu1")
    taken = replace(step(world, V1), controller=SimFleet(world, Wire(world)).outside)

    def post(*_: object, deadline_s: float) -> None:
        world.clock.wait(deadline_s)
        raise HostError("nobody answers")

    monkeypatch.setattr(type(taken.outside), "post", post)
    notify = registry()["notify"]
    arguments, began_s = notify.arguments(url="https://x/y", retries=8, timeout=7), world.clock.monotonic_s()
    notify.act(taken, arguments)
    assert world.clock.monotonic_s() - began_s == pytest.approx(notify.longest_s(taken.plan, arguments))
