"""Which runs ``resume`` carries on, and to which end."""

from __future__ import annotations

import pytest

from ..conftest import Project
from ..resumes import EARLY, MIDDLE, Shell, converged

pytestmark = pytest.mark.simulation


def test_a_killed_run_goes_on_with_the_host_that_was_in_the_middle(shell: Shell) -> None:
    """gpu1, which was done, is only looked at; gpu2, which was drained and half-activated, is ended."""
    shell.killed(MIDDLE, "deploy")
    assert shell.left_out() == ["gpu2"]
    result = shell("resume")
    assert (result.code, result.last_line) == (0, "OK: 1 of 2 hosts changed")
    assert [act for act in shell.acts if act.startswith("gpu1")] == []
    converged(shell)


def test_what_is_told_first_is_what_the_journal_has(shell: Shell) -> None:
    """Which run, that its end is unknown, and how far each host came: not the outcome of a play that was over."""
    shell.killed(MIDDLE, "deploy")
    (run,) = shell.runs()[1:]
    assert shell("resume").err.splitlines()[:4] == [
        f"resuming run {run}: fleetdeploy deploy -i inventory.yml --state-dir state",
        "  nothing tells of its end: it was stopped at once, killed, or still goes on",
        "  undrain done: gpu1",
        "  in the middle of activate: gpu2",
    ]


def test_a_host_that_had_nothing_to_do_is_not_said_to_wait(shell: Shell) -> None:
    """Of a run that was killed before it told of every host, the plan tells which of them needed nothing."""
    assert shell("deploy", "-l", "gpu1").code == 0
    shell.killed(MIDDLE, "deploy")
    told = shell("resume").err.splitlines()
    assert "  nothing to do there: gpu1" in told
    assert "  in the middle of activate: gpu2" in told


def test_an_interrupted_run_goes_on(shell: Shell) -> None:
    """After exit 130 the hosts that were not begun are done; the last line of then is repeated."""
    assert shell.interrupted(EARLY, "deploy").code == 130
    result = shell("resume")
    assert result.code == 0
    assert "  INTERRUPTED: gpu1 switched over; continue with: " in result.err
    converged(shell)


def test_a_failed_run_is_tried_again(shell: Shell) -> None:
    """A run that ended with 3 or 4 is carried on once what was wrong is mended."""
    shell.world.lies.add("drain")
    assert shell("deploy").code == 3
    assert shell("resume").code == 3
    shell.world.lies.clear()
    assert shell("resume").code == 0
    converged(shell)


def test_a_run_that_was_mixed_goes_on(shell: Shell) -> None:
    """Exit 4 with gpu2 lost in the middle: once gpu2 is back `resume` completes its half-done drain."""
    shell.at(MIDDLE, lambda: setattr(shell.world.hosts["gpu2"], "reachable", False))
    assert shell("deploy").code == 4
    shell.at(("", ""), lambda: None)
    shell.world.hosts["gpu2"].reachable = True
    assert shell("resume").code == 0
    converged(shell)


def test_a_host_that_is_still_away_is_undrained_when_it_is_back(shell: Shell) -> None:
    """Refused with exit 5 while gpu2 is away, 8 with --allow-unreachable, 0 when it is back, and gpu2 gets requests."""
    shell.killed(MIDDLE, "deploy")
    shell.world.hosts["gpu2"].reachable = False
    assert shell("resume").code == 5
    assert shell("resume", "--allow-unreachable").code == 8
    shell.world.hosts["gpu2"].reachable = True
    result = shell("resume")
    assert result.code == 0, result.err
    converged(shell)


def test_a_pause_is_not_answered_by_resuming(shell: Shell) -> None:
    """A run without -y that is carried on asks its questions; with nobody there it is held, exit 9."""
    asking = "- hosts: gpu\n  tasks: [stage, {pause: {prompt: sure?}}, drain, activate, verify, undrain]\n"
    (shell.path / "playbooks" / "asks.yml").write_text(asking + "  always: [undrain]\n")
    assert shell("deploy", "playbooks/asks.yml").code == 9
    assert shell("resume", shell.runs()[-1]).code == 9
    shell.killed(MIDDLE, "deploy", "playbooks/asks.yml", "-y")
    assert shell("resume").code == 0, "who gave -y has answered"
    converged(shell)


