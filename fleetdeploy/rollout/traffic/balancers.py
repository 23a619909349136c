"""What balancers count in their pools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.rollout.pool_members import each_balancer
from fleetdeploy.rollout.traffic.source import EVERY_S, Counted, Told

MOST_PAUSE_S = 60.0


@dataclass
class Patience:
    """Somebody is not asked before ``again_s``; who does not answer is asked less often."""

    pause_s: float = 0.0
    again_s: float = 0.0

    def failed(self, now_s: float) -> None:
        self.pause_s = min(MOST_PAUSE_S, 2 * self.pause_s or 2 * EVERY_S)
        self.again_s = now_s + self.pause_s

    def answered(self) -> None:
        self.pause_s = 0.0


@dataclass
class OfBalancer:
    """One balancer and the pools that are asked about. ``names`` are how they are told, ``seen`` what was counted when
    they were asked last.
    """

    wish: BalancerWish
    names: dict[str, str]
    seen: dict[str, tuple[float, PoolLoad]] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)

    def ask(self, fleet: Fleet, clock: Clock, *, is_over: Callable[[], bool]) -> Told:
        """One question, about all pools."""
        told = Told({}, {})
        if is_over() or clock.monotonic_s() < self.patience.again_s:
            return told
        try:
            loads = fleet.balancer(self.wish).load(tuple(self.names))
        except Exception:  # noqa: BLE001  at the run's end its connections are closed under whoever still asks
            self.patience.failed(clock.monotonic_s())
            return told
        self.patience.answered()
        now_s = clock.monotonic_s()
        for pool, load in loads.items():
            if pool in self.seen:
                then_s, before = self.seen[pool]
                told.pools[self.names[pool]] = Counted(load.since(before), now_s - then_s)
            self.seen[pool] = now_s, load
        return told


def balancers_of(hosts: Iterable[Host]) -> tuple[OfBalancer, ...]:
    """The balancers of these hosts. A pool of which several have one of that name is told with its balancer's."""
    found = [(wish, pools) for wish, pools in each_balancer(hosts) if pools]
    times = Counter(name for _, pools in found for name in pools)
    ambiguous = len({wish.host for wish, _ in found}) < len(found)

    def told(name: str, wish: BalancerWish) -> str:
        balancer = f"{wish.host}:{wish.socket}" if ambiguous else wish.host
        return f"{name} on {balancer}" if times[name] > 1 else name

    return tuple(OfBalancer(wish, {name: told(name, wish) for name in pools}) for wish, pools in found)
