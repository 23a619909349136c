"""Signals: the first one asks the rollout to stop at the next safe point, the second of its kind ends the process."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from fleetdeploy.errors import Interrupted


def end_at_second() -> None:
    """From now on the first Ctrl-C raises KeyboardInterrupt, and a second one ends the process without a word: whoever
    waits for connections to close need not. A process that was started to ignore it goes on doing so.
    """

    def first(number: int, _frame: FrameType | None) -> None:
        end_with(128 + number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, first)
        # Python ends with the signal's own doing, and a process that has its exit code would end by the signal.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def end_with(code: int) -> None:
    """From now on Ctrl-C ends the process with this exit code, without a word."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """While entered, SIGTERM and SIGHUP raise KeyboardInterrupt, as SIGINT does, in place of ending the process: its
    exit code is known by now.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    previous = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


_answering: list[Interrupts] = []
"""Those that are entered. Signals come to the process, so that whoever waits anywhere in it may ask."""


def check_all() -> None:
    """Raise Interrupted when a signal has arrived at an :class:`Interrupts` that is entered."""
    for interrupts in tuple(_answering):
        interrupts.check()


class Interrupts:
    """While entered, SIGINT and SIGTERM set ``requested`` instead of raising somewhere in the middle of a step.

    SIGHUP, a terminal that went away, asks for the same as SIGTERM, unless the command was started to outlive its
    terminal. A shell and the kernel send one each, and a service manager one beside its SIGTERM: only the second of
    SIGINT and SIGTERM is somebody's wish to end the process at once. ``tell`` is called with the signal's name, from
    the main thread, when one asks for the first time; ``last_words`` are what ending at once leaves on stderr, and may
    be others later on.
    """

    def __init__(self, tell: Callable[[str], None], *, last_words: str = "") -> None:
        self.requested = 0
        self.last_words = last_words
        self._name = ""
        self._tell = tell
        self._at_once = False
        self._asked = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup
            self._previous[number] = signal.signal(number, self._handle)
        _answering.append(self)

    def __exit__(self, *_: object) -> None:
        _answering.remove(self)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While entered, the first signal raises Interrupted wherever the main thread is: that may be in the middle of
        gigabytes, and nothing is at stake.
        """
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False
        self.check()  # something may have taken it for an error of its own

    def over(self, last_words: str) -> None:
        """The rollout has ended, and how is told soon: a signal asks for nothing more. One that comes twice from now on
        leaves ``last_words``, which say the same.
        """
        self.requested = 0
        self._asked = False
        self._tell = lambda _: None
        self.last_words = last_words

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        first = not self.requested
        if number == signal.SIGHUP:
            if not first:
                return
            number = signal.SIGTERM
        elif self._asked:
            # The journal has every step that was begun; it is written and synced before each act. Not through a
            # console: it may be in the middle of a line, and hold a lock.
            try:
                os.write(2, self.last_words.encode(errors="replace"))
            finally:
                os._exit(128 + number)
        else:
            self._asked = True
        if first:
            self.requested, self._name = number, name
            if self._at_once:
                self.check()
        with suppress(OSError):  # nobody may be reading any longer
            self._tell(name)

    def check(self) -> None:
        """Raise Interrupted when a signal has arrived."""
        if self.requested:
            name = self._name or signal.Signals(self.requested).name
            raise Interrupted(f"stopped by {name}", signal_number=self.requested, hint="run the same command again")
