"""``resume`` as typed: which run is carried on, to which end, and what is told or refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import Project
from .resumes import Shell

pytestmark = pytest.mark.simulation
MIDDLE = ("gpu2", "serving.reload")
"""gpu1 is done, gpu2 is drained and has its new file."""
EARLY = ("gpu1", "serving.reload")


@pytest.fixture
def shell(project: Project, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Both hosts serve version 1, and version 2 is wanted."""
    made = Shell(project, monkeypatch)
    assert made("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    return made


def converged(shell: Shell, number: int = 2) -> None:
    """Both hosts serve that version and get requests, and nothing is left to do or to resume."""
    assert shell.serves() == {"gpu1": (number,), "gpu2": (number,)}
    assert shell.left_out() == []
    again = shell("resume")
    assert (again.code, shell.acts) == (0, [])
    assert "nothing to resume: run " in again.err


# Which runs are carried on


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
        "  nothing tells of its end: it was killed, or still goes on",
        "  undrain done: gpu1",
        "  in the middle of activate: gpu2",
    ]


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


# What a run was called with


def test_it_goes_on_where_it_was_called(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another directory the relative paths of then are those of then; --events and -e @FILE as well."""
    (shell.path / "vars.yml").write_text("colour: red\n")
    shell.killed(MIDDLE, "deploy", "--events", "all.jsonl", "-e", "@vars.yml")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    shell.state = "../state"
    result = shell("resume")
    assert result.code == 0, result.err
    assert f"  in {shell.path}, where it was started" in result.err
    runs = {json.loads(line)["run"] for line in (shell.path / "all.jsonl").read_text().splitlines()}
    assert runs == set(shell.runs()[1:])
    assert list(elsewhere.iterdir()) == []
    assert shell.serves() == {"gpu1": (2,), "gpu2": (2,)}


def test_a_directory_that_is_gone_is_bad_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that was moved is named, with the command to give where it is now."""
    shell.killed(MIDDLE, "deploy")
    moved = shell.path.parent / f"{shell.path.name}-moved"
    monkeypatch.chdir(shell.path.parent)
    shell.path.rename(moved)
    shell.state = str(moved / "state")
    result = shell("resume")
    assert (result.code, shell.acts) == (2, [])
    assert f"was started in {shell.path}: No such file or directory" in " ".join(result.err.split())
    assert "give its command again: fleetdeploy deploy -i inventory.yml" in " ".join(result.err.split())
    moved.rename(shell.path)


def test_values_of_extra_vars_are_demanded_by_name(shell: Shell) -> None:
    """They stand in no file; without them, or with other names or values, nothing is touched."""
    words = ("-e", "token=S3ntinel-one", "-e", "{colour: S3ntinel-two}")
    shell.killed(MIDDLE, "deploy", *words)
    stored = {path.name: path.read_text() for path in (shell.path / "state").rglob("*") if path.is_file()}
    assert {"wanted.json", "events.jsonl"} <= set(stored)
    assert "S3ntinel" not in str(stored)
    missing = shell("resume", "-e", "token=S3ntinel-one")
    assert missing.code == 2
    assert "was given -e colour, and such values are kept nowhere" in missing.err
    assert "give it again: -e colour=..." in missing.err
    more = shell("resume", *words, "-e", "size=1")
    assert more.code == 2
    assert "-e size: run" in more.err
    other = shell("resume", "-e", "token=another-one", "-e", "{colour: S3ntinel-two}")
    assert other.code == 5
    assert "the values given with -e are others" in other.err
    assert shell.acts == []
    result = shell("resume", *words)
    assert result.code == 0, result.err
    assert "S3ntinel" not in result.err + missing.err + more.err + other.err
    converged(shell)


def test_values_that_reach_the_fleet_are_in_no_file(shell: Shell) -> None:
    """A value of -e that a container gets is not in what is kept beside the journal, and another one is noticed."""
    shell.project.edit(
        "            gpus: none\n", '            gpus: none\n            environment: {COLOUR: "{{ key }}"}\n'
    )
    shell.killed(("gpu2", "containers.create_and_start"), "deploy", "-e", "key=S3ntinel/one")
    kept = shell.path / "state" / "runs" / shell.runs()[-1] / "wanted.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "S3ntinel" not in kept.read_text()
    assert shell("resume", "-e", "key=S3ntinel/two").code == 5
    assert shell("resume", "-e", "key=S3ntinel/one").code == 0
    converged(shell)


def test_a_value_of_extra_vars_that_stands_elsewhere_cannot_be_had_again(shell: Shell) -> None:
    """A masked piece of another option is not taken for what was typed."""
    shell.killed(MIDDLE, "deploy", "-e", "a=1", "--events", "a=1.jsonl")
    result = shell("resume", "-e", "a=1")
    assert (result.code, shell.acts) == (2, [])
    assert "repeats a value of -e elsewhere on its command line" in result.err


@pytest.mark.parametrize("words", [("-l", "gpu2"), ("-t", "stage,switch")])
def test_limits_and_tags_stay(shell: Shell, words: tuple[str, ...]) -> None:
    """What was chosen of hosts and tasks is chosen again, whatever else is pending."""
    shell.killed(MIDDLE, "deploy", *words)
    before = shell.serves()["gpu1"]
    assert shell("resume").code == 0
    assert shell.serves() == {"gpu1": before, "gpu2": (2,)}
    assert shell.left_out() == []


def test_what_is_printed_is_of_this_call(shell: Shell) -> None:
    """A quiet cron job's run is told when a person resumes it, and JSON is printed when it is asked for."""
    shell.killed(EARLY, "deploy", "-q")
    result = shell.interrupted(EARLY, "resume", "--json")
    assert result.code == 130
    assert result.json["exit_code"] == 130
    assert shell("resume").last_line == "OK: 1 of 2 hosts changed"


def test_many_hosts_are_not_asked_about_again(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who began a run on more than twenty hosts has agreed to it; a run that nobody agreed to is not agreed to now."""
    monkeypatch.setattr("fleetdeploy.cli.deploy.ASK_ABOVE", 1)
    assert shell("deploy").code == 2
    refused = shell("resume", shell.runs()[-1])
    assert (refused.code, shell.acts) == (2, [])
    assert "nobody is here to agree" in refused.err
    shell.killed(EARLY, "deploy", "-l", "gpu1,gpu2")
    assert shell("resume").code == 0


def test_a_plan_file_is_carried_on(shell: Shell) -> None:
    """What the run itself changed is no reason to refuse; a plan file that wants something else by now is."""
    assert shell("plan", "--out", "next.plan").code == 0
    shell.own = {}
    shell.killed(MIDDLE, "deploy", "next.plan")
    assert shell("deploy", "next.plan").code == 5
    result = shell("resume", shell.runs()[1])
    assert result.code == 0, result.err
    converged(shell)


def test_a_rollback_is_carried_on_to_the_same_release(shell: Shell) -> None:
    """However far it came, hosts go back to what the killed rollback had found out, and no further."""
    assert shell("deploy").code == 0
    shell.project.edit("versions: [2]", "versions: [3]")
    assert shell("deploy").code == 0
    assert shell.serves() == {"gpu1": (3,), "gpu2": (3,)}
    assert shell("rollback").code == 0
    journal = shell.path / "state" / "runs" / shell.runs()[-1] / "events.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])  # killed while it wrote that it had ended
    assert shell.serves() == {"gpu1": (2,), "gpu2": (2,)}
    result = shell("resume")
    assert (result.code, shell.serves()) == (0, {"gpu1": (2,), "gpu2": (2,)}), result.err
    assert result.last_line == "OK: 2 hosts, nothing to do"


def test_a_rollback_killed_in_the_middle_is_ended(shell: Shell) -> None:
    """gpu1 is back already and is let alone, gpu2 goes back to the same."""
    assert shell("deploy").code == 0
    shell.killed(MIDDLE, "rollback")
    result = shell("resume")
    assert result.code == 0, result.err
    assert [act for act in shell.acts if act.startswith("gpu1")] == []
    converged(shell, 1)


# What cannot be carried on


def test_changed_inputs_are_refused_with_the_difference(shell: Shell) -> None:
    """Another version, another playbook, another file of the model: exit 5, the place, and the command for it."""
    shell.killed(MIDDLE, "deploy")
    run = shell.runs()[-1]
    shell.project.edit("versions: [2]", "versions: [3]")
    result = shell("resume")
    assert (result.code, shell.acts) == (5, [])
    text = " ".join(result.err.split())
    assert f"the inputs have changed since run {run} began" in text
    assert "gpu1, gpu2 services.ranking.wanted.models.ranker.versions" in text
    assert "fleetdeploy deploy -i inventory.yml --state-dir state" in text
    shell.project.edit("versions: [3]", "versions: [2]")
    (shell.path / "models" / "ranker" / "2" / "more").write_text("x")
    assert shell("resume").code == 5
    (shell.path / "models" / "ranker" / "2" / "more").unlink()
    shell.project.edit("max_unavailable: 1", "max_unavailable: 2", file="playbooks/deploy.yml")
    assert shell("resume").code == 5
    assert shell("deploy").code == 0
    converged(shell)


def test_inputs_are_those_of_the_first_run(shell: Shell) -> None:
    """A resumed run that was killed before it kept anything is held against what the one before it was for."""
    shell.killed(MIDDLE, "deploy")
    shell.killed(("gpu2", "observe"), "resume")
    assert not (shell.path / "state" / "runs" / shell.runs()[-1] / "wanted.json").exists()
    shell.project.edit("versions: [2]", "versions: [3]")
    assert shell("resume").code == 5


def test_a_damaged_journal_is_not_believed(shell: Shell) -> None:
    """It is named with its first bad record and the command to give again; a cut last line is no damage."""
    shell.killed(MIDDLE, "deploy")
    path = shell.path / "state" / "runs" / shell.runs()[-1] / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"gpu1", b"gpu9"), *lines[2:]]))
    result = shell("resume")
    assert (result.code, shell.acts) == (2, [])
    assert "its journal is damaged at record 2" in result.err
    assert "give its command again: fleetdeploy deploy -i inventory.yml" in " ".join(result.err.split())
    path.write_bytes(b"".join(lines)[:-20])
    assert shell("resume").code == 0
    converged(shell)


def test_a_damaged_journal_is_settled_by_a_later_run(shell: Shell) -> None:
    """One that cannot even tell its hosts does not stand in the way for ever."""
    shell.killed(MIDDLE, "deploy")
    path = shell.path / "state" / "runs" / shell.runs()[-1] / "events.jsonl"
    path.write_bytes(b"x" + path.read_bytes())
    assert shell("resume").code == 2
    assert shell("deploy").code == 0
    converged(shell)


@pytest.mark.parametrize("argv", [None, ["resume"], ["lab", "down"], "deploy"])
def test_a_journal_without_a_command_line_is_refused(shell: Shell, argv: object) -> None:
    """One of another version, or that names another command, is never carried on; its command is told."""
    from fleetdeploy.domain.events import Event, Kind
    from fleetdeploy.rollout.journal import open_run

    journal = open_run(shell.path / "state" / "runs", "20990101T000000Z-ab12")
    data = {"hosts": ["gpu1"], "directory": str(shell.path)} | ({} if argv is None else {"argv": argv})
    journal(Event(Kind.RUN_STARTED, 1.0, "20990101T000000Z-ab12", message="fleetdeploy deploy -x", data=data))
    journal.close()
    result = shell("resume")
    assert (result.code, shell.acts) == (2, [])
    assert "does not tell how it was called" in " ".join(result.err.split())
    assert "give its command again: fleetdeploy deploy -x" in " ".join(result.err.split())


def test_options_of_another_version_are_refused(shell: Shell) -> None:
    """A command line that this version cannot read ends with exit 2 and says whose it is."""
    from fleetdeploy.domain.events import Event, Kind
    from fleetdeploy.rollout.journal import open_run

    run = "20990101T000000Z-ab12"
    journal = open_run(shell.path / "state" / "runs", run)
    data = {"hosts": ["gpu1"], "directory": str(shell.path), "argv": ["deploy", "--no-such-option"]}
    journal(Event(Kind.RUN_STARTED, 1.0, run, message="fleetdeploy deploy --no-such-option", data=data))
    journal.close()
    result = shell("resume")
    assert result.code == 2
    assert "this version of fleetdeploy does not know" in " ".join(result.err.split())


def test_what_was_wanted_must_be_readable(shell: Shell) -> None:
    """A damaged file beside the journal is no licence to do whatever is wanted now."""
    shell.killed(MIDDLE, "deploy")
    kept = shell.path / "state" / "runs" / shell.runs()[-1] / "wanted.json"
    kept.write_text(kept.read_text()[:100])
    result = shell("resume")
    assert (result.code, shell.acts) == (2, [])
    assert "cannot be read" in result.err


def test_a_state_directory_that_is_not_there_is_a_mistake(shell: Shell) -> None:
    """A typo in --state-dir is not told as a fleet without anything to resume."""
    shell.killed(MIDDLE, "deploy")
    shell.state = "sate"
    result = shell("resume")
    assert result.code == 2
    assert "there is no such state directory" in result.err
    (shell.path / "sate").mkdir()
    (shell.path / "sate" / "runs").write_text("no directory")
    assert "the runs cannot be read: Not a directory" in shell("resume").err


def test_a_run_that_goes_on_is_not_touched(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process has its lock it is told as going on, exit 6."""
    from fleetdeploy.rollout.locks import local

    shell.killed(MIDDLE, "deploy")
    real, found = local.hold, list[int]()

    def busy() -> None:
        monkeypatch.setattr(local, "hold", real)
        found.append(shell("resume").code)

    shell.at(("gpu2", "observe"), busy)
    shell("resume")
    assert found == [6]


def test_every_line_of_help_fits_a_terminal(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns are enough, and the exit code of nothing to do is told."""
    monkeypatch.setenv("COLUMNS", "80")
    text = shell("resume", "--help").out
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"nothing to resume is no failure", text, re.IGNORECASE)
