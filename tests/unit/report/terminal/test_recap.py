"""How a run ended, as people and grep read it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.outcome import HostOutcome, HostState, RunOutcome
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.verdict import what_next
from fleetdeploy.report.terminal.recap import recap

from .shown import ended, event, out


def test_the_recap_has_ansibles_columns() -> None:
    """One line a host, names aligned, every state a column; then each reason once, with its hosts."""
    hosts = (
        HostOutcome("gpu1", HostState.CHANGED, steps_ok=1, steps_changed=5),
        HostOutcome("gpu10", HostState.REVERTED, "golden request failed", steps_ok=2),
        HostOutcome("gpu2", HostState.SKIPPED, "the rollout stopped"),
        HostOutcome("gpu3", HostState.REVERTED, "the rollout stopped", steps_ok=1, taken_back=True),
    )
    target, file = out()
    recap(target, ended(RunOutcome("run", 4, "FAILED: gpu10; ...", {item.host: item for item in hosts})))
    assert file.getvalue().splitlines() == [
        "RECAP",
        "gpu1  : ok=1 changed=5 failed=0 unreachable=0 skipped=0 reverted=0",
        "gpu10 : ok=2 changed=0 failed=1 unreachable=0 skipped=0 reverted=1",
        "gpu2  : ok=0 changed=0 failed=0 unreachable=0 skipped=1 reverted=0",
        "gpu3  : ok=1 changed=0 failed=0 unreachable=0 skipped=0 reverted=1",
        "gpu10: golden request failed",
        "gpu2, gpu3: the rollout stopped",
        "FAILED: gpu10; ...",
    ]


def test_a_run_with_nothing_to_do_has_one_line() -> None:
    """No recap where every host is as it was."""
    target, file = out()
    recap(target, ended(RunOutcome("run", 0, "OK: 1 host, nothing to do", {"a": HostOutcome("a", HostState.OK)})))
    assert file.getvalue() == "OK: 1 host, nothing to do\n"


def test_a_quiet_recap_shows_only_what_went_wrong() -> None:
    """With ``-q`` hosts that went well are left out."""
    hosts = {"a": HostOutcome("a", HostState.CHANGED), "b": HostOutcome("b", HostState.FAILED, "no space")}
    target, file = out()
    recap(target, ended(RunOutcome("run", 3, "FAILED: b", hosts)), quiet=True)
    assert "a :" not in file.getvalue()
    assert "no space" in file.getvalue()


def many(count: int, **others: HostOutcome) -> RunOutcome:
    """A run in which that many hosts changed, and others."""
    hosts = {f"gpu{number}": HostOutcome(f"gpu{number}", HostState.CHANGED) for number in range(count)}
    return RunOutcome("run", 3 if others else 0, "the last line", hosts | others)


def at_a_terminal() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=80, color_system=None, highlight=False, markup=False), file


def test_a_terminal_gets_a_line_for_each_of_sixty_hosts() -> None:
    """Of more, those that went well are counted, unless all are asked for; who failed is always named."""
    bad = HostOutcome("bad", HostState.FAILED, "no space")
    for count, every, rows in ((59, False, 60), (60, False, 1), (60, True, 61)):
        target, file = at_a_terminal()
        recap(target, ended(many(count, bad=bad)), every_host=every)
        text = file.getvalue()
        assert text.count(" ok=") == rows
        assert "bad" in text.splitlines()[1 if rows == 1 else -3]
        assert ("and 60 changed (-v: a line for each)" in text) is (rows == 1)


def test_a_pipe_gets_a_line_for_every_host() -> None:
    """However many there are: it is for grep."""
    target, file = out()
    recap(target, ended(many(500)))
    assert file.getvalue().count(" : ok=") == 500


def test_a_reason_of_many_hosts_stands_once() -> None:
    """With what to do about it below, those that failed by themselves first."""
    hosts = {
        "a": HostOutcome("a", HostState.SKIPPED, "stopped"),
        **{name: HostOutcome(name, HostState.UNREACHABLE, "no route\nto it", hint="is it up?") for name in "bcd"},
        "e": HostOutcome("e", HostState.FAILED, "no space", hint="make some"),
    }
    target, file = out()
    recap(target, ended(RunOutcome("run", 3, "FAILED: e", hosts)))
    assert file.getvalue().splitlines()[6:-1] == [
        "e: no space",
        "    make some",
        "b, c, d: no route",
        "    is it up?",
        "a: stopped",
    ]


@pytest.mark.parametrize(
    ("code", "last_line"),
    [
        (3, "FAILED: a; every host serves what it served before"),
        (4, "FAILED: a; mend it, then: fleetdeploy deploy -l a"),
        (8, "PARTLY: skipped as unreachable: a"),
        (9, "HELD: the pause; go on with: fleetdeploy deploy -l a"),
        (10, "FROZEN until Monday: b put back, 3 more would change"),
        (130, "INTERRUPTED: nothing was switched over; continue with: fleetdeploy deploy -l a"),
        (0, "OK: 1 host changed"),
    ],
)
def test_what_to_type_next(code: int, last_line: str) -> None:
    """The first command that the story has for it stands above the last line, on a row for itself, unless the last line
    names it: then it stands there alone.
    """
    target, file = out()
    hosts = {"a": HostOutcome("a", HostState.FAILED)}
    story = ended(RunOutcome("run", code, last_line, hosts), command="fleetdeploy deploy -l a")
    recap(target, story)
    rows = file.getvalue().splitlines()
    found = [item.command for item in what_next(story)]
    named = [command for command in found if command in last_line]
    above = [] if named else [f"next: {text}" for text in found]
    assert [row for row in rows if row.startswith("next: ")] == above
    assert len(found) == bool(code)
    assert rows[-1] == last_line
    assert sum(row.count("fleetdeploy") for row in rows) == len(found)


@pytest.mark.parametrize("width", [80, 40])
def test_the_last_line_is_broken_between_words_and_its_command_is_not(width: int) -> None:
    """What is copied from a terminal can be pasted: a command stands on a row of its own, once."""
    command = "fleetdeploy deploy -i inventories/prod -l gpu1,gpu2,gpu3,gpu4,gpu5,gpu6 --state-dir /var/lib/fleetdeploy"
    last_line = f"INTERRUPTED: gpu1 switched over; continue with: {command}"
    file = io.StringIO()
    target = Console(file=file, width=width, color_system=None, highlight=False, markup=False)
    recap(target, ended(RunOutcome("run", 130, last_line, {}), command=command))
    *above, last = file.getvalue().splitlines()
    assert last == f"  {command}"
    assert " ".join(map(str.strip, above)) == "INTERRUPTED: gpu1 switched over; continue with:"
    assert all(len(row) <= width for row in above)


@pytest.mark.parametrize("width", [80, 40])
def test_a_long_last_line_breaks_between_its_words(width: int) -> None:
    """And says in its rows what it says in one."""
    last_line = f"FAILED: gpu42; the fleet is mixed: {', '.join(f'gpu{number}' for number in range(20))} changed"
    file = io.StringIO()
    target = Console(file=file, width=width, color_system=None, highlight=False, markup=False)
    recap(target, ended(RunOutcome("run", 4, last_line, {})))
    rows = file.getvalue().splitlines()
    assert len(rows) > 1
    assert all(len(row) <= width for row in rows)
    assert " ".join(map(str.strip, rows)) == last_line


def test_where_the_same_would_fail_again_the_look_comes_first() -> None:
    """Then what is to be done, and below it the command, each on a row of its own."""
    failed = HostOutcome("gpu1", HostState.REVERTED, "ranker: version 2 failed to load: NOT_FOUND")
    outcome = RunOutcome("run", 3, "FAILED: gpu1; reverted", {"gpu1": failed})
    story = ended(outcome, command="fleetdeploy deploy -l gpu1")
    story.tell(event(Kind.STEP_FAILED, failed.reason, task="activate"))
    target, file = out()
    recap(target, story)
    assert file.getvalue().splitlines()[-4:] == [
        "next: fleetdeploy runs show run",
        "once it is mended, or version 2 of ranker is taken out of the inventory:",
        "  fleetdeploy deploy -l gpu1",
        "FAILED: gpu1; reverted",
    ]


def test_what_to_do_first_stands_above_a_last_line_that_names_the_command() -> None:
    """Of a mixed fleet the last line has the command: above it stands when that helps, and not the same once more."""
    failed = HostOutcome("gpu1", HostState.REVERTED, "ranker: version 2 failed to load: NOT_FOUND")
    last_line = "FAILED: gpu1; the fleet is mixed: gpu2 changed; mend it, then: fleetdeploy deploy"
    outcome = RunOutcome("run", 4, last_line, {"gpu1": failed}, "fleetdeploy deploy")
    story = ended(outcome, command="fleetdeploy deploy")
    story.tell(event(Kind.STEP_FAILED, failed.reason, task="activate"))
    target, file = out()
    recap(target, story)
    assert file.getvalue().splitlines()[-3:] == [
        "next: fleetdeploy runs show run",
        "once it is mended, or version 2 of ranker is taken out of the inventory: the command below",
        last_line,
    ]


def test_a_refusal_is_told_whole() -> None:
    """Every host that was refused and every fix, as it was said when the run was refused."""
    story = RunStory()
    refusal = "gpu1: no key\n    ssh-keyscan gpu1\ngpu2: no key\n    ssh-keyscan gpu2\nnothing was touched"
    story.tell(event(Kind.RUN_FINISHED, "gpu1: no key", host="", exit_code=2, refusal=refusal))
    target, file = out()
    recap(target, story)
    assert file.getvalue().splitlines() == refusal.splitlines()


def test_a_command_of_ones_own_has_a_line_for_each_host() -> None:
    """Also where it went well everywhere: that it was done there is what was asked for."""
    target, file = out()
    story = ended(RunOutcome("run", 0, "OK: done on 1 host", {"a": HostOutcome("a", HostState.OK, steps_ok=1)}))
    story.own = True
    recap(target, story)
    assert file.getvalue().splitlines() == [
        "RECAP",
        "a : ok=1 changed=0 failed=0 unreachable=0 skipped=0 reverted=0",
        "OK: done on 1 host",
    ]


def test_nobody_is_told_to_type_nothing() -> None:
    """Of a run that does not tell how it was called there is no such line."""
    target, file = out()
    recap(target, ended(RunOutcome("run", 3, "FAILED: a", {"a": HostOutcome("a", HostState.FAILED)})))
    assert "next" not in file.getvalue()


def test_a_narrow_terminal_wraps_a_host_between_its_counts() -> None:
    """And indents what goes on below; a pipe gets whole lines."""
    file = io.StringIO()
    target = Console(file=file, width=40, color_system=None, highlight=False, markup=False)
    recap(target, ended(many(1)))
    assert file.getvalue().splitlines()[1:3] == [
        "gpu0 : ok=0 changed=0 failed=0",
        "    unreachable=0 skipped=0 reverted=0",
    ]


def test_a_state_of_another_version_has_no_line() -> None:
    """What is not known is not counted as anything."""
    story = ended(many(2))
    story.hosts["gpu1"].state = "melted"
    target, file = out()
    recap(target, story)
    assert file.getvalue().count(" : ok=") == 1
