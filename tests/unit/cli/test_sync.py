"""`sync`: as `deploy`, without a word unless there is news."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from simulation.wire import Wire

from fleetdeploy.cli import options
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.errors import Unreachable
from fleetdeploy.remote.clock import SystemClock
from fleetdeploy.rollout.locks import local

from .conftest import Project, Result

pytestmark = pytest.mark.simulation


def metrics(path: Path) -> dict[str, float]:
    """By name, less the prefix, and the labels' values but for the inventory's."""
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            words = [sample.name.removeprefix("fleetdeploy_")]
            words += [value for name, value in sorted(sample.labels.items()) if name != "inventory"]
            found[" ".join(words)] = sample.value
    return found


def test_it_converges_and_tells_the_change(project: Project) -> None:
    """The first run changes the fleet and says so, with a recap and a true last line; nobody is asked."""
    result = project.run("sync")
    assert (result.code, result.last_line, result.out) == (0, "OK: 2 of 2 hosts changed", "")
    assert "gpu1 : ok=" in result.err


def test_without_news_there_is_no_output(project: Project) -> None:
    """A run that finds nothing to do is silent on both streams, and touches nothing."""
    project.run("sync")
    result = project.run("sync")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert project.acts == []


def test_who_asks_sees_the_run(project: Project) -> None:
    """With -v there is a last line without any news, and --json prints the result."""
    project.run("sync")
    assert project.run("sync", "-v").last_line == "OK: 2 hosts, nothing to do"
    assert project.run("sync", "--json").json["exit_code"] == 0


def test_more_hosts_than_a_person_is_asked_for_are_no_question(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who types sync has agreed to all of them."""
    monkeypatch.setattr("fleetdeploy.cli.changing.deploy.ASK_ABOVE", 1)
    assert project.run("deploy").code == 2
    assert project.run("sync").code == 0


@pytest.mark.parametrize("how", ["option", "settings"])
def test_more_hosts_than_may_change_wait_for_a_person(project: Project, how: str) -> None:
    """Above --max-hosts nothing is touched, exit 9; as many as it says are changed."""
    if how == "settings":
        (project.path / "fleetdeploy.yml").write_text("sync: {max_hosts: 1}\n")
    held = project.run("sync", *(["--max-hosts", "1"] if how == "option" else []))
    assert held.code == 9
    assert "2 hosts would change, and at most 1 may without a person" in held.err
    assert project.acts == []
    assert project.run("sync", "--max-hosts", "2").code == 0


def test_one_that_is_locked_out_says_one_line(project: Project) -> None:
    """While another run has the hosts there is exit 6 and one line for the mail; metrics tell of the attempt."""
    project.run("sync", "--textfile", str(project.path / "fd.prom"))
    before = metrics(project.path / "fd.prom")
    world = project.world
    inventory = load_inventory([project.path / "inventory.yml"])
    hosts = [inventory.hosts[name] for name in ("gpu1", "gpu2")]
    with local.hold(options.state_home() / "locks", hosts, "other", SystemClock()):
        world.clock.skip(100)
        result = project.run("sync", "--textfile", str(project.path / "fd.prom"))
    assert (result.code, result.out) == (6, "")
    assert result.err.startswith("error: another run works on gpu1: run other of ")
    assert result.err.count("\n") == 1
    after = metrics(project.path / "fd.prom")
    assert after["last_attempt_exit_code sync"] == 6
    assert after["last_attempt_timestamp_seconds sync"] > before["last_attempt_timestamp_seconds sync"]
    assert after["last_run_timestamp_seconds sync"] == before["last_run_timestamp_seconds sync"]


def test_who_cannot_be_reached_is_told_once(project: Project) -> None:
    """One dead host holds nobody back, exit 8, and is in one mail: until it is another, or something changes."""

    def sync(*, reachable: bool) -> Result:
        project.world.clock.skip(300)
        project.world.hosts["gpu2"].reachable = reachable
        return project.run("sync")

    sync(reachable=True)
    first = sync(reachable=False)
    assert (first.code, first.last_line) == (8, "PARTLY: 2 hosts, nothing to do, skipped as unreachable: gpu2")
    again = sync(reachable=False)
    assert (again.code, again.out, again.err) == (8, "", "")
    assert sync(reachable=True).err == ""
    assert sync(reachable=False).last_line == first.last_line, "it was back in between"


def test_a_host_that_a_run_with_changes_left_out_is_not_told_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the next one has nothing else to do says the same in other words; another reason is news."""
    project.edit("max_unavailable: 1 ", "max_unavailable: 2 ", file="playbooks/deploy.yml")

    def sync() -> Result:
        project.world.clock.skip(300)
        return project.run("sync")

    assert sync().code == 0
    project.edit("versions: [1]", "versions: [2]")
    project.world.hosts["gpu2"].reachable = False
    first = sync()
    assert (first.code, first.last_line) == (8, "PARTLY: 1 of 2 hosts changed, skipped as unreachable: gpu2")
    assert [(again.code, again.err) for again in (sync(), sync())] == [(8, ""), (8, "")]
    refused = Unreachable("connection refused", where="gpu2")
    monkeypatch.setattr("simulation.fleet.Unreachable", lambda *_, **__: refused)
    assert sync().last_line == "PARTLY: 2 hosts, nothing to do, skipped as unreachable: gpu2"
    assert sync().err == ""


def test_all_hosts_may_be_asked_for(project: Project) -> None:
    """With --require-all one that cannot be reached refuses the run, as for a deploy."""
    project.run("sync")
    project.world.hosts["gpu2"].reachable = False
    result = project.run("sync", "--require-all")
    assert result.code == 5
    assert "gpu2: unreachable" in result.err


def test_a_failure_is_told_every_time(project: Project) -> None:
    """What has to be mended is in every mail until it is mended, and the exit code is a deploy's."""
    project.edit("versions: [1]", "versions: [9]")
    for _ in range(2):
        result = project.run("sync")
        assert result.code in {2, 7}
        assert "9" in result.err


