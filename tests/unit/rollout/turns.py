"""Threads that take turns, so that every order in which they could come to a lock can be chosen, and comes again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

PATIENCE_S = 30.0
"""How long one turn may last before the test is given up."""


class StuckError(AssertionError):
    """Threads wait, and nobody is left who could wake them."""


class OverError(BaseException):
    """Ends the threads of a test that is over."""


class Turns:
    """One thread runs at a time; ``choose`` says who is next of those that do not wait, each time one comes to a lock.

    A wait ends by a notification alone, never by its timeout: what is not notified would hang.
    """

    def __init__(self, choose: Callable[[Sequence[int]], int]) -> None:
        self._choose = choose
        self._ready: set[int] = set()
        self._waiting: set[int] = set()
        self._wakes: list[threading.Semaphore] = []
        self._stage = threading.Semaphore(0)
        self._current = -1
        self._over = False
        self._errors: list[BaseException] = []

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Do all ``works``, each in its thread. Raises what one of them raised, and StuckError where nobody goes on."""
        self._wakes = [threading.Semaphore(0) for _ in works]
        self._ready = set(range(len(works)))
        threads = [threading.Thread(target=self._body, args=(at, work), daemon=True) for at, work in enumerate(works)]
        for thread in threads:
            thread.start()
        try:
            while self._ready and not self._errors:
                self._turn(self._choose(sorted(self._ready)))
        finally:  # whoever chooses may have had enough: its threads would wait for ever
            stuck, self._over = sorted(self._waiting), True
            for at in sorted(self._ready | self._waiting):
                self._turn(at)
            for thread in threads:
                thread.join(PATIENCE_S)
        if self._errors:
            raise self._errors[0]
        if stuck:
            raise StuckError(f"threads {stuck} wait, and nobody wakes them")

    def switch(self) -> None:
        """Let anybody go on from here."""
        mine = self._current
        self._stage.release()
        self._wakes[mine].acquire()
        if self._over:
            raise OverError

    def sleep(self) -> None:
        """Go on only after a notification."""
        self._ready.discard(self._current)
        self._waiting.add(self._current)
        self.switch()

    def wake(self, count: int) -> None:
        """Notify ``count`` of those that wait."""
        woken = set(sorted(self._waiting)[:count])
        self._waiting -= woken
        self._ready |= woken

    def _turn(self, which: int) -> None:
        self._current = which
        self._wakes[which].release()
        assert self._stage.acquire(timeout=PATIENCE_S), "a thread holds on to its turn"

    def _body(self, which: int, work: Callable[[], None]) -> None:
        self._wakes[which].acquire()
        try:
            if not self._over:
                work()
        except OverError:
            pass
        except BaseException as error:  # noqa: BLE001  it is raised again where the test can see it
            self._errors.append(error)
        self._ready.discard(which)
        self._waiting.discard(which)
        self._stage.release()


class Condition:
    """Stands in for :class:`threading.Condition` among threads that take turns."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._held = False

    def __enter__(self) -> None:
        self._turns.switch()
        self._hold()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held = False

    def wait(self, timeout: float | None = None) -> None:  # noqa: ARG002
        self._held = False
        self._turns.sleep()
        self._hold()

    def notify(self, n: int = 1) -> None:
        self._turns.wake(n)

    def notify_all(self) -> None:
        self._turns.wake(1 << 30)

    def _hold(self) -> None:
        while self._held:
            self._turns.switch()
        self._held = True
