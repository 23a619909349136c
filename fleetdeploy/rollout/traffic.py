"""What clients notice of a run: requests and errors that balancers count meanwhile, told every few seconds.

Nothing is decided by it. A balancer that does not answer is asked less often, and nobody waits for it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.rollout.emitter import Emitter

EVERY_S = 5.0
MOST_PAUSE_S = 60.0
LAST_S = 1.0
"""So long the end of a run waits at most for its last sample."""


@dataclass
class Source:
    """One balancer and the pools that are asked about. ``names`` are how they are told, ``seen`` what was counted when
    they were asked last; it is not asked before ``again_s``.
    """

    wish: BalancerWish
    names: dict[str, str]
    seen: dict[str, tuple[float, PoolLoad]] = field(default_factory=dict)
    pause_s: float = 0.0
    again_s: float = 0.0


def sources_of(hosts: Iterable[Host]) -> tuple[Source, ...]:
    """The balancers of these hosts. A pool of which several have one of that name is told with its balancer's."""
    pools: dict[tuple[str, str, str], dict[str, str]] = {}
    wishes: dict[tuple[str, str, str], BalancerWish] = {}
    for host in hosts:
        if (wish := host.balancer) is not None and wish.all_pools:
            key = wish.place
            wishes.setdefault(key, wish)
            pools.setdefault(key, {}).update((name, name) for name in wish.all_pools)
    times = Counter(name for names in pools.values() for name in names)
    ambiguous = len({place for _, place, _ in pools}) < len(pools)
    for (_, place, socket), names in pools.items():
        balancer = f"{place}:{socket}" if ambiguous else place
        names.update((name, f"{name} on {balancer}") for name in names if times[name] > 1)
    return tuple(Source(wishes[key], names) for key, names in pools.items())


@dataclass
class Sampler:
    """Asks each balancer once a round, and tells what it counted since it answered last."""

    sources: Sequence[Source]
    fleet: Fleet
    emit: Emitter
    clock: Clock
    every_s: float = EVERY_S
    left_alone: bool = False

    def sample(self) -> None:
        """One round. Failures are silent: whoever needs the balancer tells of them."""
        told: dict[str, dict[str, object]] = {}
        for source in self.sources:
            if self.left_alone:
                return
            if self.clock.monotonic_s() >= source.again_s:
                told |= self._ask(source)
        if told:
            self.emit(Kind.TRAFFIC_SAMPLED, pools=told)

    def until(self, over: threading.Event) -> None:
        """A round now, one every few seconds, and one at the end."""
        self.sample()
        while not over.wait(self.every_s):
            self.sample()
        self.sample()

    def _ask(self, source: Source) -> dict[str, dict[str, object]]:
        try:
            loads = self.fleet.balancer(source.wish).load(tuple(source.names))
        except Exception:  # noqa: BLE001  at the run's end its connections are closed under whoever still asks
            source.pause_s = min(MOST_PAUSE_S, 2 * source.pause_s or 2 * self.every_s)
            source.again_s = self.clock.monotonic_s() + source.pause_s
            return {}
        source.pause_s = 0.0
        now_s, told = self.clock.monotonic_s(), dict[str, dict[str, object]]()
        for pool, load in loads.items():
            if pool in source.seen:
                then_s, before = source.seen[pool]
                told[source.names[pool]] = _data(load.since(before), now_s - then_s)
            source.seen[pool] = now_s, load
        return told


@contextmanager
def sampling(hosts: Iterable[Host], fleet: Fleet, emit: Emitter, clock: Clock) -> Iterator[None]:
    """Tell what the balancers of ``hosts`` count meanwhile; nobody is asked where none of them has one."""
    sampler, over = Sampler(sources_of(hosts), fleet, emit, clock), threading.Event()
    if not sampler.sources:
        yield
        return
    thread = threading.Thread(target=sampler.until, args=(over,), name="traffic", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LAST_S)
        sampler.left_alone = True


def _data(load: PoolLoad, seconds: float) -> dict[str, object]:
    answer = {} if load.answer_s is None else {"answer_s": load.answer_s}
    return {"requests": load.requests, "errors": load.errors, "seconds": round(seconds, 3), **answer}
