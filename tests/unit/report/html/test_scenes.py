"""Scenes of runs are what runs are: views that are tried on them show what they would show of real ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from simulation.contract import hold_events

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.verdict import what_next

from . import scenes

Scene = Callable[[], Sequence[Event]]


@pytest.mark.parametrize("scene", [scenes.first_deploy, scenes.failing, scenes.all_back, scenes.unfinished])
def test_a_scene_tells_what_a_run_tells(scene: Scene) -> None:
    """Each play tells how many hosts may fail, the run has an id like a real one, what comes next has its inventory."""
    story = RunStory.of(scene())
    assert story.plays
    assert all(play.may_fail is not None for play in story.plays)
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", story.id)
    looks = [item.command for item in what_next(story) if item.command.startswith("fleetdeploy status")]
    assert all(" -i inventories/prod" in command for command in looks)
    assert bool(looks) == (scene is not scenes.first_deploy)


def test_a_count_has_no_point() -> None:
    """Events whose whole numbers are written as 5.0 are refused, as views do not take those for numbers."""
    (play, *_) = (event for event in scenes.failing() if event.kind is Kind.PLAY_STARTED)
    hold_events([play])
    with pytest.raises(AssertionError, match="as `fleetdeploy schema event` says"):
        hold_events([replace(play, data={**play.data, "may_fail": 5.0})])
