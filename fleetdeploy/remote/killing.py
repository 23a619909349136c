"""How a process of our own, and all that it started, ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

GONE_S = 5.0


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the group that ``process`` leads and wait until the process is gone, but not for ever: one that a dead disk
    holds heeds no signal.
    """
    with suppress(ProcessLookupError, PermissionError):  # nothing is left
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GONE_S)
