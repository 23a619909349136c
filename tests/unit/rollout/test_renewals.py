"""Renewals on a fleet in which many hosts do not answer, by virtual time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from simulation.clock import VirtualClock

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.lease import Holder
from fleetdeploy.errors import LeaseLost, Unreachable
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.locks import leases
from fleetdeploy.rollout.locks.leases import TICKS, LeaseKeeper
from fleetdeploy.rollout.targets import Target, Targets

SILENT_S, ANSWER_S = 10.0, 0.1


class At:
    """A clock that can be set, for what happens side by side."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic_s(self) -> float:
        return self.s

    def now_s(self) -> float:
        return self.s

    def wait(self, seconds: float) -> None:
        self.s += seconds


@dataclass
class Hosts:
    """Sessions whose leases note when they were asked and, where a host answers, how late that was."""

    clock: At
    dead: set[str]
    ttl_s: float
    answer_s: float = ANSWER_S
    take_s: float = 0.0
    took: list[tuple[str, float]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    renewed_s: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    def session(self, host: Host) -> Leased:
        return Leased(self, host.name)

    def side_by_side(self, work: Callable[[str], object], items: Sequence[str], *, forks: int) -> list[object]:
        free, begun_s, results = [self.clock.s] * max(1, min(forks, len(items))), self.clock.s, []
        for item in items:
            self.clock.s = heapq.heappop(free)
            results.append(work(item))
            heapq.heappush(free, self.clock.s)
        self.clock.s = max([begun_s, *free])
        return results


@dataclass
class Leased:
    hosts: Hosts
    name: str

    def leases(self) -> Leased:
        return self

    def take(self, *_: object, **__: object) -> None:
        self.hosts.took.append((self.name, self.hosts.clock.s))
        self.hosts.renewed_s[self.name] = self.hosts.clock.s
        self.hosts.clock.wait(self.hosts.take_s)

    def release(self, *_: object) -> None:
        self.hosts.released.append(self.name)

    def check(self) -> None:
        hosts = self.hosts
        hosts.asked.append((self.name, hosts.clock.s))
        if self.name in hosts.dead:
            hosts.clock.wait(SILENT_S)
            raise Unreachable("no answer", where=self.name)
        hosts.clock.wait(hosts.answer_s)
        if hosts.clock.s > hosts.renewed_s[self.name] + hosts.ttl_s:
            hosts.late.append(self.name)
        hosts.renewed_s[self.name] = hosts.clock.s


def taken(
    monkeypatch: pytest.MonkeyPatch, *, count: int, dead: int, ttl_s: float, take_s: float = 0.0
) -> tuple[LeaseKeeper, Hosts]:
    """A keeper with leases on ``count`` hosts, the first ``dead`` of which have fallen silent since."""
    names = [f"h{number:03}" for number in range(count)]
    hosts = Hosts(At(), set(), ttl_s, take_s=take_s)
    monkeypatch.setattr(leases, "side_by_side", hosts.side_by_side)
    targets = Targets({name: Target(Host(name, Connection(name)), ()) for name in names}, "T")
    emit = Emitter("run-1", VirtualClock())
    keeper = LeaseKeeper(targets, hosts, emit, hosts.clock, lambda _: Holder("run-1", "me@here"), 10, ttl_s)  # type: ignore[arg-type]
    keeper.take(names)
    hosts.dead |= set(names[:dead])
    return keeper, hosts


def kept(monkeypatch: pytest.MonkeyPatch, *, count: int, dead: int, ttl_s: float, for_s: float) -> Hosts:
    """What became of such leases that were kept for so long."""
    keeper, hosts = taken(monkeypatch, count=count, dead=dead, ttl_s=ttl_s)
    while hosts.clock.s < for_s:
        hosts.clock.wait(ttl_s / TICKS)
        keeper.renew()
    return hosts


@pytest.mark.parametrize(
    ("count", "dead", "ttl_s"), [(60, 30, 45.0), (60, 30, 66.0), (60, 59, 66.0), (400, 300, 100.0)]
)
def test_hosts_that_answer_are_never_late_for_those_that_do_not(
    monkeypatch: pytest.MonkeyPatch, count: int, dead: int, ttl_s: float
) -> None:
    """However many hosts are waited for in vain, the lease of one that answers is renewed in its time."""
    hosts = kept(monkeypatch, count=count, dead=dead, ttl_s=ttl_s, for_s=1200.0)
    assert hosts.late == []
    last_s = max(at_s for _, at_s in hosts.asked)
    assert all(last_s - at_s < ttl_s for name, at_s in hosts.renewed_s.items() if name not in hosts.dead)


def test_a_host_that_does_not_answer_is_asked_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, then after longer and longer pauses, up to those of a host that answers; it is never given up."""
    hosts = kept(monkeypatch, count=2, dead=1, ttl_s=120.0, for_s=1200.0)
    times = [at_s for name, at_s in hosts.asked if name in hosts.dead]
    pauses = [after - before - SILENT_S for before, after in pairwise(times)]
    assert [round(pause_s) for pause_s in pauses[:3]] == [10, 10, 30]
    assert pauses[-1] == pytest.approx(40.0, abs=10.0)
    assert times[-1] > 1100.0


def test_who_answered_last_time_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that was silent comes behind all others, and is one of them again once it has answered."""
    keeper, hosts = taken(monkeypatch, count=3, dead=1, ttl_s=90.0)
    order = []
    for alive in (False, False, True, True):
        if alive:
            hosts.dead.clear()
        hosts.clock.wait(60.0)
        del hosts.asked[:]
        keeper.renew()
        order.append([name for name, _ in hosts.asked])
    assert order == [
        ["h000", "h001", "h002"],
        ["h001", "h002", "h000"],
        ["h001", "h002", "h000"],
        ["h000", "h001", "h002"],
    ]


def test_of_many_silent_hosts_none_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only some can be asked at a time, it is the turn of those who wait the longest."""
    hosts = kept(monkeypatch, count=61, dead=60, ttl_s=66.0, for_s=600.0)
    times = Counter(name for name, _ in hosts.asked if name in hosts.dead)
    assert len(times) == 60
    assert min(times.values()) > 2
    assert max(times.values()) - min(times.values()) <= 1


def test_a_lost_lease_is_asked_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run has it: only the others are renewed."""
    keeper, hosts = taken(monkeypatch, count=2, dead=0, ttl_s=90.0)
    keeper.lose("h000", LeaseLost("somebody took over", where="h000"))
    hosts.clock.wait(60.0)
    keeper.renew()
    assert [name for name, _ in hosts.asked] == ["h001"]


def test_a_renewal_counts_from_when_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host may have renewed the lease long before its answer came: the next one is due that much sooner."""
    keeper, hosts = taken(monkeypatch, count=1, dead=0, ttl_s=90.0)
    hosts.answer_s = 20.0
    hosts.clock.wait(30.0)
    keeper.renew()
    hosts.clock.wait(9.0)
    keeper.renew()
    hosts.clock.wait(1.0)
    keeper.renew()
    assert [at_s for _, at_s in hosts.asked] == [30.0, 60.0]


def test_the_first_lease_is_taken_before_the_others_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two runs with the same hosts one gets them all; and each lease counts from when it was asked for."""
    keeper, hosts = taken(monkeypatch, count=3, dead=0, ttl_s=90.0, take_s=20.0)
    assert hosts.took == [("h000", 0.0), ("h001", 20.0), ("h002", 20.0)]
    for at_s in (40.0, 50.0):
        hosts.clock.s = at_s
        keeper.renew()
    assert hosts.asked == [("h000", 40.0), ("h001", 50.0), ("h002", 50.0)]


def test_the_end_of_a_run_does_not_wait_for_silent_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever did not answer last time is not asked to let go: its lease ends by itself, and the others are free."""
    keeper, hosts = taken(monkeypatch, count=3, dead=1, ttl_s=90.0)
    hosts.clock.wait(60.0)
    keeper.renew()
    keeper.release()
    assert hosts.released == ["h001", "h002"]
