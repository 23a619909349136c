"""How a run ended in two words, what to type next, and how hosts stand in it."""

from __future__ import annotations

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.standing import UNFINISHED, WAITING, standing
from fleetdeploy.report.story.verdict import Tone, verdict, verdict_of, what_next
from report.html import scenes


def ended(code: int, *, touched: bool) -> RunStory:
    events = [Event(Kind.RUN_STARTED, 0, "r1", message="fleetdeploy deploy -l gpu1")]
    if touched:
        events.append(Event(Kind.PLAY_STARTED, 1, "r1", message="p"))
    return RunStory.of([*events, Event(Kind.RUN_FINISHED, 2, "r1", message="over", data={"exit_code": code})])


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130, 143, 99])
def test_every_exit_code_has_words(code: int) -> None:
    """Only 0 is good, and a code that nobody knows is told as a number."""
    found = verdict_of(code)
    assert found.word
    assert (found.tone is Tone.GOOD) == (code == 0)
    assert ("99" in found.word) == (code == 99)


@pytest.mark.parametrize(
    ("code", "touched", "commands"),
    [
        (0, True, ["fleetdeploy status"]),
        (3, True, ["fleetdeploy status", "fleetdeploy resume r1"]),
        (4, True, ["fleetdeploy status", "fleetdeploy resume r1"]),
        (8, True, ["fleetdeploy resume r1", "fleetdeploy status"]),
        (130, True, ["fleetdeploy resume r1", "fleetdeploy status"]),
        (5, False, ["fleetdeploy deploy -l gpu1"]),
        (2, False, ["fleetdeploy deploy -l gpu1"]),
    ],
)
def test_what_to_type_next(code: int, touched: bool, commands: list[str]) -> None:
    """A run that touched hosts is looked at and carried on; one that touched none is given again."""
    assert [item.command for item in what_next(ended(code, touched=touched))] == commands


def test_a_run_without_an_end_is_carried_on_unless_its_journal_is_damaged() -> None:
    """`resume` refuses a damaged journal, so it is not what to type then."""
    story = RunStory.of([Event(Kind.RUN_STARTED, 0, "r1", message="fleetdeploy deploy")])
    assert verdict(story).word == "unfinished"
    assert what_next(story)[0].command == "fleetdeploy resume r1"
    assert verdict(story, damaged=True).word == "end not known"
    assert [item.command for item in what_next(story, damaged=True)] == ["fleetdeploy status", "fleetdeploy deploy"]


def test_of_a_run_without_an_end_what_went_well_in_one_play_is_no_outcome() -> None:
    """Who has still to come to the last play waits, who is at work is unfinished, who is through with it has ended."""
    story = RunStory.of(scenes.unfinished())
    stand = {name: standing(host, story) for name, host in story.hosts.items()}
    assert stand == {
        "gpu1": "changed", "gpu2": "changed", "gpu3": UNFINISHED, "gpu4": WAITING, "gpu5": WAITING, "gpu6": WAITING,
    }  # fmt: skip
    events = scenes.unfinished()
    between = max(at for at, event in enumerate(events) if (event.kind, event.host) == (Kind.STEP_FINISHED, "gpu3"))
    story = RunStory.of(events[: between + 1])
    assert standing(story.hosts["gpu3"], story) == UNFINISHED
    story = RunStory.of(scenes.failing())
    assert {name: standing(host, story) for name, host in story.hosts.items()} == {
        name: host.state for name, host in story.hosts.items()
    }
    assert standing(RunStory.of(scenes.unfinished()[:2]).hosts["gpu1"], story) == ""


def test_what_the_run_told_of_itself_and_its_plan_is_kept() -> None:
    """Who gave the command where, and what was to change on which hosts; what is of another type is left out."""
    story = RunStory.of(scenes.first_deploy())
    assert (story.by, story.directory) == ("ada@deploy1", "/srv/models")
    assert [(part.hosts, list(part.lines)) for part in story.plan] == [(("gpu1", "gpu2", "gpu3"), scenes.PLAN)]
    odd = [{"hosts": "gpu1", "lines": [1, "a"]}, "x"]
    story = RunStory.of([Event(Kind.PLAN_MADE, 0, "r", data={"plan": odd, "changed": 3})])
    assert [(part.hosts, part.lines) for part in story.plan] == [((), ("a",))]
