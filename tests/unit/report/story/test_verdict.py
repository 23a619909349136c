"""How a run ended in two words, what to type next, and how hosts stand in it."""

from __future__ import annotations

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.redaction import MASKED
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.standing import UNFINISHED, WAITING, standing
from fleetdeploy.report.story.verdict import Tone, verdict, verdict_of, what_next
from report.html import scenes

COMMAND = "fleetdeploy deploy -l gpu1"
LOOK, RESUME = "fleetdeploy status", "fleetdeploy resume r1"


def ended(code: int | None, *, touched: bool, **told: object) -> RunStory:
    """The story of a run with that end; ``told`` is what its first event tells besides, and ``again`` its last."""
    again = {"again": told.pop("again")} if "again" in told else {}
    command = str(told.pop("command", COMMAND))
    events = [Event(Kind.RUN_STARTED, 0, "r1", message=command, data=told)]
    if touched:
        events.append(Event(Kind.PLAY_STARTED, 1, "r1", message="p"))
    if code is not None:
        events.append(Event(Kind.RUN_FINISHED, 2, "r1", message="over", data={"exit_code": code, **again}))
    return RunStory.of(events)


def commands(story: RunStory) -> list[str]:
    return [item.command for item in what_next(story)]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130, 143, 99])
def test_every_exit_code_has_words(code: int) -> None:
    """Only 0 is good, and a code that nobody knows is told as a number."""
    found = verdict_of(code)
    assert found.word
    assert (found.tone is Tone.GOOD) == (code == 0)
    assert ("99" in found.word) == (code == 99)


@pytest.mark.parametrize(
    ("code", "touched", "found", "when"),
    [
        (0, True, [], ""),
        (0, False, [], ""),
        (1, True, [COMMAND, LOOK], "once it is mended"),
        (2, False, [COMMAND], "once it is mended; nothing was touched"),
        (3, True, [COMMAND, LOOK], "once it is mended"),
        (4, True, [COMMAND, LOOK], "once it is mended"),
        (5, False, [COMMAND], "once it is mended; nothing was touched"),
        (6, False, [COMMAND], "once the other run is over; nothing was touched"),
        (7, False, [COMMAND], "once it is mended; nothing was touched"),
        (8, True, [COMMAND, LOOK], "once the hosts that were skipped can be reached"),
        (8, False, [COMMAND], "once the hosts that were skipped can be reached; nothing was touched"),
        (9, True, [COMMAND, LOOK], "once somebody agrees"),
        (9, False, [COMMAND], "once somebody agrees; nothing was touched"),
        (10, True, [COMMAND, LOOK], "once nothing holds it back any longer"),
        (10, False, [COMMAND], "once nothing holds it back any longer; nothing was touched"),
        (130, True, [COMMAND, LOOK], "goes on with it"),
        (143, False, [COMMAND], "goes on with it; nothing was touched"),
        (None, True, [RESUME, LOOK], "carries the run to its end, unless it still goes on"),
    ],
)
def test_what_to_type_next(code: int | None, touched: bool, found: list[str], when: str) -> None:
    """For each way that a run can end: the command that goes on and when, then a look at what was touched."""
    story = ended(code, touched=touched)
    assert commands(story) == found
    assert [item.why for item in what_next(story)][:1] == ([when] if when else [])


def test_the_run_knows_best_how_it_is_gone_on_with() -> None:
    """A plan file is planned anew, a rollback names its release: what the last event tells is what is to be typed."""
    told = "fleetdeploy rollback -l gpu1 --to 3"
    assert commands(ended(3, touched=True, again=told)) == [told, LOOK]
    assert commands(ended(3, touched=True, again="")) == [COMMAND, LOOK]


GOLDEN = "golden request 'one' to ranker version 3 was answered wrongly: x"
LOADING = "not serving what it shall after 60 s: ranker: version 3 is LOADING"
ENDED = "the container is exited, restarted 0 times by Docker; its server ended with status 1"
SHOW, TO_MEND = "fleetdeploy runs show r1", "once it is mended, or {} is taken out of the inventory"


def failing(*told: tuple[str, str, str], code: int = 3, state: str = "reverted", **more: object) -> RunStory:
    """A run with these failures, each a host's in a task; ``more`` is told of each host at its end."""
    command = str(more.pop("command", COMMAND))
    events = [
        Event(Kind.RUN_STARTED, 0, "r1", message=command, data={"argv": command.split()[1:]}),
        Event(Kind.PLAY_STARTED, 1, "r1", message="p"),
        *(Event(Kind.STEP_FAILED, 2, "r1", host=host, task=task, message=text) for host, task, text in told),
    ]
    hosts = {host: {"state": state, **more} for host, _, _ in told}
    return RunStory.of([*events, Event(Kind.RUN_FINISHED, 3, "r1", data={"exit_code": code, "hosts": hosts})])


