"""``resume`` does what the run was called with: where, with which values and limits, and towards which release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..resumes import EARLY, MIDDLE, SECOND, Shell, converged

pytestmark = pytest.mark.simulation


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
    monkeypatch.setattr("fleetdeploy.cli.changing.deploy.ASK_ABOVE", 1)
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
    """The host that is back already is let alone, the other one goes back to the same."""
    assert shell("deploy").code == 0
    shell.killed(SECOND, "rollback")
    back, behind = shell.order
    assert (shell.serves(), shell.left_out()) == ({back: (1,), behind: (2,)}, [behind])
    result = shell("resume")
    assert result.code == 0, result.err
    assert [act for act in shell.acts if act.startswith(back)] == []
    converged(shell, 1)
