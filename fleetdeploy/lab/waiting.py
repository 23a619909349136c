"""Waiting for a condition: poll it until it holds, with a deadline. The lab sleeps nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fleetdeploy.errors import LabError

Answer = TypeVar("Answer")


def wait_until(
    check: Callable[[], Answer | None],
    what: str,
    *,
    deadline_s: float,
    interval_s: float = 0.02,
    on_timeout: Callable[[], str] | None = None,
) -> Answer:
    """Call ``check`` until it returns something true, and return that.

    :param what: names the condition in the error, as in "gpu1: sshd answers".
    :param on_timeout: gives the detail of the error, such as the end of a log.
    :raises LabError: the condition did not hold within ``deadline_s``.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            detail = on_timeout() if on_timeout else ""
            raise LabError(f"not within {deadline_s:g} s: {what}", detail=detail)
        time.sleep(interval_s)
