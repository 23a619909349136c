"""Work on many hosts at a time: order, limits, errors, and the one error that waits for nobody."""

from __future__ import annotations

import threading

import pytest

from fleetdeploy.errors import InputError, LockHeld
from fleetdeploy.rollout.side_by_side import side_by_side

DEADLINE_S = 20.0


def test_results_come_in_the_order_of_what_was_asked() -> None:
    """Whoever is done first, each result stands where its item stood."""
    first_may_end = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert first_may_end.wait(DEADLINE_S)
        else:
            first_may_end.set()
        return item * 2

    assert side_by_side(work, [0, 1, 2, 3], forks=2) == [0, 2, 4, 6]
    assert side_by_side(work, [], forks=2) == []


@pytest.mark.parametrize("forks", [1, 3])
def test_no_more_than_forks_are_worked_on(forks: int) -> None:
    """As many items as there are forks are in work together, and never one more."""
    at_work, most = 0, 0
    lock, together = threading.Lock(), threading.Barrier(forks, timeout=DEADLINE_S)

    def work(_: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        together.wait()
        with lock:
            at_work -= 1
        together.wait()

    side_by_side(work, range(3 * forks), forks=forks)
    assert most == forks


def test_an_error_is_raised_once_all_have_ended() -> None:
    """The first item's error is the one that is raised, and no work is left half-done behind it."""
    done: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise InputError("no")
        done.append(item)

    with pytest.raises(InputError):
        side_by_side(work, [0, 1, 2, 3], forks=2)
    assert sorted(done) == [1, 2, 3]


def test_an_error_that_is_not_kept_waiting_ends_it_at_once() -> None:
    """It is raised while another item is still worked on, and what nobody has begun is never begun."""
    begun: list[int] = []
    going_on, may_end = threading.Event(), threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            going_on.set()
            may_end.wait(DEADLINE_S)
        elif item == 1:
            assert going_on.wait(DEADLINE_S)
            raise LockHeld("another run works there")

    try:
        with pytest.raises(LockHeld):
            side_by_side(work, range(100), forks=2, at_once=LockHeld)
        assert not may_end.is_set()
        assert len(begun) < 100
    finally:
        may_end.set()
