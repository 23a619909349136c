"""A rollback that did not come to its end, on hosts that have no release in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from simulation.model_server import Quality

from ..conftest import Project
from ..resumes import FIRST_HOST, SECOND, Result, Shell, converged

pytestmark = pytest.mark.simulation


@pytest.fixture
def apart(project: Project, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Versions 1, 2 and 3 were deployed; gpu2's container has another REST port, and so hashes of its own."""
    project.edit(
        "        gpu[1:2]: {}\n",
        "        gpu1: {}\n        gpu2: {services: {ranking: {ports: {rest: 8502}}}}\n",
    )
    made = Shell(project, monkeypatch)
    for old, new in ((1, 1), (1, 2), (2, 3)):
        project.edit(f"versions: [{old}]", f"versions: [{new}]")
        assert made("deploy").code == 0
    return made


def kept(shell: Shell, run: str = "") -> Path:
    """What the newest run, or the one named, kept of what it was to bring about."""
    return shell.path / "state" / "runs" / (run or shell.runs()[-1]) / "wanted.json"


def aims(shell: Shell, run: str = "") -> Any:
    return json.loads(kept(shell, run).read_text())["aims"]


def ended(shell: Shell, how: str) -> Result:
    """A rollback that ends that way when one host is back and the other is not."""
    if how == "killed":
        return shell.killed(SECOND, "rollback")
    if how == "interrupted":
        return shell.interrupted((FIRST_HOST, "files.clear_drained"), "rollback")

    def spoil() -> None:
        shell.world.hosts[shell.order[1]].quality["ranker", 2] = Quality.WRONG

    shell.at(SECOND, spoil)
    result = shell("rollback")
    shell.at_each(lambda _: None)
    for host in shell.world.hosts.values():
        host.quality.clear()
    return result


@pytest.mark.parametrize(("how", "code"), [("interrupted", 130), ("failed", 4)])
def test_what_the_last_line_names_goes_to_the_same_releases(apart: Shell, how: str, code: int) -> None:
    """Where hosts go to different releases the run itself is named, and a host that is back goes no further."""
    result = ended(apart, how)
    run, back = apart.runs()[-1], apart.order[0]
    (behind,) = set(apart.world.hosts) - {back}
    assert (result.code, apart.serves()) == (code, {back: (2,), behind: (3,)})
    command = f"fleetdeploy resume --state-dir state {run}"
    assert result.last_line.endswith(command)
    assert command in apart.shown(run).out
    again = apart(*command.split()[1:])
    assert again.code == 0, again.err
    assert [act for act in apart.acts if act.startswith(back)] == []
    converged(apart, 2)


def test_whoever_ends_it_at_once_is_told_the_same(apart: Shell) -> None:
    """The last words of a second Ctrl-C name the run as well: one more rollback would go too far."""
    said = list[str]()
    apart.at(SECOND, lambda: said.append(apart._interrupts[-1].last_words))
    assert apart("rollback").code == 0
    assert said[0].endswith(f"run again: fleetdeploy resume --state-dir state {apart.runs()[-1]}\n")


def test_values_of_extra_vars_are_asked_for_in_the_command(apart: Shell) -> None:
    """What is kept nowhere has its place in the command that is named."""
    result = apart.interrupted((FIRST_HOST, "files.clear_drained"), "rollback", "-e", "colour=crimson")
    assert result.last_line.endswith(f"fleetdeploy resume --state-dir state {apart.runs()[-1]} -e colour=...")
    assert apart("resume").code == 2
    assert apart("resume", "-e", "colour=crimson").code == 0
    converged(apart, 2)


def test_a_killed_one_is_carried_on_however_often_it_is_killed(apart: Shell) -> None:
    """Each run knows the aims of the first, also behind one that was killed before it had found out anything."""
    ended(apart, "killed")
    first, (back, behind) = apart.runs()[-1], apart.order
    apart.killed((back, "observe"), "resume")
    assert not kept(apart).exists()
    apart.killed((behind, "serving.reload"), "resume")
    assert aims(apart) == aims(apart, first)
    assert apart.serves()[back] == (2,)
    result = apart("resume")
    assert result.code == 0, result.err
    converged(apart, 2)


