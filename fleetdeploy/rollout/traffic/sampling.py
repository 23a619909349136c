"""Rounds of questions beside a run, every few seconds, and what is told of their answers.

A source that does not answer is asked less often, and nobody waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.traffic.balancers import balancers_of
from fleetdeploy.rollout.traffic.servers import servers_of
from fleetdeploy.rollout.traffic.source import EVERY_S, Counted, Source, Told

LAST_S = 1.0
"""So long the end of a run waits at most for its last sample."""


@dataclass
class Sampler:
    """Asks each source once a round, and tells what it counted since it answered last."""

    sources: Sequence[Source]
    fleet: Fleet
    emit: Emitter
    clock: Clock
    left_alone: bool = False

    def sample(self) -> None:
        """One round. Failures are silent: whoever needs the balancer tells of them."""
        told = Told({}, {})
        for source in self.sources:
            new = source.ask(self.fleet, self.clock, is_over=lambda: self.left_alone)
            told.pools.update(new.pools)
            told.services.update(new.services)
        if told.pools or told.services:
            services: dict[str, Any] = {"services": _data(told.services)} if told.services else {}
            self.emit(Kind.TRAFFIC_SAMPLED, pools=_data(told.pools), **services)

    def until(self, over: threading.Event) -> None:
        """A round now, one every few seconds, and one at the end."""
        self.sample()
        while not over.wait(EVERY_S):
            self.sample()
        self.sample()


@contextmanager
def sampling(plans: Sequence[HostPlan], fleet: Fleet, emit: Emitter, clock: Clock) -> Iterator[None]:
    """Tell what is counted meanwhile in front of these hosts, or on them; nobody is asked where nobody counts."""
    sources: tuple[Source, ...] = (*balancers_of(plan.host for plan in plans), *servers_of(plans))
    sampler, over = Sampler(sources, fleet, emit, clock), threading.Event()
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


def _data(counted: Mapping[str, Counted]) -> dict[str, dict[str, object]]:
    found = dict[str, dict[str, object]]()
    for name, item in counted.items():
        load = item.load
        found[name] = {"requests": load.requests, "errors": load.errors, "seconds": round(item.seconds, 3)}
        if load.answer_s is not None:
            found[name]["answer_s"] = load.answer_s
    return found
