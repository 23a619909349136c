"""What stays in service through a wave, and how long the wave takes: arithmetic over a play's capacity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from fleetdeploy.domain.forecast import DomainForecast, Expected, ServiceForecast
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.foresight.durations import Durations
from fleetdeploy.rollout.foresight.parts import Part


class Standings:
    """Who of a play's hosts serves, wave after wave: ``out`` do not any longer, ``new`` do not yet."""

    def __init__(self, bound: BoundPlay, *, out: Iterable[str], new: Iterable[str], forks: int) -> None:
        self.out = set(out) & set(bound.everyone)
        self.new = set(new) & set(bound.everyone) - self.out
        self._floor = bound.floor
        self._max_unavailable = bound.max_unavailable
        self._forks = forks
        idle = self.out | self.new
        self._serving = {name: len(members - idle) for name, members in self._floor.members.items()}
        self._total = sum(self._serving.values())

    def wave(self, parts: Sequence[Part]) -> ServiceForecast:
        """What serves before and, at the lowest, in a wave. Hosts that come to serve in it do not help before they do,
        and hosts that have not served or are out already cost nothing.
        """
        idle = self.out | self.new
        taken = tuple(part.host for part in parts if part.is_taken_out and part.host not in idle)
        wanted = Counter(self._domain(name) for name in taken)
        room = max(0, min(self._forks, self._max_unavailable - len(self.out)))
        may = {name: min(count, room, self._spare(name)) for name, count in wanted.items()}
        most = min(room, sum(may.values()))
        domains = [self._in_domain(name, count) for name, count in may.items()]
        closest = min(domains, key=lambda item: (item.lowest - item.least, item.lowest), default=None)
        shown = self._floor.domains or self._floor.least.amount
        return ServiceForecast(self._total, self._total - most, taken, most, closest if shown else None)

    def side_by_side(self, parts: Sequence[Part]) -> int:
        """How many hosts of the wave may be out at a time, those of them that are out already included; at least 1."""
        elsewhere = len(self.out - {part.host for part in parts if part.in_traffic})
        domains = {self._domain(part.host) for part in parts}
        idle = self.out | self.new
        room = sum(self._spare(name) for name in domains) + sum(part.host in idle for part in parts)
        return max(1, min(self._max_unavailable - elsewhere, room))

    def after(self, parts: Iterable[Part]) -> None:
        """The wave went well: what it worked on serves."""
        for part in parts:
            if (part.host in self.out and part.in_traffic) or (part.host in self.new and part.activates):
                self._serving[self._domain(part.host)] += 1
                self._total += 1
                self.out.discard(part.host)
                self.new.discard(part.host)

    def _domain(self, name: str) -> str:
        return self._floor.domains.get(name, "")

    def _least(self, domain: str) -> int:
        return self._floor.least.at_least_of(len(self._floor.members[domain]))

    def _spare(self, domain: str) -> int:
        """How many hosts of the domain serve beyond what has to."""
        return max(0, self._serving[domain] - self._least(domain))

    def _in_domain(self, name: str, out: int) -> DomainForecast:
        return DomainForecast(name, self._serving[name] - out, len(self._floor.members[name]), self._least(name))


def seconds_of(
    parts: Sequence[Part], known: Durations, *, forks: int, side_by_side: int, free: Iterable[str] = ()
) -> Expected | None:
    """How long a wave takes when at most ``forks`` hosts are worked on at a time, and at most ``side_by_side`` of those
    whose traffic is touched; ``free`` hosts cost no capacity. None where nothing is known of any host.
    """
    costless = frozenset(free)
    workers = [0.0] * max(1, min(forks, len(parts)))
    places = [0.0] * side_by_side
    end, took = 0.0, list[float | None]()
    for part in parts:
        now, holds = heappop(workers), False
        for work in part.works:
            # A host keeps its place from the first task that touches traffic until its part is over.
            if not holds and work.takes_out and part.host not in costless:
                now, holds = max(now, heappop(places)), True
            took.append(known.of(work, part.host))
            now += took[-1] or 0.0
        if holds:
            heappush(places, now)
        heappush(workers, now)
        end = max(end, now)
    if took and all(seconds is None for seconds in took):
        return None
    return Expected(end, at_least=None in took)
