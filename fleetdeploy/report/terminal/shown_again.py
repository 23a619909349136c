"""A run of the past, shown as it was."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from fleetdeploy.report.story.parts import Told
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.terminal.lines import Lines
from fleetdeploy.report.terminal.recap import recap


def show(records: Iterable[Told], out: Console, *, quiet: bool = False, verbose: int = 0) -> RunStory:
    """Print what the run printed, each line with its time, and how it ended, where it did. Returns its story.

    The records may be of any version; they are gone through once. Raises what going through them raises.
    """
    story, lines = RunStory(), Lines(out, quiet=quiet, verbose=verbose, stamped=True)
    for record in records:
        story.tell(record)
        lines(record)
    if story.ended_s is not None:
        recap(out, story, quiet=quiet, every_host=bool(verbose), again=True)
    return story
