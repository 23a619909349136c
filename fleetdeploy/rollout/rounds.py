"""The same questions again and again, side by side; who is slow to answer keeps nobody else waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from fleetdeploy.domain.protocols import Clock

Name = TypeVar("Name", bound=Hashable)
Answer = TypeVar("Answer")

_AWAKE_S = 0.2
"""As in :mod:`fleetdeploy.rollout.side_by_side`: a signal does not wake a thread that waits on a lock."""


class Rounds(Generic[Name, Answer]):
    """``questions`` by name; each is asked once a round, on one of at most ``forks`` threads of that round; what
    it raises ends the round. ``is_good`` tells an answer from one that says that there was none.

    A question whose answer is still on its way is not asked again: the round in which it arrives has it. Threads are
    left behind, so a question must change nothing.
    """

    def __init__(
        self,
        questions: Mapping[Name, Callable[[], Answer]],
        clock: Clock,
        *,
        forks: int,
        is_good: Callable[[Answer], bool],
    ) -> None:
        self._questions = dict(questions)
        self._clock = clock
        self._forks = forks
        self._is_good = is_good
        self._changed = threading.Condition()
        self._asking: set[Name] = set()
        self._fresh: dict[Name, Answer] = {}
        self._broken: BaseException | None = None
        self._good = set(questions)
        """Those whose last answer was good; before the first round, all."""
        self.last: dict[Name, Answer] = {}
        """The last answer to each question, of whichever round."""

    def ask(
        self,
        *,
        patience_s: float,
        over: Callable[[], bool],
        progress: Callable[[int], None] = lambda _: None,
    ) -> dict[Name, Answer]:
        """One round: the answers that came in it. ``progress`` is told how many those are, a few times a second.

        Those that gave a good answer last time are waited for as long as any answer comes within ``patience_s`` of the
        one before; all others no longer than ``patience_s`` from the start. The round ends at once when it is ``over``.
        """
        with self._changed:
            waiting = [name for name in self._questions if name not in self._asking]
            turns = deque(sorted(waiting, key=lambda name: name not in self._good))
            expected = set(self._good)
            self._fresh = {}
            fresh = self._fresh
        for _ in range(min(self._forks, len(turns))):
            threading.Thread(target=self._in_turn, args=(turns,), daemon=True).start()
        begun = moved = self._clock.monotonic_s()
        count = 0
        with self._changed:
            while len(fresh) < len(self._questions) and not over():
                if self._broken is not None:
                    raise self._broken
                now = self._clock.monotonic_s()
                if len(fresh) > count:
                    count, moved = len(fresh), now
                    progress(count)
                if now - begun >= patience_s and (expected <= fresh.keys() or now - moved >= patience_s):
                    break
                self._changed.wait(timeout=_AWAKE_S)
            turns.clear()
            answers = dict(fresh)
            self._good = {name for name, answer in answers.items() if self._is_good(answer)}
        self.last |= answers
        return answers

    def _in_turn(self, turns: deque[Name]) -> None:
        while True:
            with self._changed:
                if not turns:
                    return
                name = turns.popleft()
                self._asking.add(name)
            try:
                answer = self._questions[name]()
                with self._changed:
                    self._fresh[name] = answer
            except BaseException as error:  # noqa: BLE001  for the thread that waits
                self._broken = error
            finally:
                with self._changed:
                    self._asking.discard(name)
                    self._changed.notify_all()