def test_one_that_was_killed_at_its_very_end_goes_no_further(apart: Shell) -> None:
    """All hosts are back, and only the record of the end is missing: there is nothing to do."""
    assert apart("rollback").code == 0
    journal = kept(apart).parent / "events.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    result = apart("resume")
    assert (result.code, result.last_line) == (0, "OK: 2 hosts, nothing to do"), result.err
    assert apart.serves() == {"gpu1": (2,), "gpu2": (2,)}


def test_a_resume_that_is_refused_names_itself_to_go_on_with(apart: Shell) -> None:
    """While a host is away neither the refusal nor the run without it sends anybody to a bare rollback."""
    ended(apart, "killed")
    _, behind = apart.order
    apart.world.hosts[behind].reachable = False
    for words, code in ((), 5), (("--allow-unreachable",), 8):
        assert apart("resume", *words).code == code
        run = apart.runs()[-1]
        assert f"next: fleetdeploy resume --state-dir {apart.path / 'state'} {run}\n" in apart.shown(run).out
    apart.world.hosts[behind].reachable = True
    result = apart("resume")
    assert result.code == 0, result.err
    converged(apart, 2)


def test_a_host_that_was_skipped_goes_its_own_step_back(apart: Shell) -> None:
    """What could not be asked at first is asked later, and its aim is kept from then on."""
    apart.project.edit("max_unavailable: 1", "max_unavailable: 2", file="playbooks/deploy.yml")
    apart.world.hosts["gpu2"].reachable = False
    assert apart("rollback", "--allow-unreachable").code == 8
    assert aims(apart)["gpu2"] == {}
    apart.world.hosts["gpu2"].reachable = True
    apart.killed(("gpu2", "serving.reload"), "resume")
    assert aims(apart)["gpu2"] != {}
    result = apart("resume")
    assert result.code == 0, result.err
    converged(apart, 2)


def test_it_keeps_to_the_hosts_that_it_was_limited_to(apart: Shell) -> None:
    """With --limit one release is left, which is named as ever, and the other host is let alone."""
    apart.killed(("gpu2", "serving.reload"), "rollback", "-l", "gpu2")
    assert list(aims(apart)) == ["gpu2"]
    assert apart("resume").code == 0
    assert apart.serves() == {"gpu1": (3,), "gpu2": (2,)}


def test_hosts_that_came_or_went_meanwhile_refuse_it(apart: Shell) -> None:
    """A host that the inventory has lost is not passed over, and one that is new is not taken along."""
    ended(apart, "killed")
    before = apart.serves()
    apart.project.edit("        gpu1: {}\n", "        gpu1: {}\n        gpu3: {}\n")
    new = apart("resume")
    assert (new.code, apart.acts) == (5, [])
    assert "have changed since run" in new.err
    assert "gpu3 new" in new.err
    apart.project.edit("        gpu1: {}\n        gpu3: {}\n", "")
    gone = apart("resume")
    assert (gone.code, apart.acts, apart.serves()) == (5, [], before)
    assert "gpu1 no longer there" in gone.err
    apart.project.edit("          ranking:\n", "          scoring:\n")
    apart.project.edit("pools: {ranking:", "pools: {scoring:")
    apart.project.edit("gpu2: {services: {ranking: {ports: {rest: 8502}}}}", "gpu1: {}\n        gpu2: {}")
    renamed = apart("resume")
    assert (renamed.code, apart.acts, apart.serves()) == (5, [], before)
    assert "ranking on gpu1, ranking on gpu2 no longer there" in renamed.err


def test_a_run_of_a_version_that_kept_no_aims_is_carried_on_as_it_was_called(shell: Shell) -> None:
    """Its command line, with the one release that all hosts go back to, is all there is, and is enough."""
    assert shell("deploy").code == 0
    shell.killed(SECOND, "rollback")
    wanted = json.loads(kept(shell).read_text())
    assert len({content for of_host in wanted.pop("aims").values() for content in of_host.values()}) == 1
    kept(shell).write_text(json.dumps(wanted))
    assert shell("resume").code == 0
    converged(shell, 1)