def test_a_resumed_run_can_be_resumed(shell: Shell) -> None:
    """Killed, resumed, killed, resumed: each knows the runs before it, and the fleet ends as wanted."""
    shell.killed(EARLY, "deploy")
    shell.killed(MIDDLE, "resume")
    assert shell.left_out() == ["gpu2"]
    assert shell("resume").code == 0
    *_, first, second, third = shell.runs()
    assert shell.events(second)[0]["data"]["resumes"] == [first]
    assert shell.events(third)[0]["data"]["resumes"] == [second, first]
    converged(shell)


def test_a_run_killed_while_it_looked_is_carried_on(shell: Shell) -> None:
    """Nobody who was interrupted before the first change is told that there is nothing to do."""
    shell.killed(("gpu2", "observe"), "deploy")
    assert shell("resume").code == 0
    converged(shell)


def test_a_later_refusal_does_not_hide_a_killed_run(shell: Shell) -> None:
    """Runs that were refused before they touched anything, as a cron job's are, are passed over."""
    shell.killed(MIDDLE, "deploy")
    shell.world.hosts["gpu1"].reachable = False
    assert shell("deploy").code == 5
    shell.world.hosts["gpu1"].reachable = True
    assert shell("resume").code == 0
    assert shell.events()[0]["data"]["resumes"] == [shell.runs()[1]]
    converged(shell)


@pytest.mark.parametrize("words", [("-l", "gpu1"), ("-t", "stage"), ("playbooks/looks.yml",)])
def test_a_later_run_of_something_else_does_not_hide_a_killed_one(shell: Shell, words: tuple[str, ...]) -> None:
    """Other hosts, some tasks, or a playbook that switches nothing over: the killed run is still to be carried on."""
    (shell.path / "playbooks" / "looks.yml").write_text("- hosts: gpu\n  tasks: [preflight, stage]\n")
    shell.killed(MIDDLE, "deploy")
    killed = shell.runs()[-1]
    assert shell("deploy", *words).code == 0
    assert shell("resume").code == 0
    assert shell.events()[0]["data"]["resumes"] == [killed]
    converged(shell)


def test_a_later_run_that_did_all_its_hosts_settles_a_killed_one(shell: Shell) -> None:
    """The same command again did what was left, so that there is nothing to resume, exit 0; named, it is a no-op."""
    shell.killed(MIDDLE, "deploy")
    killed = shell.runs()[-1]
    assert shell("deploy").code == 0
    converged(shell)
    named = shell("resume", killed)
    assert (named.code, named.last_line, shell.acts) == (0, "OK: 2 hosts, nothing to do", [])


def test_nothing_to_resume_is_no_failure(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any run, and when the last one ended well, exit 0 says why; -q says nothing."""
    shell = Shell(project, monkeypatch)
    (project.path / "state").mkdir()
    result = shell("resume")
    assert (result.code, result.err) == (0, "nothing to resume: no run below state/runs has changed anything\n")
    assert shell("deploy").code == 0
    (run,) = shell.runs()
    assert shell("resume").err == f"nothing to resume: run {run} ended well: OK: 2 of 2 hosts changed\n"
    assert shell("resume", run).err == f"nothing to resume: run {run} ended well: OK: 2 of 2 hosts changed\n"
    assert shell("resume", "-q").err == ""


def test_a_run_is_named_by_how_its_id_begins(shell: Shell) -> None:
    """A beginning that fits one run is enough; several, and none with a suggestion, are bad input."""
    shell.killed(MIDDLE, "deploy")
    first, killed = shell.runs()
    several = shell("resume", killed[:4])
    assert several.code == 2
    assert f"2 runs begin with {killed[:4]!r}" in several.err
    none = shell("resume", f"{killed[:-1]}z")
    assert none.code == 2
    assert f"did you mean {killed!r}" in none.err
    assert shell.acts == []
    begins = next(killed[:size] for size in range(1, 22) if not first.startswith(killed[:size]))
    assert shell("resume", begins).code == 0
    converged(shell)
