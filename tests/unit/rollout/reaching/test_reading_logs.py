"""Logs of many hosts as one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import pytest

from fleetdeploy.domain.reaching import LogLine
from fleetdeploy.errors import HostKeyRefused
from fleetdeploy.rollout.reaching import reading_logs
from fleetdeploy.rollout.reaching.reading_logs import AHEAD, Item, Logs, Said, Source, Told, Wanted

from .hosts import PATIENCE_S, FakeHost, FakeReach, Log, host, lost, stamp


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for between two tries is for real hosts."""
    monkeypatch.setattr(reading_logs, "_FIRST_S", 0.001)
    monkeypatch.setattr(reading_logs, "_LONGEST_S", 0.001)


@contextmanager
def reading(*hosts: FakeHost, **wanted: Any) -> Iterator[Iterator[Item]]:
    sources = [Source(host(item.name), "ranking", "fleetdeploy-ranking") for item in hosts]
    logs = Logs(FakeReach(*hosts), sources, Wanted(**wanted))
    try:
        yield logs.read()
    finally:
        logs.close()


def texts(items: list[Item]) -> list[str]:
    return [item.line.text if isinstance(item, Said) else f"# {item.text}" for item in items]


def read(*hosts: FakeHost, **wanted: Any) -> list[str]:
    with reading(*hosts, **wanted) as items:
        return texts(list(items))


def until(items: Iterator[Item], text: str) -> list[str]:
    """What comes up to the line that reads ``text``."""
    return texts(list(takewhile(lambda item: not isinstance(item, Said) or item.line.text != text, items)))


def test_lines_of_all_hosts_come_in_order_of_time() -> None:
    """Whichever host answers first."""
    one, two = FakeHost("gpu1", Log("a")), FakeHost("gpu2", Log("b"))
    for second, item in ((1, one), (2, two), (3, two), (4, one)):
        item.log_.write(second, f"line {second}")  # type: ignore[union-attr]
    assert read(one, two) == ["line 1", "line 2", "line 3", "line 4"]


def test_a_log_that_cannot_be_read_is_told_and_the_others_are_shown() -> None:
    """With the exit code of why."""
    one, two = FakeHost("gpu1", Log("a", [LogLine(stamp(1), "here")])), FakeHost("gpu2", trouble=[lost("gpu2")])
    with reading(one, two) as items:
        told, said = items
    assert isinstance(told, Told)
    assert (told.source.host.name, told.text, told.hint, told.exit_code) == ("gpu2", "no answer", "is it on?", 4)
    assert texts([said]) == ["here"]


def test_a_host_without_the_container_is_no_failure() -> None:
    """It has no log."""
    with reading(FakeHost("gpu1")) as items:
        (told,) = items
    assert isinstance(told, Told)
    assert (told.text, told.exit_code) == ("there is no container fleetdeploy-ranking", 0)


def test_only_wanted_lines_are_shown() -> None:
    """And following goes on behind those that are not."""
    one = FakeHost("gpu1", Log("a", [LogLine(stamp(1), "E1"), LogLine(stamp(2), "I2")]))
    one.log_.grows = [[LogLine(stamp(3), "I3"), LogLine(stamp(4), "E4")]]  # type: ignore[union-attr]
    with reading(one, follow=True, wants=lambda text: text.startswith("E")) as items:
        assert texts([next(items), next(items)]) == ["E1", "E4"]
    assert one.asked[:2] == [("a", False, None, ""), ("a", True, None, stamp(2))]


def test_following_repeats_nothing_and_leaves_nothing_out() -> None:
    """Docker gives the lines of the time that it is asked from once more; several may have that time."""
    one = FakeHost("gpu1", Log("a", [LogLine(stamp(1), "1"), LogLine(stamp(2), "2a"), LogLine(stamp(2), "2b")]))
    one.log_.grows = [[LogLine(stamp(2), "2c")], [LogLine(stamp(3), "end")]]  # type: ignore[union-attr]
    with reading(one, follow=True) as items:
        assert until(items, "end") == ["1", "2a", "2b", "2c"]


def test_a_lost_host_is_told_once_and_read_on_when_it_is_back() -> None:
    """From the very line where it was lost."""
    one = FakeHost("gpu1", Log("a", [LogLine(stamp(1), "1")]), trouble=[None, None, lost("x"), lost("x"), lost("x")])
    one.log_.grows = [[LogLine(stamp(2), "2")]]  # type: ignore[union-attr]
    seen = threading.Event()

    def idle() -> None:
        if not one.trouble and not seen.is_set():
            seen.set()
            one.log_.grows = [[LogLine(stamp(3), "end")]]  # type: ignore[union-attr]

    one.idle = idle
    with reading(one, follow=True) as items:
        assert until(items, "end") == ["1", "2", "# no answer; it is tried again", "# can be read again"]


def test_a_container_that_takes_the_place_of_another_is_followed_from_its_first_line() -> None:
    """Though its lines may be older than the last one of the container before."""
    one = FakeHost("gpu1", Log("a" * 64, [LogLine(stamp(5), "old")]))

    def idle() -> None:
        if one.log_ is None:
            one.log_ = Log("b" * 64, [LogLine(stamp(4), "new")], [[LogLine(stamp(6), "end")]])
        elif one.log_.id[0] == "a":
            one.log_ = None

    one.idle = idle
    with reading(one, follow=True) as items:
        assert until(items, "end") == [
            "old",
            "# there is no container fleetdeploy-ranking",
            "# another container took its place: bbbbbbbbbbbb for aaaaaaaaaaaa",
            "new",
        ]


def test_of_a_host_that_was_lost_from_the_beginning_only_the_wanted_lines_are_read() -> None:
    """A log of days would otherwise come when it is back."""
    log = Log("a", [LogLine(stamp(1), "1"), LogLine(stamp(2), "2")], [[LogLine(stamp(3), "end")]])
    one = FakeHost("gpu1", log, trouble=[lost("gpu1")])
    with reading(one, follow=True, tail=1) as items:
        assert until(items, "end") == ["# no answer; it is tried again", "# can be read again", "2"]


def test_nothing_of_the_past_is_shown_where_nothing_is_wanted_of_it() -> None:
    """Yet what comes is shown from the first line on."""
    one = FakeHost("gpu1", Log("a", [LogLine(stamp(1), "1")], [[LogLine(stamp(2), "2"), LogLine(stamp(3), "end")]]))
    with reading(one, follow=True, tail=0) as items:
        assert until(items, "end") == ["2"]


def test_a_host_with_another_key_is_not_tried_again() -> None:
    """It may be somebody else's; the others are followed on."""
    one = FakeHost("gpu1", trouble=[HostKeyRefused("its key has changed", where="gpu1")])
    with reading(one, follow=True) as items:
        assert texts(list(items)) == ["# its key has changed"]


def test_nothing_is_read_ahead_of_a_slow_reader_without_bound() -> None:
    """A log that never ends waits for its reader, and holds up nobody else's end."""
    given, enough = [0], threading.Event()

    def endless() -> Iterator[LogLine]:
        while True:
            given[0] += 1
            if given[0] == AHEAD + 1:
                enough.set()
            yield LogLine(stamp(1), "x")

    one = FakeHost("gpu1", Log("a"))
    one.log = lambda *_args, **_wanted: endless()  # type: ignore[method-assign]
    with reading(one) as items:
        next(items)
        assert enough.wait(PATIENCE_S)
        # One that was taken, those in the queue, and one in the thread's hands.
        assert given[0] <= AHEAD + 2
        for _ in range(10):
            next(items)
        assert given[0] <= AHEAD + 12
