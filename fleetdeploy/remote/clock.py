"""The system's clock, for everything below that only knows the protocol."""

from __future__ import annotations

import time


class SystemClock:
    """See :class:`fleetdeploy.domain.protocols.Clock`."""

    def now_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)
