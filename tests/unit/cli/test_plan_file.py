"""``plan --out`` and ``deploy FILE`` against a simulated fleet: applied as shown, or refused with the difference."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from simulation.fleet import SimSession
from simulation.wire import Wire

from .conftest import Project, Result

pytestmark = pytest.mark.simulation


def planned(project: Project, *arguments: str, name: str = "next.plan") -> Path:
    """Version 2 is wanted on a fleet that serves version 1, and the plan is in a file."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    path = project.path / name
    result = project.run("plan", "--out", str(path), *arguments)
    assert result.code == 0, result.err
    return path


def refused(project: Project, path: Path, *arguments: str, code: int = 5) -> Result:
    result = project.run("deploy", *arguments, str(path))
    assert (result.code, project.acts) == (code, []), result.err
    return result


def test_a_plan_is_applied_as_it_was_shown(project: Project) -> None:
    """The file alone is enough: what it names is read, planned again, found the same, and done."""
    path = planned(project)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    result = project.run("deploy", str(path))
    assert (result.code, result.last_line) == (0, "OK: 2 of 2 hosts changed")
    assert project.world.serves("gpu2").versions == (("ranker", (2,)),)


def test_plan_says_where_it_was_written(project: Project) -> None:
    """stdout is the plan as ever; stderr has the file and what to type next."""
    path = planned(project)
    result = project.run("plan", "--json", "--out", str(path))
    assert result.json["changed"] is True
    assert result.err == f"{path}: written; apply just this with: fleetdeploy deploy {path}\n"
    assert json.loads(path.read_text())["plan"]["hosts"] == result.json["hosts"]


def test_a_changed_fleet_is_refused_with_the_difference(project: Project) -> None:
    """A container that somebody stopped is named by host and place; nothing is touched, and planning again helps."""
    path = planned(project)
    project.world.hosts["gpu2"].stop("fleetdeploy-ranking")
    result = refused(project, path)
    assert "error: the fleet has changed since this was planned" in result.err
    assert "gpu2 services.ranking.observed.container.status: running -> exited" in result.err
    assert "gpu2 services.ranking.activation: reload -> start" in result.err
    assert "gpu1 services" not in result.err
    assert f"plan again: fleetdeploy plan -i {project.path}/inventory.yml" in result.err
    project.run("plan", "--out", str(path))
    assert project.run("deploy", str(path)).code == 0


def test_changed_inputs_are_refused_before_any_host_is_contacted(project: Project) -> None:
    """Another version, another file of a model, another golden request, another playbook: each at its place."""
    path = planned(project)

    def check(place: str) -> None:
        result = refused(project, path)
        assert "error: the inputs have changed since this was planned" in result.err
        assert place in result.err
        assert project.wires == []

    project.edit("versions: [2]", "versions: [3]")
    check("gpu1, gpu2 services.ranking.wanted.models.ranker.versions.3: (not there) -> ")
    project.edit("versions: [3]", "versions: [2]")
    golden = project.path / "golden.jsonl"
    text = golden.read_text()
    golden.write_text(text.replace("[[1.0]]", "[[1.5]]"))
    check("gpu1, gpu2 services.ranking.wanted.models.ranker.golden: ")
    golden.write_text(text)
    extra = project.path / "models/ranker/2/assets.extra"
    extra.mkdir()
    (extra / "vocab.txt").write_text("a")
    check("gpu1, gpu2 services.ranking.wanted.models.ranker.versions.2: ")
    (extra / "vocab.txt").unlink()
    extra.rmdir()
    project.edit("max_unavailable: 1", "max_unavailable: 2", file="playbooks/deploy.yml")
    check("plays #2.max_unavailable.amount: 1 -> 2")
    project.edit("max_unavailable: 2", "max_unavailable: 1", file="playbooks/deploy.yml")
    project.edit("timeout: 5m", "timeout: 6m", file="playbooks/deploy.yml")
    check("plays #2.tasks #3.arguments.timeout: 300.0 -> 360.0")
    project.edit("timeout: 6m", "timeout: 5m", file="playbooks/deploy.yml")
    assert project.run("deploy", str(path)).code == 0, "as it was again"


def test_what_a_finished_deploy_leaves_is_another_fleet(project: Project) -> None:
    """The same file a second time is refused: what it shows has been done."""
    path = planned(project)
    assert project.run("deploy", str(path)).code == 0
    result = refused(project, path)
    assert "gpu1, gpu2 services.ranking.observed.served.ranker.2: (not there) -> AVAILABLE" in result.err


