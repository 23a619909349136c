"""Signals: the first one asks the rollout to stop at the next safe point, the second one ends the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from fleetdeploy.errors import Interrupted


class Interrupts:
    """While entered, SIGINT and SIGTERM set ``requested`` instead of raising somewhere in the middle of a step.

    SIGHUP, a terminal that went away, counts as SIGTERM, unless the command was started to outlive its terminal.
    ``tell`` is called once with the signal's name, from the main thread; ``last_words`` are what the second one leaves
    on stderr.
    """

    def __init__(self, tell: Callable[[str], None], *, last_words: str = "") -> None:
        self.requested = 0
        self._name = ""
        self._tell = tell
        self._last_words = last_words
        self._previous: dict[int, object] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup
            self._previous[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def over(self, last_words: str) -> None:
        """The rollout has ended, and how is told soon: a signal asks for nothing more. One that comes twice from now on
        leaves ``last_words``, which say the same.
        """
        self.requested = 0
        self._tell = lambda _: None
        self._last_words = last_words

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            number = signal.SIGTERM
        if self.requested:
            # The journal has every step that was begun; it is written and synced before each act. Not through a
            # console: it may be in the middle of a line, and hold a lock.
            try:
                os.write(2, self._last_words.encode(errors="replace"))
            finally:
                os._exit(128 + number)
        self.requested, self._name = number, name
        with suppress(OSError):  # nobody may be reading any longer
            self._tell(name)

    def check(self) -> None:
        """Raise Interrupted when a signal has arrived."""
        if self.requested:
            name = self._name or signal.Signals(self.requested).name
            raise Interrupted(f"stopped by {name}", signal_number=self.requested, hint="run the same command again")
