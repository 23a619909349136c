"""What the hosts of a run share: tasks that one of them does for all, and the answers of a person."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fleetdeploy.rollout.work import Call


class Agreements:
    """Thread-safe. Calls are told apart as the objects they are, which live as long as the run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed: set[int] = set()
        self._answers: dict[tuple[int, str], bool] = {}

    def claim(self, call: Call) -> bool:
        """True for the first host that asks, in the whole run."""
        with self._lock:
            first = id(call) not in self._claimed
            self._claimed.add(id(call))
            return first

    def answer(self, call: Call, text: str, ask: Callable[[str], bool]) -> bool:
        """The answer to a question; the hosts of one wave share it, and wait for it."""
        with self._lock:
            key = (id(call), text)
            if key not in self._answers:
                self._answers[key] = ask(text)
            return self._answers[key]

    def forget_answers(self) -> None:
        """The next wave is asked for anew."""
        with self._lock:
            self._answers.clear()
