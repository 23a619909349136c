"""Consoles and events that the tests of this room begin with."""

from __future__ import annotations

import io

from rich.console import Console

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.outcome import RunOutcome
from fleetdeploy.report import as_json
from fleetdeploy.report.story.run_story import RunStory


def out(*, terminal: bool = False) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(
        file=file, force_terminal=terminal, no_color=True, highlight=False, markup=False, soft_wrap=True
    ), file


def event(kind: Kind, message: str = "", *, host: str = "gpu1", task: str = "", **data: object) -> Event:
    return Event(kind, 1_767_225_600.0, "run", host=host, task=task, message=message, data=data)


def ended(outcome: RunOutcome, *, command: str = "") -> RunStory:
    """The story of a run that ended so."""
    hosts = as_json.hosts(outcome)
    end = event(Kind.RUN_FINISHED, outcome.last_line, host="", exit_code=outcome.exit_code, hosts=hosts)
    return RunStory.of([event(Kind.RUN_STARTED, command, host="", hosts=list(hosts)), end])
