"""Work on many hosts at a time, while the main thread stays awake for signals."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AWAKE_S = 0.2
"""Python runs signal handlers in the main thread only, and a signal that the kernel hands to another thread does not
wake a main thread that waits on a lock."""


def side_by_side(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    forks: int,
    at_once: type[Exception] | tuple[type[Exception], ...] = (),
) -> list[Result]:
    """The results in the order of ``items``, at most ``forks`` worked on at a time. Raises what ``work`` raised first,
    once all have ended.

    An error of the types ``at_once`` is not kept waiting: no further item is begun, and those that are being worked on
    are left to end by themselves, with the program at the latest. So ``work`` must change nothing then.
    """
    futures: list[Future[Result]] = [Future() for _ in items]
    # A pool's threads keep the program from ending, whatever they still wait for.
    taking, turns = threading.Lock(), iter(list(zip(futures, items, strict=True)))
    threads = [
        threading.Thread(target=_in_turn, args=(work, turns, taking, at_once), daemon=True)
        for _ in range(max(1, min(forks, len(items))))
    ]
    for thread in threads:
        thread.start()
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_AWAKE_S, return_when=FIRST_EXCEPTION)
        for error in filter(None, (future.exception() for future in done)):
            if isinstance(error, at_once):
                raise error
    for thread in threads:
        thread.join()
    return [future.result() for future in futures]


def _in_turn(
    work: Callable[[Item], Result],
    turns: Iterator[tuple[Future[Result], Item]],
    taking: threading.Lock,
    at_once: type[Exception] | tuple[type[Exception], ...],
) -> None:
    while True:
        with taking:
            turn = next(turns, None)
        if turn is None:
            return
        future, item = turn
        try:
            future.set_result(work(item))
        except BaseException as error:  # noqa: BLE001  for the thread that waits
            if isinstance(error, at_once):
                with taking:
                    deque(turns, maxlen=0)
            future.set_exception(error)