@pytest.mark.parametrize(
    ("told", "culprit"),
    [
        ([("gpu1", "activate", GOLDEN)], "version 3 of ranker"),
        ([("gpu1", "verify", GOLDEN), ("gpu2", "activate", LOADING)], "version 3 of ranker"),
        ([("gpu1", "activate", "ranker: version 3 failed to load: NOT_FOUND\nmore")], "version 3 of ranker"),
        ([("gpu1", "activate", GOLDEN), ("gpu2", "activate", GOLDEN.replace("3", "4"))], "what is new"),
        ([("gpu1", "activate", ENDED)], "what is new"),
        ([("gpu1", "activate", ENDED), ("gpu2", "activate", GOLDEN)], "what is new"),
    ],
)
@pytest.mark.parametrize("code", [3, 4])
def test_what_does_not_serve_is_looked_at_and_not_tried_again(
    told: list[tuple[str, str, str]], culprit: str, code: int
) -> None:
    """The same command fails in the same way until the model, its golden requests or the inventory are others."""
    found = what_next(failing(*told, code=code))
    assert [item.command for item in found] == [SHOW, COMMAND, LOOK]
    assert [item.look for item in found] == [True, False, True]
    assert found[1].why == TO_MEND.format(culprit)


@pytest.mark.parametrize(
    "story",
    [
        failing(("gpu1", "stage", "rsync ended; version 3 failed")),
        failing(("gpu1", "activate", "no SSH connection")),
        failing(("gpu1", "activate", GOLDEN), state="unreachable"),
        failing(("gpu1", "activate", GOLDEN), taken_back=True),
        failing(("gpu1", "activate", "not serving: ranker: version 2 is AVAILABLE but not wanted")),
        failing(("gpu1", "activate", "the container was restarted by somebody")),
        failing(("gpu1", "activate", GOLDEN), command="fleetdeploy rollback"),
        ended(3, touched=True),
    ],
)
def test_what_fails_by_itself_is_tried_again(story: RunStory) -> None:
    """A network that is mended, a server that somebody restarted: the command is right, and the inventory too."""
    assert next((item.command, item.why) for item in what_next(story)) == (story.command, "once it is mended")


def test_sync_says_that_it_waits() -> None:
    """Whoever has mended what failed does not wonder why the next `sync` does nothing."""
    command = "fleetdeploy sync -i a --state-dir s"
    show, again, _ = what_next(failing(("gpu1", "activate", GOLDEN), command=command))
    assert (show.command, again.command) == ("fleetdeploy runs show --state-dir s r1", command)
    assert "sync leaves what failed alone for a while (--retry-after)" in again.why


def test_a_masked_value_is_asked_for_and_never_typed() -> None:
    """The run is carried on by its id, with the names of what was masked; `resume` does not carry on own commands."""
    masked = f"fleetdeploy deploy -e '{MASKED}'"
    story = ended(3, touched=True, command=masked, masked=["token", "word"])
    assert commands(story) == [f"{RESUME} -e token=... -e word=...", LOOK]
    assert commands(ended(5, touched=False, again=masked, masked=["token"])) == [f"{RESUME} -e token=..."]
    assert commands(ended(4, touched=True, command=masked, masked=["token"], own=True)) == [masked]


def test_other_commands_are_about_the_same_fleet() -> None:
    """They get the inventory, project and state directory that the run was given, in each way to write them."""
    words = ["deploy", "-i", "a b", "--inventory=c", "--project", "p", "--state-dir=s", "-l", "x", "--", "-i", "no"]
    story = ended(None, touched=True, argv=words)
    assert commands(story) == [
        "fleetdeploy resume --state-dir=s r1",
        "fleetdeploy status -i 'a b' --inventory=c --project p --state-dir=s",
    ]


def test_a_persons_own_command_is_given_again() -> None:
    """For the hosts that it was not well on, as its last event tells; it has nothing to be carried on."""
    again = "fleetdeploy run all -l gpu2 -- date"
    assert commands(ended(4, touched=True, own=True, again=again)) == [again]
    assert commands(ended(130, touched=True, own=True)) == [COMMAND]
    assert commands(ended(None, touched=True, own=True)) == [COMMAND]
    assert commands(ended(0, touched=True, own=True)) == []


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


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"own": True}, ("done", "failed", "interrupted", "bad input", "unfinished")),
        ({"argv": ["prune", "--keep", "1"]}, ("done", "failed", "interrupted", "bad input", "unfinished")),
        ({"argv": ["rollback"]}, ("rolled back", "failed, fleet mixed", "interrupted", "bad input", "unfinished")),
        ({"argv": ["deploy", "prune"]}, ("converged", "failed, fleet mixed", "interrupted", "bad input", "unfinished")),
    ],
    ids=str,
)
def test_only_what_the_inventory_says_is_converged(told: dict[str, object], words: tuple[str, ...]) -> None:
    """A command of a person's own mixes no fleet, and neither that nor `prune` or `rollback` converges any."""
    assert tuple(verdict(ended(code, touched=True, **told)).word for code in (0, 4, 130, 2, None)) == words
