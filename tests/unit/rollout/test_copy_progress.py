"""How far copies are is shown while a rollout goes on, and written nowhere."""

from __future__ import annotations

import pytest
from simulation.controller import deploy

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.story.parts import Copy
from fleetdeploy.report.story.run_story import RunStory

from .fleets import V1, V2, new, settled

pytestmark = pytest.mark.simulation
THREE = ("gpu1", "gpu2", "gpu3")


def test_copies_are_shown_host_by_host_and_never_written() -> None:
    """Copies are told between the beginning and the end of their step, up to all bytes; no journal has them."""
    shown, written = list[Event](), list[Event]()
    deploy(new(*THREE), V1, sinks=[written.append], views=[shown.append])
    assert [event for event in shown if event.kind is not Kind.COPY_PROGRESSED] == written
    for name in THREE:
        mine = [event for event in shown if event.host == name and event.task == "stage"]
        kinds = [event.kind for event in mine if event.kind is not Kind.STEP_PROGRESS]
        assert kinds == [Kind.STEP_STARTED, Kind.COPY_PROGRESSED, Kind.COPY_PROGRESSED, Kind.STEP_FINISHED]
        copies = [event.data for event in mine if event.kind is Kind.COPY_PROGRESSED]
        assert [(copy["done_bytes"], copy["total_bytes"]) for copy in copies] == [(0, 200), (200, 200)]
        assert {(copy["service"], copy["model"], copy["version"]) for copy in copies} == {("ranking", "ranker", 1)}


def test_a_story_has_what_is_being_copied() -> None:
    """Of a file that is linked nothing is copied: the story's copy is of the rest alone."""
    story, seen = RunStory(), list[Copy]()

    def tell(event: Event) -> None:
        story.tell(event)
        copy = story.hosts[event.host].copy if event.host else None
        if copy is not None and event.kind is Kind.COPY_PROGRESSED:
            seen.append(copy)

    deploy(settled(*THREE), V2, views=[tell])
    assert seen == [Copy("ranker", 2, 0, 100), Copy("ranker", 2, 100, 100)] * 3


@pytest.mark.parametrize("kind", [OSError, BrokenPipeError])
def test_a_view_that_goes_away_costs_no_copy(kind: type[OSError]) -> None:
    """A view that fails at the first copy is dropped, and the rollout goes on."""

    def fail(event: Event) -> None:
        if event.kind is Kind.COPY_PROGRESSED:
            raise kind("gone")

    assert deploy(settled(*THREE), V2, views=[fail]).code == 0
