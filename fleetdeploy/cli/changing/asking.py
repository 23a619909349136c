"""Questions to the person at the terminal. Without a terminal nobody is asked, and nothing is taken for a yes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from fleetdeploy.errors import Held

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
        """``--step``: yes, no (which ends the rollout), or on to the end without asking again, as in Ansible."""
        answer = "y" if self._to_the_end else self._answer(f"{what}. Go on? (N)o/(y)es/(c)ontinue: ")
        self._to_the_end = self._to_the_end or answer in GO_ON
        return answer in YES | GO_ON

    def prompt(self, text: str) -> bool:
        """A ``pause`` with a prompt. Raises Held where nobody can answer and nobody has agreed beforehand."""
        self.check_can_answer(text)
        return self._agreed or self._answer(f"{text} [y/N] ") in YES

    def _answer(self, question: str) -> str:
        with self.meanwhile():
            sys.stderr.write(question)
            sys.stderr.flush()
            return sys.stdin.readline().strip().lower()
