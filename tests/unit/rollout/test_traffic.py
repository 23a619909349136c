"""Traffic is sampled beside a run: silently, and never in its way."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from simulation.balancer import SimBalancer
from simulation.controller import sim_host
from simulation.fleet import SimFleet
from simulation.wire import Trouble, Wire
from simulation.world import POOLS, World

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.observed import Absent, ObservedHost
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.traffic import sampling as rounds
from fleetdeploy.rollout.traffic.balancers import balancers_of
from fleetdeploy.rollout.traffic.sampling import Sampler, sampling

REST, GRPC = POOLS


def seen(name: str, *, balanced: bool = True) -> list[HostPlan]:
    """What a run knows of a host without services."""
    return [HostPlan(sim_host(name, balanced=balanced), ObservedHost(name, Absent()), ())]


class Watch:
    """A simulated balancer in front of some hosts, and what is told of it."""

    def __init__(self, hosts: Sequence[Host] = (), *, trouble: Trouble | None = None) -> None:
        self.world = World.of("gpu1", "gpu2")
        self.wire = Wire(self.world, trouble or Trouble())
        self.events: list[Event] = []
        self.emit = Emitter("r", self.world.clock, views=[self.events.append])
        fleet, hosts = SimFleet(self.world, self.wire), hosts or [sim_host("gpu1"), sim_host("gpu2")]
        self.sampler = Sampler(balancers_of(hosts), fleet, self.emit, self.world.clock)

    def count(self, **loads: PoolLoad) -> None:
        self.world.counted_requests |= loads

    def sample(self, after_s: float = 5.0) -> object:
        """What one more round tells."""
        self.world.clock.skip(after_s)
        before = len(self.events)
        self.sampler.sample()
        return [event.data["pools"] for event in self.events[before:]]


def test_what_is_told_is_counted_since_the_sample_before() -> None:
    """The first sample tells nothing, those behind it what came since, and for how long."""
    watch = Watch()
    watch.count(ranking_rest=PoolLoad(1000, 7, 0.5), ranking_grpc=PoolLoad(5, 0, 0.5))
    assert watch.sample() == []
    watch.count(ranking_rest=PoolLoad(1100, 9, 0.25))
    assert watch.sample() == [
        {
            REST: {"requests": 100, "errors": 2, "seconds": 5.0, "answer_s": 0.25},
            GRPC: {"requests": 0, "errors": 0, "seconds": 5.0},
        }
    ]
    assert [event.kind for event in watch.events] == [Kind.TRAFFIC_SAMPLED]


def test_a_balancer_that_began_anew_counts_from_nothing() -> None:
    """After a restart in between everything that it has counted since is told, never a negative number."""
    watch = Watch()
    watch.count(ranking_rest=PoolLoad(1000, 7))
    watch.sample()
    watch.count(ranking_rest=PoolLoad(30, 1))
    assert watch.sample() == [{REST: {"requests": 30, "errors": 1, "seconds": 5.0}}]
    watch.count(ranking_rest=PoolLoad(50, 0))
    assert watch.sample() == [{REST: {"requests": 50, "errors": 0, "seconds": 5.0}}]


def test_one_question_a_balancer_and_round() -> None:
    """However many hosts and pools a balancer has, it is asked once."""
    watch = Watch()
    watch.sample()
    watch.sample()
    assert watch.wire.calls == [("lb", "balancer.load")] * 2


def test_a_silent_balancer_is_asked_less_often_and_nothing_is_lost() -> None:
    """A failure is silent; the next sample that works tells all that came since the last one."""
    watch = Watch()
    watch.count(ranking_rest=PoolLoad(10, 0))
    watch.sample()
    watch.world.balancer_down = True
    assert [watch.sample() for _ in range(4)] == [[]] * 4
    asked = len(watch.wire.calls)
    assert asked == 1 + 2
    watch.world.balancer_down = False
    watch.count(ranking_rest=PoolLoad(110, 3))
    assert watch.sample(60) == [{REST: {"requests": 100, "errors": 3, "seconds": 80.0}}]


def test_who_is_left_alone_asks_nobody() -> None:
    """Once the run has not waited for it, a sampler begins no question: its connections are closed by then."""
    watch = Watch()
    watch.sampler.left_alone = True
    assert watch.sample() == []
    assert watch.wire.calls == []


def test_two_balancers_with_pools_of_one_name() -> None:
    """Pools that only share their name are told apart by their balancer, others by name alone."""

    def behind(balancer: str, socket: str = "/s", *pools: str) -> Host:
        return replace(sim_host(balancer), balancer=BalancerWish("haproxy", balancer, socket, "x", {"a": pools}))

    east, west = balancers_of([behind("east", "/s", "rest", "own"), behind("west", "/s", "rest")])
    assert (east.names, west.names) == ({"rest": "rest on east", "own": "own"}, {"rest": "rest on west"})
    one, two = balancers_of([behind("east", "/1", "rest"), behind("east", "/2", "rest"), behind("east", "/2", "rest")])
    assert (one.names, two.names) == ({"rest": "rest on east:/1"}, {"rest": "rest on east:/2"})


def test_hosts_without_a_balancer_ask_nobody() -> None:
    """Where no host has a balancer there is neither thread nor question."""
    watch = Watch()
    before = threading.active_count()
    with sampling(seen("gpu1", balanced=False), watch.sampler.fleet, watch.emit, watch.world.clock):
        assert threading.active_count() == before
    with sampling([], watch.sampler.fleet, watch.emit, watch.world.clock):
        assert threading.active_count() == before
    assert watch.wire.calls == []


def test_a_short_run_is_sampled_at_both_ends() -> None:
    """However short the run, what came between its beginning and its end is told before it is over."""
    watch, asked = Watch(), threading.Event()
    watch.count(ranking_rest=PoolLoad(10, 0))

    class Told(SimFleet):
        def balancer(self, wish: BalancerWish) -> SimBalancer:
            asked.set()
            return super().balancer(wish)

    with sampling(seen("gpu1"), Told(watch.world, watch.wire), watch.emit, watch.world.clock):
        assert asked.wait(60)
        while not watch.wire.calls:
            pass
        with watch.world.lock:
            watch.count(ranking_rest=PoolLoad(17, 2))
    (event,) = watch.events
    assert event.data["pools"] == {REST: {"requests": 7, "errors": 2, "seconds": 0.0}}


def test_the_end_does_not_wait_for_a_balancer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancer that does not answer costs the end of the run no more than a moment, and is left alone then."""
    watch, asked, release = Watch(), threading.Event(), threading.Event()
    monkeypatch.setattr(rounds, "LAST_S", 0.01)

    class Deaf(SimFleet):
        def balancer(self, wish: BalancerWish) -> SimBalancer:
            asked.set()
            assert release.wait(60)
            raise AttributeError(f"{wish.host} was closed meanwhile")

    with sampling(seen("gpu1"), Deaf(watch.world, watch.wire), watch.emit, watch.world.clock):
        assert asked.wait(60)
    asked.clear()
    release.set()
    for thread in threading.enumerate():
        if thread.name == "traffic":
            thread.join(60)
    assert not asked.is_set()
    assert watch.events == []


def test_a_full_journal_is_no_reason_to_fail() -> None:
    """A sample that cannot be written stops nobody: what the run does next finds that out."""

    def full(_: Event) -> None:
        raise OSError(28, "No space left on device", "events.jsonl")

    watch = Watch()
    watch.sampler.emit = Emitter("r", watch.world.clock, journals=[full])
    watch.count(ranking_rest=PoolLoad(10, 0))
    watch.sample()
    watch.sample()
    assert watch.sampler.emit.failure
