"""A terminal that goes away, and signals that come when a rollout has ended."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from fleetdeploy.errors import Interrupted
from fleetdeploy.rollout.interrupt import Interrupts


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.getsignal(number)  # by now Python has run its handler


def test_a_terminal_that_goes_away_stops_the_run_as_sigterm_does() -> None:
    """SIGHUP asks for the next safe point under its own name, and the run ends with SIGTERM's exit code."""
    told, before = list[str](), signal.getsignal(signal.SIGHUP)
    interrupts = Interrupts(told.append)
    with interrupts:
        send(signal.SIGHUP)
    assert told == ["SIGHUP"]
    assert signal.getsignal(signal.SIGHUP) is before
    with pytest.raises(Interrupted, match="stopped by SIGHUP") as caught:
        interrupts.check()
    assert caught.value.exit_code == 143


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes that the process would have ended with at once."""
    found = list[int]()
    monkeypatch.setattr(os, "_exit", found.append)
    monkeypatch.setattr(os, "write", lambda *_: None)
    return found


@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_hangup_is_never_the_second_signal(ended: list[int], first: signal.Signals) -> None:
    """A shell and the kernel send one each when a terminal goes away, and no person has asked to stop now."""
    told = list[str]()
    interrupts = Interrupts(told.append)
    with interrupts:
        for number in (first, signal.SIGHUP, signal.SIGHUP):
            send(number)
    assert ended == []
    assert told == [first.name]
    assert interrupts.requested == (signal.SIGTERM if first is signal.SIGHUP else first)


@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_second_wish_ends_the_run_at_once(ended: list[int], first: signal.Signals, again: signal.Signals) -> None:
    """Ctrl-C or kill, in any order; a service manager may send SIGHUP beside SIGTERM for one wish."""
    with Interrupts(lambda _: None):
        for number in (signal.SIGHUP, first, signal.SIGHUP):
            send(number)
        assert ended == []
        send(again)
    assert ended == [128 + again]


def test_a_hangup_that_comes_twice_stops_a_reading_once(ended: list[int]) -> None:
    """While models are read the first one raises; the second does not raise once more into what is closed then."""
    interrupts = Interrupts(lambda _: None)
    done = list[str]()

    def read() -> None:
        try:
            send(signal.SIGHUP)
        finally:
            send(signal.SIGHUP)
            done.append("closed")

    with interrupts, pytest.raises(Interrupted), interrupts.at_once():
        read()
    assert (done, ended) == (["closed"], [])


def test_nohup_is_heeded() -> None:
    """A run that was started to outlive its terminal does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts(lambda _: None) as _:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_when_all_is_over_a_signal_says_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first signal behind the end asks for nothing and is told as nothing; the second leaves the true last line."""
    told, written, ended = list[str](), list[bytes](), list[int]()
    monkeypatch.setattr(os, "write", lambda _, text: written.append(text))
    monkeypatch.setattr(os, "_exit", ended.append)
    with Interrupts(told.append, last_words="STOPPED at once") as _:
        pass
    interrupts = Interrupts(told.append, last_words="STOPPED at once")
    with interrupts:
        send(signal.SIGINT)
        interrupts.over("OK: 2 of 2 hosts changed")
        send(signal.SIGINT)
        assert ended == []
        send(signal.SIGINT)
    assert told == ["SIGINT"]
    assert (written, ended) == ([b"OK: 2 of 2 hosts changed"], [130])


def test_where_nothing_is_at_stake_a_signal_ends_the_command_where_it_is() -> None:
    """The first one raises within the block and is told by that alone; behind it the next safe point is waited for."""
    told = list[str]()
    interrupts = Interrupts(told.append)
    with interrupts:
        with (  # noqa: PT012  that the block is left at its first line is what is tested
            pytest.raises(Interrupted, match="stopped by SIGTERM") as caught,
            interrupts.at_once(),
        ):
            send(signal.SIGTERM)
            pytest.fail("it goes on")
        assert caught.value.exit_code == 143
        assert told == []
    later = Interrupts(told.append)
    with later:
        with later.at_once():
            pass
        send(signal.SIGINT)
    assert told == ["SIGINT"]


def test_a_signal_that_was_taken_for_an_error_of_something_else_still_counts() -> None:
    """Whoever goes on after any error ends at the end of the block, and one that came before it does not enter it."""
    interrupts = Interrupts(lambda _: None)
    with interrupts:
        with pytest.raises(Interrupted), interrupts.at_once(), suppress(Exception):
            send(signal.SIGINT)
        with pytest.raises(Interrupted), interrupts.at_once():
            pytest.fail("it is entered")
