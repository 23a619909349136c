"""What tests can set for which the real server has no flag: environment variables named `STANDIN_...`."""

import math
import os
from dataclasses import dataclass
from typing import Final

from fleetdeploy.lab.modelserver import VERSION
from fleetdeploy.lab.modelserver.status import Code, StatusError

_LONGEST_S: Final = 10**9
"""A sleep cannot be much longer."""


@dataclass(frozen=True)
class Environment:
    """The process's `STANDIN_...` variables; one that is empty is one that is not set."""

    build: str
    """STANDIN_BUILD: shown by --version, so that two images can be told apart."""
    tick_s: float
    """STANDIN_TICK_S: time between two decisions to load or unload."""
    scan_interval_s: float | None
    """STANDIN_SCAN_S: instead of --file_system_poll_wait_seconds, which takes whole seconds only."""
    config_poll_s: float | None
    """STANDIN_CONFIG_POLL_S: instead of --model_config_file_poll_wait_seconds, which takes whole seconds only."""
    faults_file: str | None
    """STANDIN_FAULTS: a file of faults to inject, see `faults.board`."""
    memory_budget_bytes: int | None
    """STANDIN_MEMORY_BUDGET_BYTES: what all versions in memory may take together; the faults file may say otherwise."""

    @staticmethod
    def read() -> "Environment":
        """Read the process's environment. Raises INVALID_ARGUMENT with the name of a variable that is not valid."""
        tick_s = _seconds("STANDIN_TICK_S")
        if tick_s == 0:
            raise _refused("STANDIN_TICK_S", "is more than 0 seconds")
        return Environment(
            build=os.environ.get("STANDIN_BUILD") or VERSION,
            tick_s=0.1 if tick_s is None else tick_s,
            scan_interval_s=_seconds("STANDIN_SCAN_S"),
            config_poll_s=_seconds("STANDIN_CONFIG_POLL_S"),
            faults_file=os.environ.get("STANDIN_FAULTS") or None,
            memory_budget_bytes=_bytes("STANDIN_MEMORY_BUDGET_BYTES"),
        )


def _seconds(variable: str) -> float | None:
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as problem:
        raise _refused(variable, "is a number of seconds") from problem
    if not math.isfinite(value) or value < 0:
        raise _refused(variable, "is a number of seconds, 0 or more and not infinite")
    if value > _LONGEST_S:
        raise _refused(variable, f"is {_LONGEST_S} seconds at most")
    return value


def _bytes(variable: str) -> int | None:
    text = os.environ.get(variable)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise _refused(variable, "is a whole number of bytes, 0 or more")
    return int(text)


def _refused(variable: str, rule: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"{variable} {rule}; got {os.environ[variable]!r}")
