"""paramiko's waits, by a clock that nobody can set.

paramiko measures every wait by the wall clock. When that is set, or a machine's sleep is made up for, it gives up on an
answer that is not late, or waits on and sends no keepalives. It only ever takes differences, so any clock will do.
"""

from __future__ import annotations

from time import monotonic
from time import sleep as doze
from typing import Any

from paramiko import auth_handler, buffered_pipe, channel, packet, proxy, transport

_WAITING = (auth_handler, buffered_pipe, channel, packet, proxy, transport)


class _Monotonic:
    """What those modules know as ``time``."""

    time = staticmethod(monotonic)
    sleep = staticmethod(doze)


def wait_by_monotonic_clock() -> None:
    """Once more changes nothing."""
    for module in _WAITING:
        waiting: Any = module
        waiting.time = _Monotonic
