"""How many connections start at the same time, and how long one waits for its turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fleetdeploy.errors import Unreachable

TURNS = 10
"""For how many connections' time a further one waits for its turn to start."""


class Handshakes:
    """Lets few connections start at once: sshd drops early connections beyond its MaxStartups (10 by default)."""

    def __init__(self, limit: int = 8) -> None:
        self._slots = threading.BoundedSemaphore(limit)

    @contextmanager
    def turn(self, host: str, *, wait_s: float) -> Iterator[None]:
        """Start a connection meanwhile. Raises Unreachable where ``wait_s`` seconds bring no turn."""
        if not self._slots.acquire(timeout=wait_s):
            raise Unreachable(
                f"too many connections were starting: it was not this one's turn within {wait_s:g} s",
                where=host,
                hint="hosts that do not answer hold up the others: leave them out, or use fewer --forks",
            )
        try:
            yield
        finally:
            self._slots.release()
