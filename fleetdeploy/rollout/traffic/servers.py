"""What the servers of services without a balancer count themselves.

They are asked over connections that the run has anyway. What a server counted between the last look and its end, or
while it did not answer, is not told, and golden requests are among what is counted: a server cannot tell who asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.measured import ServerLoad
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.planning.container import METRICS_FLAG, REST_PORT
from fleetdeploy.planning.host import is_balanced
from fleetdeploy.rollout.traffic.source import EVERY_S, Counted, Told

MOST_A_ROUND = 32
"""So many are asked in one round; of a larger fleet the others have their turn in the next ones."""
ANSWER_S = 2.0
PAUSE_S = 10.0
"""So long one that did not answer is left alone: a server that is restarted, as by this run, is there again by then."""


@dataclass
class Server:
    """One service on one host. ``seen`` is what it had counted when it was asked last; it is not asked before
    ``again_s``.
    """

    service: str
    host: Host
    address: str
    port: int
    seen: ServerLoad | None = None
    again_s: float = 0.0

    def ask(self, fleet: Fleet, clock: Clock) -> ServerLoad | None:
        """What it has counted; None where nobody has connected to its host, or it does not answer."""
        session = fleet.reached(self.host)
        if session is None:
            return None
        try:
            load = session.counted(self.address, self.port, deadline_s=ANSWER_S)
        except Exception:  # noqa: BLE001  as with balancers: the run's connections may be closed meanwhile
            self.again_s = clock.monotonic_s() + PAUSE_S
            # Whatever it counts until it answers again came in a longer time than is told of the others.
            self.seen = None
            return None
        return load


@dataclass
class OfServers:
    """All of them, whoever was not asked for longest first. ``told_s`` is until when each service is told."""

    servers: deque[Server]
    told_s: dict[str, float] = field(default_factory=dict)

    def ask(self, fleet: Fleet, clock: Clock, *, is_over: Callable[[], bool]) -> Told:
        """Some of them. Each tells what came since its own last turn; together that is what came at all of them in the
        time of one round.
        """
        sums, answered = dict[str, ServerLoad](), set[str]()
        for server in self._next(clock, is_over):
            load = server.ask(fleet, clock)
            if load is None:
                continue
            answered.add(server.service)
            if server.seen is not None:
                sums[server.service] = sums.get(server.service, ServerLoad()) + load.since(server.seen)
            server.seen = load
        now_s = clock.monotonic_s()
        told = {name: Counted(load.as_pool, now_s - self.told_s[name]) for name, load in sums.items()}
        self.told_s |= dict.fromkeys(told.keys() | (answered - self.told_s.keys()), now_s)
        return Told({}, told)

    def _next(self, clock: Clock, is_over: Callable[[], bool]) -> Iterator[Server]:
        """Those whose turn it is, as long as there is time: balancers are asked every few seconds as well."""
        end_s, asked = clock.monotonic_s() + EVERY_S, 0
        for _ in range(len(self.servers)):
            if is_over() or asked == MOST_A_ROUND or clock.monotonic_s() >= end_s:
                return
            server = self.servers[0]
            self.servers.rotate(-1)
            if clock.monotonic_s() >= server.again_s:
                asked += 1
                yield server


def servers_of(plans: Iterable[HostPlan]) -> tuple[OfServers, ...]:
    """The servers in these plans that tell what they count, and whose requests no balancer counts; one source or none.

    Where they listen is known only from the plan: a service may be bound to a network.
    """
    found = deque[Server]()
    for plan in plans:
        for item in plan.services:
            if METRICS_FLAG in item.container.command and not is_balanced(plan.host, item.desired.name):
                found.append(Server(item.desired.name, plan.host, *item.container.ports[REST_PORT]))
    return (OfServers(found),) if found else ()
