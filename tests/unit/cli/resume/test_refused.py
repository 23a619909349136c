"""What ``resume`` does not carry on: other inputs, damaged journals, runs that go on; and how it says so."""

from __future__ import annotations

import re

import pytest

from fleetdeploy.cli import options
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.rollout.locks import local

from ..resumes import MIDDLE, Shell, converged

pytestmark = pytest.mark.simulation


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
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"gpu", b"cpu"), *lines[2:]]))
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


def test_a_run_that_goes_on_is_not_touched(shell: Shell) -> None:
    """While another process has its lock it is told as going on, exit 6."""
    shell.killed(MIDDLE, "deploy")
    inventory = load_inventory([shell.path / "inventory.yml"])
    hosts = [inventory.hosts[name] for name in ("gpu1", "gpu2")]
    with local.hold(options.state_home() / "locks", hosts, shell.runs()[-1], shell.world.clock):
        result = shell("resume")
    assert (result.code, shell.acts) == (6, [])
    assert "another run works on gpu1" in " ".join(result.err.split())
    assert shell("resume").code == 0
    converged(shell)


def test_every_line_of_help_fits_a_terminal(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns are enough, and the exit code of nothing to do is told."""
    monkeypatch.setenv("COLUMNS", "80")
    text = shell("resume", "--help").out
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"nothing to resume is no failure", text, re.IGNORECASE)
