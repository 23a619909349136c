"""Renewals on a fleet in which many hosts do not answer, by virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from simulation.clock import VirtualClock

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.lease import Holder
from fleetdeploy.errors import Unreachable
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
        self.hosts.renewed_s[self.name] = self.hosts.clock.s

    def check(self) -> None:
        hosts = self.hosts
        hosts.asked.append((self.name, hosts.clock.s))
        if self.name in hosts.dead:
            hosts.clock.wait(SILENT_S)
            raise Unreachable("no answer", where=self.name)
        hosts.clock.wait(ANSWER_S)
        if hosts.clock.s > hosts.renewed_s[self.name] + hosts.ttl_s:
            hosts.late.append(self.name)
        hosts.renewed_s[self.name] = hosts.clock.s


def kept(monkeypatch: pytest.MonkeyPatch, *, count: int, dead: int, ttl_s: float, for_s: float) -> Hosts:
    """What became of leases that were kept for so long on ``count`` hosts, the first ``dead`` of which fall silent."""
    clock = At()
    names = [f"h{number:03}" for number in range(count)]
    hosts = Hosts(clock, set(), ttl_s)
    monkeypatch.setattr(leases, "side_by_side", hosts.side_by_side)
    targets = Targets({name: Target(Host(name, Connection(name)), ()) for name in names}, "T")
    emit = Emitter("run-1", VirtualClock())
    keeper = LeaseKeeper(targets, hosts, emit, clock, lambda _: Holder("run-1", "me@here"), 10, ttl_s)  # type: ignore[arg-type]
    keeper.take(names)
    hosts.dead |= set(names[:dead])
    while clock.s < for_s:
        clock.wait(ttl_s / TICKS)
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
