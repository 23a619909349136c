"""What tests of programs share: to see that every process of a group has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetdeploy.lab.waiting import wait_until

DEADLINE_S = 30.0
"""A signal is delivered when its process gets a turn, which may take a while on a busy machine."""
PATIENCE_S = (0.5, 5.0, 50.0)


@pytest.fixture
def await_end() -> Callable[[Path], None]:
    """Waits until none of the processes whose ids stand in a file runs any more; fails at the deadline."""

    def wait(pids: Path) -> None:
        for pid in pids.read_text().split():
            wait_until(lambda pid=pid: not _runs(pid), f"process {pid} ends", deadline_s=DEADLINE_S)

    return wait


@pytest.fixture
def patience() -> Callable[[Path], Iterator[float]]:
    """Deadlines for a program that writes a file and then hangs: longer ones until it was quick enough to write it."""

    def deadlines_s(written: Path) -> Iterator[float]:
        for deadline_s in PATIENCE_S:
            yield deadline_s
            if written.exists() and written.read_text():
                return

    return deadlines_s


def _runs(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # The child of a killed shell stays a zombie until its new parent collects it.
    return state not in "ZX"
