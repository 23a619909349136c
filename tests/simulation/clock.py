"""Virtual time: waiting costs nothing and moves everybody's clock."""

from __future__ import annotations

import threading

LONGEST_S = 100_000.0
"""Whoever waits longer than this in all has lost its deadlines."""


class VirtualClock:
    """See :class:`fleetdeploy.domain.protocols.Clock`. Thread-safe."""

    def __init__(self) -> None:
        self._elapsed_s = 0.0
        self._skipped_s = 0.0
        self.lock = threading.Lock()

    def now_s(self) -> float:
        return 1_767_225_600.0 + self._elapsed_s

    def monotonic_s(self) -> float:
        return self._elapsed_s

    def wait(self, seconds: float) -> None:
        with self.lock:
            self._elapsed_s += max(seconds, 0.0)
            waited_s = self._elapsed_s - self._skipped_s
            if waited_s > LONGEST_S:
                raise AssertionError(f"somebody has waited for {waited_s:g} s: a wait without a deadline")

    def skip(self, seconds: float) -> None:
        """Time that passes while nobody waits for anything: between two runs, or over a controller that sleeps."""
        with self.lock:
            self._elapsed_s += seconds
            self._skipped_s += seconds

    def forget_waits(self) -> None:
        """A run ended, and waited for as long as it may: the next one has that time again."""
        with self.lock:
            self._skipped_s = self._elapsed_s
