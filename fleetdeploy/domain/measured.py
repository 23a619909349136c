"""What is measured while a run goes on, and shown; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class CopyProgress:
    """How far the copy of one version to one host is: bytes that are there or on their way (buffers hold some MB),
    bytes to be copied in all, and the rate of the last second. ``done_bytes`` never falls and ends at ``total_bytes``.
    """

    model: str
    version: int
    done_bytes: int
    total_bytes: int
    bytes_per_s: float


OnCopy = Callable[[CopyProgress], None]


def unseen(_: CopyProgress) -> None:
    """For who shows no progress."""


@dataclass(frozen=True)
class PoolLoad:
    """What a balancer has counted in one pool since it started: ``requests``, and how many of them it could not answer
    or answered with a server's error. ``answer_s`` is how long a client waited for the first byte of an answer, as a
    mean over the last of them; None where the balancer cannot tell.
    """

    requests: int
    errors: int
    answer_s: float | None = None

    def since(self, before: PoolLoad) -> PoolLoad:
        """What was counted since then; of a balancer that began anew meanwhile, what it has counted since it did."""
        if self.requests < before.requests or self.errors < before.errors:
            before = PoolLoad(0, 0)
        requests = self.requests - before.requests
        return PoolLoad(requests, self.errors - before.errors, self.answer_s if requests else None)
