"""Work on many hosts at a time, while the main thread stays awake for signals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AWAKE_S = 0.2
"""Python runs signal handlers in the main thread only, and a signal that the kernel hands to another thread does not
wake a main thread that waits on a lock."""


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item], *, forks: int) -> list[Result]:
    """The results in the order of ``items``, at most ``forks`` worked on at a time. Raises what ``work`` raised first,
    once all have ended.
    """
    with ThreadPoolExecutor(max_workers=max(1, min(forks, len(items)))) as pool:
        futures = [pool.submit(work, item) for item in items]
        while wait(futures, timeout=_AWAKE_S).not_done:
            pass
        return [future.result() for future in futures]
