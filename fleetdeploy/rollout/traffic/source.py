"""Who is asked what was counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.protocols import Clock, Fleet

EVERY_S = 5.0


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
