"""What tests can set for which the real server has no flag: environment variables named `STANDIN_...`."""

import os
from dataclasses import dataclass

from fleetdeploy.lab.modelserver import VERSION
from fleetdeploy.lab.modelserver.status import Code, StatusError


@dataclass(frozen=True)
class Environment:
    """The process's `STANDIN_...` variables."""

    build: str
    """STANDIN_BUILD: shown by --version, so that two images can be told apart."""
    tick_s: float
    """STANDIN_TICK_S: time between two decisions to load or unload."""
    scan_interval_s: float | None
    """STANDIN_SCAN_S: instead of --file_system_poll_wait_seconds, which takes whole seconds only."""

    @staticmethod
    def read() -> "Environment":
        """Read the process's environment. Raises INVALID_ARGUMENT for a value that is no number."""
        scan = os.environ.get("STANDIN_SCAN_S")
        try:
            return Environment(
                build=os.environ.get("STANDIN_BUILD") or VERSION,
                tick_s=float(os.environ.get("STANDIN_TICK_S") or 0.1),
                scan_interval_s=float(scan) if scan else None,
            )
        except ValueError as problem:
            raise StatusError(Code.INVALID_ARGUMENT, f"STANDIN_TICK_S and STANDIN_SCAN_S: {problem}") from problem