def test_a_host_that_went_down_is_a_difference(project: Project) -> None:
    """It is told as one, not with --allow-unreachable, which a plan file does not take."""
    path = planned(project)
    project.world.hosts["gpu2"].reachable = False
    result = refused(project, path)
    assert "gpu2: (there) -> (not there)" in result.err
    assert "unreachable.gpu2: (not there) -> no route to host" in result.err
    assert "--allow-unreachable: a plan file is of hosts" in refused(project, path, "--allow-unreachable", code=2).err


def test_a_plan_that_a_deploy_would_refuse_is_not_written(project: Project) -> None:
    """With a host down, and with a host that refuses, there is no file, and it is said why."""
    path = project.path / "no.plan"
    project.world.hosts["gpu2"].reachable = False
    result = project.run("plan", "--out", str(path))
    assert result.code == 5
    assert f"{path}: not written, because a deploy of this plan would be refused" in result.err
    project.world.hosts["gpu2"].reachable = True
    project.run("deploy")
    project.edit("ranker: {source: models/ranker, v", "other: {source: models/ranker, v")
    result = project.run("plan", "--out", str(path))
    assert result.code == 5
    assert "not written" in result.err
    assert not path.exists()


def test_no_question_is_asked_with_a_plan_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """More hosts than may change without a word: who has a plan file has been shown them."""
    path = planned(project)
    monkeypatch.setattr("fleetdeploy.cli.deploy.ASK_ABOVE", 1)
    assert project.run("deploy").code == 2
    assert project.run("deploy", str(path)).code == 0


def test_options_stand_in_the_file(project: Project) -> None:
    """A limit is that of the plan; the same option again is no harm, another one is refused."""
    path = planned(project, "-l", "gpu1", "--allow-remove", "-e", "rack=r7", "--skip-tags", "never")
    given = json.loads(path.read_text())["inputs"]
    assert given["extra_vars"] == ["rack"]
    assert "r7" not in path.read_text()
    for arguments, message in {
        ("-l", "gpu2"): "-l gpu2: this was planned with -l gpu1",
        ("-e", "rack=r7", "-l", "all"): "-l all: this was planned with -l gpu1",
        (): "-e rack: this was planned with it",
        ("-e", "rack=r7", "-e", "more=1"): "-e more: this was planned without it",
        ("-e", "rack=r7", "--tags", "one"): "--tags one: this was planned with --tags none",
        ("-e", "rack=r7", "-i", "elsewhere.yml"): "elsewhere.yml: this was planned with -i ",
        ("-e", "rack=r7", "--allow-signature-change", "ranker"): "--allow-signature-change ranker",
        ("-e", "rack=r7", "-f", "3"): "-f 3: this was planned with -f 20",
        ("-e", "rack=r7", "--project", "/nowhere"): "--project /nowhere",
    }.items():
        assert message in refused(project, path, *arguments, code=2).err
    assert project.run("deploy", "-C", "-e", "rack=r7", "-l", "gpu1", "--allow-remove", str(path)).code == 0
    result = project.run("deploy", "-e", "rack=r7", str(path))
    assert (result.code, result.last_line) == (0, "OK: 1 of 1 host changed")


def test_check_only_shows_a_plan_file(project: Project) -> None:
    """``deploy -C FILE`` and ``plan FILE`` print the plan while it holds, and the difference when it does not."""
    path = planned(project)
    for command in (("deploy", "-C"), ("plan",)):
        shown = project.run(*command, str(path))
        assert (shown.code, project.acts) == (0, [])
        assert "service ranking: reload" in shown.out
    project.world.hosts["gpu1"].stop("fleetdeploy-ranking")
    assert "container.status: running -> exited" in refused(project, path, "-C").err
    assert project.run("plan", str(path)).code == 5
    assert project.run("deploy", "--list-hosts", str(path)).out.startswith("playbook: ")


def test_a_host_that_changes_in_the_middle_of_the_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is not as planned when its turn comes fails before it is touched; the rollout stops there."""
    path = planned(project)
    look, looks = SimSession.observe, list[str]()

    def observe(self: SimSession, services: Any) -> Any:
        looks.append(self.sim.name)
        # The first look is the plan's, the second before files are put in place, the third before it is drained.
        if self.sim.name == "gpu2" and looks.count("gpu2") == 3:
            self.sim.stop("fleetdeploy-ranking")
        return look(self, services)

    monkeypatch.setattr(SimSession, "observe", observe)
    result = project.run("deploy", "--json", str(path))
    assert result.code == 4, "gpu1 is switched over by then"
    host = result.json["hosts"]["gpu2"]
    assert host["state"] == "failed"
    assert (
        "changed since it was planned: services.ranking.observed.container.status: running -> exited" in host["reason"]
    )
    assert "gpu2 files.mark_drained" not in project.acts
    assert "gpu2 containers.start" not in project.acts
    assert "--out" in result.json["summary"], "the way on is another plan"


def test_a_host_that_changes_before_its_files_are_put_in_place(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nothing at all has been done to it, and the other hosts are only prepared."""
    path = planned(project)
    look, looks = SimSession.observe, list[str]()

    def observe(self: SimSession, services: Any) -> Any:
        looks.append(self.sim.name)
        if self.sim.name == "gpu2" and looks.count("gpu2") == 2:
            self.sim.directory("ranking").versions["ranker"].pop(1)
        return look(self, services)

    monkeypatch.setattr(SimSession, "observe", observe)
    result = project.run("deploy", str(path))
    assert result.code == 3
    assert "services.ranking.observed.versions.ranker.1" in result.err
    assert not [act for act in project.acts if act.startswith("gpu2 ")]


