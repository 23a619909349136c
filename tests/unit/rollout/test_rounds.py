"""The same questions round after round: who is slow keeps nobody else waiting, and nothing is asked twice at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from fleetdeploy.rollout.rounds import Rounds

DEADLINE_S = 20.0


class Ticking:
    """A clock that moves on by itself with every look at it."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self.time_s = 0.0

    def monotonic_s(self) -> float:
        self.time_s += self.step_s
        return self.time_s

    def now_s(self) -> float:
        return self.time_s

    def wait(self, seconds: float) -> None:
        self.time_s += seconds


def never() -> bool:
    return False


def rounds(questions: dict[str, Callable[[], str]], clock: Ticking, *, forks: int = 2) -> Rounds[str, str]:
    return Rounds(questions, clock, forks=forks, is_good=lambda answer: answer != "lost")


def test_a_round_has_every_answer() -> None:
    """Where all answer, a round ends with all of them, and so does the next."""
    asked = rounds({name: lambda name=name: name * 2 for name in "abc"}, Ticking())  # type: ignore[misc]
    for _ in range(2):
        assert asked.ask(patience_s=5, over=never) == {"a": "aa", "b": "bb", "c": "cc"}


def test_who_does_not_answer_delays_nobody_and_is_not_asked_again() -> None:
    """A round ends without the one that hangs, which is asked once until its answer comes, in the round it comes in."""
    free = threading.Event()
    count = 0

    def hangs() -> str:
        nonlocal count
        count += 1
        assert free.wait(DEADLINE_S)
        return "late"

    asked = rounds({"slow": hangs, "well": lambda: "here"}, Ticking(step_s=1))
    for _ in range(3):
        assert asked.ask(patience_s=3, over=never) == {"well": "here"}
    assert count == 1
    free.set()
    seen = dict[str, str]()
    while "slow" not in seen:
        seen = asked.ask(patience_s=3, over=never)
    assert seen == {"slow": "late", "well": "here"}


def test_who_answered_last_time_is_asked_first() -> None:
    """Behind many that are lost, those that are well are not waited for in vain."""
    order: list[str] = []

    def question(name: str, answer: str) -> Callable[[], str]:
        def ask() -> str:
            order.append(name)
            return answer

        return ask

    names = {"l1": "lost", "l2": "lost", "w1": "well", "w2": "well"}
    asked = rounds({name: question(name, answer) for name, answer in names.items()}, Ticking(), forks=1)
    asked.ask(patience_s=5, over=never)
    asked.ask(patience_s=5, over=never)
    assert order == ["l1", "l2", "w1", "w2", "w1", "w2", "l1", "l2"]


def test_the_first_round_waits_as_long_as_answers_come() -> None:
    """Patience counts from the last answer while those that are expected are still coming in."""
    clock = Ticking()
    seen = threading.Semaphore()

    def takes_three() -> str:
        assert seen.acquire(timeout=DEADLINE_S)
        clock.time_s += 3
        return "here"

    asked = rounds(dict.fromkeys("abcdef", takes_three), clock, forks=1)
    assert len(asked.ask(patience_s=4, over=never, progress=lambda _: seen.release())) == 6


def test_a_round_that_is_over_ends_at_once() -> None:
    """A signal ends a round, whoever has not answered."""
    free = threading.Event()
    asked = rounds({"slow": lambda: str(free.wait(DEADLINE_S))}, Ticking())
    assert asked.ask(patience_s=1000, over=lambda: True) == {}
    free.set()


def test_a_bug_in_a_question_is_raised() -> None:
    """What a question raises is not kept silent."""

    def broken() -> str:
        raise KeyError("bug")

    with pytest.raises(KeyError, match="bug"):
        rounds({"a": broken}, Ticking()).ask(patience_s=5, over=never)
