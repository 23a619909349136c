"""A terminal that goes away, and signals that come when a rollout has ended."""

from __future__ import annotations

import os
import signal

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
