"""Ends a lab when its owner ends: ``python -m fleetdeploy.lab.watcher NAME STATE_HOME CACHE_HOME PID STARTED``.

A test run or demo that is killed outright cannot clean up after itself; this process, started before anything else of
the lab, does it instead.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.processes import ProcessId


def wait_for_end(owner: ProcessId) -> None:
    """Return when the process has ended; that it has is announced by the kernel, not polled for."""
    try:
        handle = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return
    try:
        if owner.alive():
            select.select([handle], [], [])
    finally:
        os.close(handle)


def main(name: str, state_home: str, cache_home: str, pid: str, started: str) -> None:
    """Wait for the owner's end, then remove the lab."""
    wait_for_end(ProcessId(int(pid), int(started)))
    Lab(name, state_home=Path(state_home), cache_home=Path(cache_home)).down()


if __name__ == "__main__":
    main(*sys.argv[1:])
