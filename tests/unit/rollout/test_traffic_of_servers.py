"""Servers without a balancer are asked what they count: beside a run, silently, and over what is connected anyway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from simulation.controller import deploy, desired
from simulation.fleet import SimFleet, SimSession
from simulation.model_server import ModelServer
from simulation.wire import Trouble, Wire
from simulation.world import SERVICE, World

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.measured import ServerLoad
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.protocols import HostSession
from fleetdeploy.errors import NotHealthy
from fleetdeploy.report.html.page import page
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.traffic.sampling import Sampler, sampling
from fleetdeploy.rollout.traffic.servers import servers_of

V1, V2 = desired(1, metrics=True), desired(2, metrics=True)


def plans_of(world: World, *, balanced: bool = False) -> list[HostPlan]:
    """What a run of version 2 plans for each host."""
    run = deploy(world, V2, balanced=balanced, check=True)
    assert run.plan is not None
    return list(run.plan.hosts.values())


class Watch:
    """Hosts that serve version 1 and have no balancer, a run that has connected to them, and what is told of them."""

    def __init__(self, *names: str) -> None:
        self.world = World.of(*names, registry=["serving:2"])
        assert deploy(self.world, V1, balanced=False).code == 0
        self.plans = plans_of(self.world)
        self.wire = Wire(self.world)
        self.fleet = SimFleet(self.world, self.wire)
        for plan in self.plans:
            self.fleet.session(plan.host)
        self.events: list[Event] = []
        self.emit = Emitter("r", self.world.clock, views=[self.events.append])
        self.sampler = Sampler(servers_of(self.plans), self.fleet, self.emit, self.world.clock)

    def server(self, name: str) -> ModelServer:
        found = self.world.hosts[name].server(SERVICE)
        assert found is not None
        return found

    def sample(self, after_s: float = 5.0) -> list[dict[str, object]]:
        """What one more round tells of the service."""
        self.world.clock.skip(after_s)
        before = len(self.events)
        self.sampler.sample()
        told = [event.data for event in self.events[before:]]
        assert all(data["pools"] == {} for data in told)
        return [data["services"][SERVICE] for data in told]

    @property
    def asked(self) -> list[str]:
        return [host for host, method in self.wire.calls if method == "counted"]


def test_a_service_is_told_as_the_sum_of_its_servers() -> None:
    """The first sample tells nothing, the next one what all servers answered since, with the mean over all answers."""
    watch = Watch("gpu1", "gpu2")
    assert watch.sample() == []
    watch.server("gpu1").serve(30, errors=1, each_s=0.1)
    watch.server("gpu2").serve(10, each_s=0.5)
    (told,) = watch.sample()
    assert told.pop("answer_s") == pytest.approx(0.2)
    assert told == {"requests": 41, "errors": 1, "seconds": 5.0}
    assert watch.sample() == [{"requests": 0, "errors": 0, "seconds": 5.0}]
    assert {event.kind for event in watch.events} == {Kind.TRAFFIC_SAMPLED}


def test_a_server_that_began_anew_counts_from_nothing() -> None:
    """After a restart everything that it has counted since is told, beside what came at the others."""
    watch = Watch("gpu1", "gpu2")
    watch.server("gpu1").serve(1000)
    watch.sample()
    watch.world.hosts["gpu1"].reboot()
    watch.server("gpu1").serve(7)
    watch.server("gpu2").serve(3)
    (told,) = watch.sample()
    assert told["requests"] == 10


def test_a_silent_server_is_asked_less_often_and_is_no_spike_later() -> None:
    """Its failure is silent and keeps nobody else's numbers back; what came meanwhile is not told as if it had come
    within one round.
    """
    watch = Watch("gpu1", "gpu2")
    watch.sample()
    watch.world.hosts["gpu1"].reachable = False
    watch.server("gpu1").serve(100)
    for _ in range(4):
        watch.server("gpu2").serve(5)
        (told,) = watch.sample()
        assert told["requests"] == 5
    assert (watch.asked.count("gpu1"), watch.asked.count("gpu2")) == (1 + 2, 5)
    watch.world.hosts["gpu1"].reachable = True
    (told,) = watch.sample(60)
    assert told["requests"] == 0
    watch.server("gpu1").serve(7)
    (told,) = watch.sample(60)
    assert told["requests"] == 7


def test_nobody_is_connected_to_for_it() -> None:
    """A host that the run has not reached is not asked, and no session is made for it."""
    watch = Watch("gpu1", "gpu2")
    del watch.fleet.sessions["gpu1"]
    watch.sample()
    assert watch.asked == ["gpu2"]
    assert set(watch.fleet.sessions) == {"gpu2"}


def test_a_large_fleet_is_asked_in_turns() -> None:
    """32 servers a round, each of them once before any of them twice; together the samples tell every request once."""
    names = [f"gpu{number}" for number in range(1, 41)]
    watch = Watch(*names)
    assert watch.sample() == []
    assert (len(watch.asked), len(set(watch.asked))) == (32, 32)
    told = watch.sample()
    assert set(watch.asked[:40]) == set(names)
    for name in names:
        watch.server(name).serve(1)
    for _ in range(2):
        told += watch.sample()
        assert len(watch.asked) % 32 == 0
    assert sum(item["requests"] for item in told) == 40  # type: ignore[misc]
    assert sum(item["seconds"] for item in told) == 15.0  # type: ignore[misc]


@contextmanager
def slow(watch: Watch) -> Iterator[None]:
    """No server answers, and each takes its time not to."""
    with pytest.MonkeyPatch.context() as patched:

        def silent(session: SimSession, *_: object, **__: object) -> ServerLoad:
            watch.wire.calls.append((session.host.name, "counted"))
            watch.world.clock.skip(2)
            raise NotHealthy("no answer", where=session.host.name)

        patched.setattr(SimSession, "counted", silent)
        yield


def test_slow_servers_do_not_hold_up_a_round() -> None:
    """A round that has taken as long as there is between two of them ends, and the next one goes on behind it."""
    names = [f"gpu{number}" for number in range(1, 9)]
    watch = Watch(*names)
    with slow(watch):
        watch.sample()
        assert watch.asked == names[:3]
        watch.sample()
    assert watch.asked == names[:6]


def test_who_is_left_alone_asks_nobody() -> None:
    """Once the run has not waited for it, no server is asked any more."""
    watch = Watch("gpu1")
    watch.sampler.left_alone = True
    assert watch.sample() == []
    assert watch.asked == []


def test_servers_behind_a_balancer_are_not_asked() -> None:
    """Their balancer counts already, and knows of requests that reach no server too."""
    watch = Watch("gpu1")
    assert servers_of(watch.plans)
    assert servers_of(plans_of(watch.world, balanced=True)) == ()


def test_a_balancer_of_another_service_counts_for_that_one() -> None:
    """A service without a pool of its own has no balancer, whatever its host has."""
    (plan,) = plans_of(Watch("gpu1").world, balanced=True)
    wish = plan.host.balancer
    assert wish is not None
    host = replace(plan.host, balancer=replace(wish, pools={"other": ("rest",), SERVICE: ()}))
    assert len(servers_of([replace(plan, host=host)])) == 1


def test_servers_without_metrics_are_not_asked() -> None:
    """Where nobody set ``metrics`` there is neither thread nor question, and nothing is written for it."""
    world = World.of("gpu1")
    run = deploy(world, desired(1), balanced=False)
    assert "files.write_monitoring" not in {method for _, method in run.calls}
    again = deploy(world, desired(2), balanced=False, check=True)
    assert again.plan is not None
    before = threading.active_count()
    wire = Wire(world)
    with sampling(list(again.plan.hosts.values()), SimFleet(world, wire), Emitter("r", world.clock), world.clock):
        assert threading.active_count() == before
    assert wire.calls == []


def test_metrics_come_with_a_new_container() -> None:
    """Set on a service that runs, they replace its container, whose server finds the file that its flag names."""
    world = World.of("gpu1")
    assert deploy(world, desired(1), balanced=False).code == 0
    run = deploy(world, V1, balanced=False)
    assert run.code == 0
    acts = [method for _, method in run.calls]
    assert acts.index("files.write_monitoring") < acts.index("containers.create_and_start")
    assert deploy(world, V1, balanced=False).acts == []


def test_metrics_go_with_the_release_that_had_none() -> None:
    """A failure after they were set brings back the container without them, which needs no file."""
    world = World.of("gpu1")
    assert deploy(world, desired(1), balanced=False).code == 0
    before = world.serves_all()
    run = deploy(world, V1, balanced=False, trouble=Trouble("refuse", 1, count="files.write_release"))
    assert run.code == 3, run.last_line
    assert world.serves_all() == before


def test_a_run_without_a_balancer_has_its_traffic_in_the_report() -> None:
    """What clients sent to the servers while a run switched them over is told, and drawn on its page."""
    watch, asked = Watch("gpu1", "gpu2"), threading.Event()

    class Heard(SimFleet):
        def reached(self, host: Host) -> HostSession | None:  # type: ignore[override]
            found = watch.fleet.reached(host)
            if host.name == "gpu2":
                asked.set()
            return found

    fleet = Heard(watch.world, watch.wire)
    with sampling(watch.plans, fleet, watch.emit, watch.world.clock):
        assert asked.wait(60)
        while len(watch.asked) < 2:
            pass
        with watch.world.lock:
            run = deploy(watch.world, V2, balanced=False)
            watch.server("gpu1").serve(400, errors=4)
    assert run.code == 0
    (sample,) = watch.events
    told = sample.data["services"][SERVICE]
    assert told["requests"] - 404 == sum(method == "serving.predict" for _, method in run.calls)
    assert told["errors"] == 4
    html = page(RunStory.of([*run.events, sample]))
    assert f"Service {SERVICE}, as its servers count" in html
    assert "golden requests of this run among them" in html
    assert "No balancer told" not in html
