"""Questions to the person at the terminal. Without a terminal nobody is asked, and nothing is taken for a yes."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from fleetdeploy.errors import Held, Interrupted
from fleetdeploy.rollout.interrupt import check_all

_LOOK_S = 0.2
"""How often it is asked whether the run is to end: a person who presses Ctrl-C does not notice the wait."""

YES = frozenset({"y", "yes"})
GO_ON = frozenset({"c", "continue"})


class Asking:
    """Whoever asks sees to it that one question is asked at a time. ``agreed``: the command line has said yes.

    ``meanwhile`` is entered while a question is asked and answered: whoever draws on the terminal is to wait.
    """

    def __init__(self, *, agreed: bool) -> None:
        self.meanwhile: Callable[[], AbstractContextManager[object]] = nullcontext
        self._agreed = agreed
        self._to_the_end = False

    def check_somebody_is_here(self, why: str) -> None:
        """Raises Held without a terminal."""
        if not sys.stdin.isatty():
            raise Held(f"{why}, and nobody is here to answer", hint="run it at a terminal; nothing was touched")

    def check_can_answer(self, text: str) -> None:
        """Raises Held where a pause would ask and nobody can answer, nor has agreed beforehand."""
        if not self._agreed:
            self.check_somebody_is_here(f"a pause asks {text!r}")

    def before_wave(self, what: str) -> bool:
        """``--step``: yes, no (which ends the rollout), or on to the end without asking again, as in Ansible. A signal
        in place of an answer is a no: nothing has failed, and no host is at work that would have to hear more of it.
        """
        try:
            answer = "y" if self._to_the_end else self._answer(f"{what}. Go on? (N)o/(y)es/(c)ontinue: ")
        except Interrupted:
            return False
        self._to_the_end = self._to_the_end or answer in GO_ON
        return answer in YES | GO_ON

    def prompt(self, text: str) -> bool:
        """A ``pause`` with a prompt. Raises Held where nobody can answer and nobody has agreed beforehand, and
        Interrupted.
        """
        self.check_can_answer(text)
        return self._agreed or self._answer(f"{text} [y/N] ") in YES

    def _answer(self, question: str) -> str:
        check_all()  # of the hosts of a wave the next one asks where the last one was interrupted
        with self.meanwhile():
            return answered(question)


def answered(question: str) -> str:
    """What a person answers, in small letters; empty where nobody is there any longer. Raises Interrupted once a signal
    has come: reading a line goes on over one, and the threads that work on hosts hear of none.
    """
    sys.stderr.write(question)
    sys.stderr.flush()
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return sys.stdin.readline().strip().lower()  # it is no file, and has what it has
    return _line(descriptor).decode(errors="replace").strip().lower()


def _line(descriptor: int) -> bytes:
    """Up to the end of the line and not a byte further: what is behind it answers the next question, or is the
    shell's. Python's own buffer would take it, and tell nobody who waits for the descriptor.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        check_all()
        if not select.select([descriptor], [], [], _LOOK_S)[0]:
            continue
        try:
            byte = os.read(descriptor, 1)
        except OSError:
            return b""  # the terminal has gone away: who was at it has not agreed
        if not byte:
            break
        line += byte
    return bytes(line)
