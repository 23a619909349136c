"""paramiko's waits, while somebody sets the clock."""

from __future__ import annotations

import itertools
import time

import pytest
from paramiko.buffered_pipe import BufferedPipe

from fleetdeploy.remote.ssh import waits


def test_a_clock_that_is_set_ends_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes in time is taken, whatever the wall clock has done meanwhile."""
    for module in waits._WAITING:
        monkeypatch.setattr(module, "time", time)
    days = itertools.count(0, 86400)
    monkeypatch.setattr(time, "time", lambda: next(days))
    waits.wait_by_monotonic_clock()
    pipe = BufferedPipe()
    monkeypatch.setattr(pipe._cv, "wait", lambda _timeout: pipe._buffer_frombytes(b"answer"))
    assert pipe.read(100, timeout=30) == b"answer"
