"""What reading one input may take, whether it is read or refused: a second of processor time, and 256 MiB."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from fleetdeploy.errors import FleetdeployError

Answer = TypeVar("Answer")
SECONDS = 1.0
"""Of processor time, some ten times what the slowest small input takes: other work on the machine does not count."""
KIB = 256 * 1024


def within_limits(read: Callable[[], Answer]) -> Answer:
    """What ``read`` gives or raises. One that takes too long has a second try: what is done but once does not count."""
    before, began = _peak_kib(), time.process_time()
    try:
        return read()
    finally:
        took = time.process_time() - began
        if took > SECONDS:
            began = time.process_time()
            with suppress(FleetdeployError):
                read()
            took = time.process_time() - began
        assert took <= SECONDS, f"{took:.2f} s of processor time"
        assert _peak_kib() - before <= KIB


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
