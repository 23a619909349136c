"""Which runs of the past did something: a timer's mostly find nothing to do, and are not what a person looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetdeploy.rollout.journal.recorded_run import RecordedRuns, RunState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleetdeploy.rollout.journal.recorded_run import RecordedRun

_QUIET_ENDS = frozenset({0, 6, 8, 10})
"""Converged, locked, without some hosts, held back: where no step was begun, nothing was done and nothing failed."""


def did_something(run: RecordedRun) -> bool:
    """Whether it began a step on a host, failed, or has no end that is known."""
    began = any(host.finished or host.begun or host.failed for host in run.hosts.values())
    return began or run.state is not RunState.FINISHED or run.exit_code not in _QUIET_ENDS


def recorded(runs: Path, *, only_eventful: bool) -> Iterator[RecordedRun]:
    """All runs, or those that did something, newest first."""
    return (run for run in RecordedRuns.list(runs) if not only_eventful or did_something(run))


def newest(runs: Path) -> tuple[RecordedRun | None, int]:
    """The newest run that did something, and how many newer ones did not; where none did, the newest of all."""
    first, quiet = None, 0
    for run in RecordedRuns.list(runs):
        if did_something(run):
            return run, quiet
        first, quiet = first or run, quiet + 1
    return first, 0
