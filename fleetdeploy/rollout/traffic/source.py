"""Who is asked what was counted, and how often one that does not answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.protocols import Clock, Fleet

EVERY_S = 5.0
MOST_PAUSE_S = 60.0


@dataclass(frozen=True)
class Counted:
    """What came in ``seconds``."""

    load: PoolLoad
    seconds: float


@dataclass(frozen=True)
class Told:
    """One round's answers: by the name of each pool, and of each service whose servers told."""

    pools: dict[str, Counted]
    services: dict[str, Counted]


class Source(Protocol):
    """A balancer, or the servers without one."""

    def ask(self, fleet: Fleet, clock: Clock, *, is_over: Callable[[], bool]) -> Told:
        """What was counted since they were asked last. Nobody is asked any more once it ``is_over``; failures are
        silent.
        """


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
