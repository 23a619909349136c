"""The faults of one version as they are acted upon: which request is hit is counted, never drawn by chance.

With a rate of r the n-th request is hit when the whole part of n * r is larger than that of (n - 1) * r. So of any n
requests since the fault was asked for exactly floor(n * r) are hit, evenly spread, and of 10 requests with a rate of
0.3 it is always the 4th, the 7th and the 10th.
"""

import itertools
from fractions import Fraction

from fleetdeploy.lab.modelserver.faults.description import Description, Failure


class Share:
    """Says of each event in turn whether it is one of the share."""

    def __init__(self, rate: float) -> None:
        exact = Fraction(repr(rate))  # of the decimal number that was written, not of the nearest binary one
        self._numerator, self._denominator = exact.numerator, exact.denominator
        self._events = itertools.count(1)  # next() of it is atomic, so that threads need no lock

    def hits(self) -> bool:
        """Count one event."""
        if not self._numerator:
            return False
        event = next(self._events)
        return event * self._numerator // self._denominator > (event - 1) * self._numerator // self._denominator


class Plan:
    """A description and how far it has been carried out; each fault has a count of its own."""

    def __init__(self, asked: Description) -> None:
        self.asked = asked
        self.touches_requests = asked.touches_requests
        self.slow = Share(asked.latency_rate if asked.latency_ms else 0.0)
        self.failing = Share(asked.error_rate)
        self.spoilt = Share(asked.nan_rate if asked.nan else 0.0)
        self.hanging = Share(asked.hang_rate if asked.hang == "request" else 0.0)
        self._attempts = itertools.count(1)
        self._requests = itertools.count(0)

    def load_failure(self) -> Failure | None:
        """Count one attempt to load, and say what it gives instead of a model; None for a model."""
        limit = self.asked.load_error_attempts
        return self.asked.load_error if limit is None or next(self._attempts) <= limit else None

    def request_kills(self) -> bool:
        """Count one request, and say whether the process dies of it."""
        after = self.asked.crash_after_requests
        return after is not None and next(self._requests) >= after