def test_only_plan_files_are_overwritten(project: Project) -> None:
    """Anything else that is there stays, before any host was looked at; a directory is not one either."""
    path = planned(project)
    playbook = project.path / "playbooks/deploy.yml"
    before = playbook.read_text()
    for target in (playbook, project.path, project.path / "nowhere/next.plan"):
        result = project.run("plan", "--out", str(target))
        assert (result.code, project.wires) == (2, []), result.err
        assert str(target) in result.err
    assert playbook.read_text() == before
    assert project.run("plan", "--out", str(path)).code == 0
    assert [item.name for item in project.path.iterdir() if item.name.startswith(".")] == []
    assert project.run("plan", str(path), "--out", str(path)).code == 2
    listed = project.run("plan", "--list-hosts", "--out", str(project.path / "other.plan"))
    assert (listed.code, (project.path / "other.plan").exists()) == (2, False)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[: len(text) // 2], "cut short or damaged"),
        (lambda text: text.replace("AVAILABLE", "LOADING", 1), "was changed after it had been written"),
        (lambda text: text.replace('"version": 1', '"version": 2', 1), "is of version 2 of the format"),
        (lambda text: text.replace('"version": 1', '"version": null', 1), "is of version None of the format"),
        (lambda text: text.replace('"limit": null', '"limit": 7', 1), "was changed"),
        (lambda _: '{"format": "fleetdeploy-plan"' + "[" * 100_000, "cut short or damaged"),
        (lambda _: '{"format": "fleetdeploy-plan", "version": 1}', "was changed"),
    ],
)
def test_a_damaged_plan_file(project: Project, spoil: Any, message: str) -> None:
    """Cut short, edited or from another version: told with the file's name and the next step, nothing contacted."""
    path = planned(project)
    path.write_text(spoil(path.read_text()))
    result = refused(project, path, code=2)
    assert message in result.err
    assert str(path) in result.err
    assert "plan --out FILE" in result.err
    assert project.wires == []
    assert "Traceback" not in result.err
    assert project.run("deploy", "--json", str(path)).json["error"] == "PlanFileRefused"


def test_conditions_are_part_of_a_plan(project: Project) -> None:
    """Conditions on facts are found to be the same by another process, and to be others when they were edited."""
    old = "    - verify: {timeout: 5m"
    project.edit(
        old, f"    - run: {{argv: [echo]}}\n      when: facts.boot_id != '1'\n{old}", file="playbooks/deploy.yml"
    )
    path = planned(project)
    assert "0x" not in json.dumps(json.loads(path.read_text())["wanted"]["plays"])
    assert project.run("deploy", "-C", str(path)).code == 0
    project.edit("!= '1'", "!= '2'", file="playbooks/deploy.yml")
    assert "plays #2.tasks #3.when: [facts.boot_id != '1'] -> [" in refused(project, path).err


def test_a_difference_as_json(project: Project) -> None:
    """With ``--json`` the error is one document: its kind, and each difference a line of its detail."""
    path = planned(project)
    project.world.hosts["gpu2"].stop("fleetdeploy-ranking")
    found = project.run("deploy", "--json", str(path)).json
    assert (found["exit_code"], found["error"]) == (5, "PlanOutdated")
    assert "gpu2 services.ranking.observed.container.status: running -> exited" in found["detail"].splitlines()


def test_earlier_runs_make_no_difference(project: Project) -> None:
    """How long waves took is known only after a run; a plan of before still holds."""
    path = planned(project, "-l", "gpu2")
    project.run("deploy", "-l", "gpu1")
    assert project.run("plan").code == 0
    assert project.run("deploy", str(path)).code in {0, 5}


def test_the_wire_is_idle_while_a_file_is_refused(project: Project) -> None:
    """Held against a fleet that has changed, only looks and the balancer's word are asked for."""
    path = planned(project)
    project.world.hosts["gpu1"].stop("fleetdeploy-ranking")
    refused(project, path)
    (wire,) = project.wires
    assert isinstance(wire, Wire)
    assert {method for _, method in wire.calls} <= {"observe", "balancer.members"}
