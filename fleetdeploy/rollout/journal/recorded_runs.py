"""The runs of a state directory, newest first, read no further than it takes to tell what each of them is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path

from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.events import Kind
from fleetdeploy.errors import InputError
from fleetdeploy.rollout.journal.reading import LINE_BYTES, open_regular
from fleetdeploy.rollout.journal.record import JOURNAL, fields_of
from fleetdeploy.rollout.journal.recorded_run import RecordedRun, RunState
from fleetdeploy.rollout.naming import named

_BEGUN = json.dumps(Kind.STEP_STARTED.value).encode()
_ANY_STEP = b'"step_'
"""How the kind of each record begins that tells of a step: begun, said, failed, ended."""
_QUIET_ENDS = frozenset({0, 6, 8, 10})
"""Converged, locked, without some hosts, held back: where no step was begun, nothing was done and nothing failed."""


class RecordedRuns:
    """The runs that have a directory below a state directory's ``runs``; their ids begin with their time."""

    @staticmethod
    def list(runs: Path) -> Iterator[RecordedRun]:
        """Every run, newest first, each read when its turn comes. Whatever else lies there is passed over, and so is a
        run without a record: it began nothing, not even to tell what it was called for.

        One whose journal cannot be read has ``damage`` and no records.
        """
        return (found for directory in _directories(runs) if not (found := _read(directory)).is_blank)

    @staticmethod
    def eventful(runs: Path) -> Iterator[tuple[RecordedRun, int]]:
        """Those that began a step on a host, failed, or have no end that is known, newest first, each with the number
        of the newer ones that did not. Most runs of a timer do nothing: of one whose last record is a quiet end, and
        that tells of no step, the records between are not checked.
        """
        quiet = 0
        for directory in _directories(runs):
            if _ended_quietly(directory / JOURNAL):
                quiet += 1
                continue
            found = _read(directory)
            if _did_something(found):
                yield found, quiet
            elif not found.is_blank:
                quiet += 1

    @staticmethod
    def acting(runs: Path) -> Iterator[RecordedRun]:
        """Those that began something on a host and can be read, newest first. Most runs of a timer do nothing, and are
        told apart before any record is checked.
        """
        for directory in _directories(runs):
            with suppress(InputError, OSError):
                if _acted(directory / JOURNAL):
                    yield RecordedRun.read(directory)

    @staticmethod
    def find(runs: Path, text: str) -> RecordedRun:
        """The run with this id, or the only one whose id begins so. Raises InputError for none and for several."""
        directories = _directories(runs)
        found = [item for item in directories if item.name == text]
        found = found or [item for item in directories if text and item.name.startswith(text)]
        if len(found) == 1:
            return RecordedRun.read(found[0])
        if found:
            names = named([item.name for item in found])
            raise InputError(f"{len(found)} runs begin with {text!r}: {names}", where=str(runs), hint="give more of it")
        known = [item.name for item in directories]
        hint = hint_for(text, known, what="runs") if known else f"no run has been recorded below {runs}"
        raise InputError(f"there is no run {text!r}", where=str(runs), hint=hint or f"the newest are {named(known)}")


def _directories(runs: Path) -> list[Path]:
    """The directories of runs with a journal, newest first; that of a run which was killed before it has none."""
    try:
        return sorted((path for path in runs.iterdir() if _is_there(path / JOURNAL)), reverse=True)
    except OSError:
        return []


def _read(directory: Path) -> RecordedRun:
    try:
        return RecordedRun.read(directory)
    except InputError as error:
        damage = error.problems[0]
        return RecordedRun(directory.name, directory / JOURNAL, state=RunState.UNKNOWN, damage=damage)


def _did_something(run: RecordedRun) -> bool:
    began = any(host.finished or host.begun or host.failed for host in run.hosts.values())
    unended = run.state is not RunState.FINISHED or run.exit_code not in _QUIET_ENDS
    return not run.is_blank and (began or unended)


def _ended_quietly(journal: Path) -> bool:
    with suppress(OSError, ValueError), _mapped(journal) as content:
        line = content[content.rfind(b"\n", 0, len(content) - 1) + 1 :]
        told = fields_of(line) if line.endswith(b"\n") and len(line) <= LINE_BYTES else None
        data = told.get("data") if told and told.get("kind") == Kind.RUN_FINISHED else None
        code = data.get("exit_code") if isinstance(data, dict) else None
        return type(code) is int and code in _QUIET_ENDS and content.find(_ANY_STEP) < 0
    return False


def _acted(journal: Path) -> bool:
    with suppress(ValueError), _mapped(journal) as content:
        return content.find(_BEGUN) >= 0
    return False


@contextmanager
def _mapped(journal: Path) -> Iterator[mmap]:
    """Raises ValueError for what has no bytes, as after a kill before the first record: it cannot be mapped."""
    with open_regular(journal) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        yield content


def _is_there(journal: Path) -> bool:
    try:
        journal.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True