def test_the_splay_is_the_machines_own(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One machine begins each time as late, two of them at other times, none later than it says."""
    waited: dict[str, set[float]] = {}
    for name in ("one", "two", "one", "three"):
        spent: list[float] = []
        monkeypatch.setattr(os, "uname", lambda name=name: SimpleNamespace(nodename=name))
        monkeypatch.setattr(project.world.clock, "wait", spent.append)
        project.run("sync", "--splay", "5m", "-l", "nobody")
        waited.setdefault(name, set()).update(spent)
    assert all(len(times) == 1 for times in waited.values()), waited
    times = {next(iter(found)) for found in waited.values()}
    assert len(times) == 3
    assert all(0 < seconds < 300 for seconds in times)


def test_a_ctrl_c_in_the_splay_changes_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not want to wait any longer ends it at once; no host was asked anything."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(project.world.clock, "wait", interrupted)
    result = project.run("sync", "--splay", "5m", "--textfile", str(project.path / "fd.prom"))
    assert (result.code, result.err) == (130, "interrupted; nothing was being changed\n")
    assert project.wires == list[Wire]()
    assert metrics(project.path / "fd.prom")["last_attempt_exit_code sync"] == 130


def test_the_settings_say_what_and_the_command_line_wins(project: Project) -> None:
    """Playbook and limit come from the settings where the command line names none."""
    (project.path / "fleetdeploy.yml").write_text("sync: {limit: gpu1}\n")
    assert project.run("sync").last_line == "OK: 1 of 1 host changed"
    assert {act.split()[0] for act in project.acts} <= {"gpu1", "lb"}
    assert project.run("sync", "-l", "gpu2").last_line == "OK: 1 of 1 host changed"
    (project.path / "fleetdeploy.yml").write_text("sync: {playbook: playbooks/none.yml}\n")
    missing = project.run("sync")
    assert missing.code == 2
    assert "playbooks/none.yml" in missing.err


def test_metrics_of_a_run(project: Project) -> None:
    """They tell what each host serves, what waits and what is owed, after a change and without one."""
    path = project.path / "fd.prom"
    (project.path / "fleetdeploy.yml").write_text("textfile: fd.prom\n")
    for _ in range(2):
        assert project.run("sync").code == 0
        found = metrics(path)
        assert {name for name in found if name.startswith("version_served")} == {
            "version_served gpu1 ranker ranking 1", "version_served gpu2 ranker ranking 1",
        }  # fmt: skip
        assert (found["hosts_pending"], found["debts"], found["last_run_exit_code sync"]) == (0, 0, 0)
    project.edit("versions: [1]", "versions: [2]")
    assert project.run("deploy", "-l", "gpu1").code == 0
    found = metrics(path)
    assert "version_served gpu1 ranker ranking 2" in found
    assert "last_run_exit_code deploy" in found


def test_metrics_of_one_that_was_refused(project: Project) -> None:
    """Bad input is an attempt with its exit code, and no run."""
    project.edit("versions: [1]", "versions: [9]")
    code = project.run("sync", "--textfile", str(project.path / "fd.prom")).code
    found = metrics(project.path / "fd.prom")
    assert found["last_attempt_exit_code sync"] == code
    assert not any(name.startswith("last_run") for name in found)


def test_metrics_without_a_file_are_refused(project: Project) -> None:
    """A variable of a script that is empty is no directory of now."""
    result = project.run("sync", "--textfile", "")
    assert result.code == 2
    assert "argument --textfile: '' names no file; write something like /var/lib" in result.err
    assert project.acts == []


def test_metrics_that_cannot_be_written_change_nothing(project: Project) -> None:
    """It is told, and the run ends as it did."""
    result = project.run("sync", "--textfile", str(project.path / "nowhere" / "fd.prom"))
    assert result.code == 0
    assert "note: the metrics cannot be written" in result.err


def test_what_a_host_owes_is_known_whatever_the_state_directory_is(project: Project) -> None:
    """A host that one state directory's run left behind is made good by a run with another one, before it has
    requests, and an entry of a state directory that older runs left there is made good as well.
    """
    project.edit("max_unavailable: 1 ", "max_unavailable: 2 ", file="playbooks/deploy.yml")
    for version, older in enumerate((False, True), 2):
        project.run("sync")
        project.edit(f"versions: [{version - 1}]", f"versions: [{version}]")
        project.world.hosts["gpu2"].reachable = False
        left = project.run("sync")
        assert (left.code, {server for _, server in project.world.drained}) == (8, {"gpu2"})
        project.world.hosts["gpu2"].reachable = True
        where = "elsewhere"
        if older:
            (options.state_home() / "debts").rename(project.path / "state/debts")
            where = "state"
        done = project.run("sync", "--state-dir", str(project.path / where))
        assert (done.code, done.last_line) == (0, "OK: 1 of 2 hosts changed")
        assert project.world.drained == set()
        assert not list(project.path.glob("*/debts/*"))
        assert not list((options.state_home() / "debts").glob("*"))
