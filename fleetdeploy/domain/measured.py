"""What is measured while a run goes on, and shown; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass


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


@dataclass(frozen=True)
class ServerLoad:
    """What a model server has counted since it started: requests that it ``answered``, and its own ``errors``.

    ``spent_s`` is how long its answers took together, rounded to six digits, so that nothing can be taken from the sum
    of a server that has run for long. ``rough_s`` is the same by its histogram: less true, but never rounded.
    """

    answered: int = 0
    errors: int = 0
    spent_s: float = 0.0
    rough_s: float = 0.0

    def since(self, before: ServerLoad) -> ServerLoad:
        """What was counted since then; of a server that began anew meanwhile, what it has counted since it did.

        What the histogram grew by is corrected by how far it is off over the server's whole life.
        """
        if any(now < then for now, then in zip(astuple(self), astuple(before), strict=True)):
            before = ServerLoad()
        rough_s = self.rough_s - before.rough_s
        spent_s = self.spent_s * (rough_s / self.rough_s) if self.rough_s else 0.0
        return ServerLoad(self.answered - before.answered, self.errors - before.errors, spent_s, rough_s)

    def __add__(self, other: ServerLoad) -> ServerLoad:
        return ServerLoad(
            self.answered + other.answered,
            self.errors + other.errors,
            self.spent_s + other.spent_s,
            self.rough_s + other.rough_s,
        )

    @property
    def as_pool(self) -> PoolLoad:
        """The same as of a pool; ``answer_s`` is the mean over all that was answered."""
        answer_s = self.spent_s / self.answered if self.answered else None
        return PoolLoad(self.answered + self.errors, self.errors, answer_s)
