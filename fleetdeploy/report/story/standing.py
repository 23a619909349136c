"""How a host stands in a run, whether the run has an end or not."""

from __future__ import annotations

from fleetdeploy.domain.outcome import FAILURES
from fleetdeploy.report.story.parts import HostStory, Phase
from fleetdeploy.report.story.run_story import RunStory

UNFINISHED = "unfinished"
"""A host that was at work when the run's events end."""
WAITING = "waiting"
"""One that had still to come to its turn in the last play then."""


def standing(host: HostStory, story: RunStory) -> str:
    """Its outcome, or one of the two words above; empty where it was not begun.

    Where nothing tells of the run's end, what went well in one play says nothing of the plays behind it.
    """
    if story.ended_s is not None or host.state in FAILURES:
        return host.state or (UNFINISHED if host.spans else "")
    if host.spans and host.phase is not Phase.DONE:
        return UNFINISHED
    waits = story.play is not None and host.name in story.play.hosts and host.play != story.play.name
    return WAITING if waits else host.state
