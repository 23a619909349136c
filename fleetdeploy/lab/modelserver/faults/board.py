"""Where faults are asked for, and which apply to a version now.

Three places, the later one wins key by key: the file that travels with the version, `NAME` and `NAME/VERSION` in the
file named by STANDIN_FAULTS. The latter is looked at again, at most every 0.1 s, and read again when it has changed;
that is how a test switches a fault on and off in a running server. A file that is not there asks for nothing.
"""

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.faults.description import Asked, Description, FaultsFile, read_faults_file
from fleetdeploy.lab.modelserver.faults.plan import Plan
from fleetdeploy.lab.modelserver.servable import ServableId
from fleetdeploy.lab.modelserver.status import StatusError

LOOK_S: Final = 0.1
"""Longest time for which a changed file goes unnoticed."""

_Stamp = tuple[int, int, int] | None
"""Inode, time of the last change in ns, and size of a file; None if it is not there."""


class _Entry(NamedTuple):
    plan: Plan
    file: FaultsFile
    shipped: Asked


class FaultBoard:
    """What is asked of every version."""

    def __init__(self, path: str | None, *, memory_budget_bytes: int | None) -> None:
        """Read the file at `path` (None: there is none). Raises INVALID_ARGUMENT."""
        self._path = None if path is None else Path(path)
        self._default_budget_bytes = memory_budget_bytes
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._file = self._read()
        self._look_again_at = time.monotonic() + LOOK_S
        self._plans: dict[ServableId, _Entry] = {}

    @property
    def watches(self) -> bool:
        """Whether faults may yet be asked for while the server runs."""
        return self._path is not None

    @property
    def memory_budget_bytes(self) -> int | None:
        """What all versions in memory share; None: no limit."""
        budget = self._current().memory_budget_bytes
        return self._default_budget_bytes if budget is None else budget

    def plan(self, servable: ServableId, shipped: Asked) -> Plan:
        """The faults of a version now; `shipped` is what travels with it. Counts go on while nothing changes."""
        file = self._current()
        entry = self._plans.get(servable)
        if entry is None or entry.file is not file or entry.shipped is not shipped:
            entry = self._resolve(servable, file, shipped)
        return entry.plan

    def _resolve(self, servable: ServableId, file: FaultsFile, shipped: Asked) -> _Entry:
        by_name, by_version = (
            file.models.get(servable.name, {}),
            file.models.get(f"{servable.name}/{servable.version}", {}),
        )
        asked = Description(**{**shipped, **by_name, **by_version})
        with self._lock:
            known = self._plans.get(servable)
            plan = known.plan if known is not None and known.plan.asked == asked else Plan(asked)
            entry = self._plans[servable] = _Entry(plan, file, shipped)
        return entry

    def _current(self) -> FaultsFile:
        now = time.monotonic()
        if self._path is not None and now >= self._look_again_at:
            with self._lock:
                if now >= self._look_again_at:
                    self._look_again_at = now + LOOK_S
                    self._read_if_changed()
        return self._file

    def _read_if_changed(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._file = self._read()
        except StatusError as problem:  # half written, or wrong: what it said before holds until it changes again
            log.error(f"STANDIN_FAULTS is not taken over: {problem.message}")
        else:
            log.info(f"STANDIN_FAULTS was read again: {self._path}")

    def _look(self) -> _Stamp:
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)  # noqa: PTH116 -- in the path of requests, where Path costs twice as much
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> FaultsFile:
        found = None if self._path is None else read_faults_file(self._path)
        return FaultsFile(memory_budget_bytes=None, models={}) if found is None else found


NOTHING_SHIPPED: Final[Mapping[str, object]] = {}
"""What travels with a version that brings no file."""
