"""The journal: every event of a run, written and synced before the act that it announces."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from fleetdeploy.domain.events import Event
from fleetdeploy.errors import InputError

KEPT_RUNS = 500
"""About two days of a cron job that runs every five minutes."""


def as_json(event: Event) -> str:
    """One event as one line of JSON, without the newline. Empty fields are left out."""
    fields = {name: value for name, value in asdict(event).items() if value not in ("", {})}
    return json.dumps(fields, sort_keys=True, default=str)


def open_run(runs: Path, run: str, *, keep: int = KEPT_RUNS) -> Journal:
    """The journal of a new run in its own directory below ``runs``; the oldest beyond ``keep`` are removed.

    Run ids begin with their time, so that names sort by age.
    """
    try:
        (runs / run).mkdir(parents=True, mode=0o700)
        for old in sorted(path for path in runs.iterdir() if path.is_dir())[:-keep]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"the journal cannot be made: {error.strerror}", where=str(runs), hint="name another --state-dir"
        ) from error
    return Journal(runs / run / "events.jsonl")


class Journal:
    """A file of JSON lines, mode 0600. A write that fails raises OSError, which stops the run before the act."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")
        except OSError as error:
            raise InputError(
                f"the journal cannot be opened: {error.strerror}",
                where=str(path),
                hint="its directory must exist and be writable",
            ) from error

    def __call__(self, event: Event) -> None:
        self._file.write(f"{as_json(event)}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
