"""``plan --out`` and ``deploy FILE`` against a simulated fleet: applied as shown, or refused with the difference."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest
from simulation.wire import Wire
from simulation.world import POOLS

from fleetdeploy.domain.observed import Unknown

from .conftest import Project
from .plan_files import planned, refused

pytestmark = pytest.mark.simulation


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


def test_a_plan_that_has_been_done_is_nothing_to_do(project: Project) -> None:
    """The same file a second time does nothing, and says so; with other inputs it is refused as ever."""
    path = planned(project)
    assert project.run("deploy", str(path)).code == 0
    result = project.run("deploy", str(path))
    assert (result.code, result.last_line, project.acts) == (0, "OK: 2 hosts, nothing to do", [])
    project.edit("versions: [2]", "versions: [1]")
    assert "the inputs have changed" in refused(project, path).err


def test_a_part_that_has_been_done_is_nothing_to_do(project: Project) -> None:
    """Tasks that look at hosts all the same find them as they were just seen."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    path = project.path / "next.plan"
    assert project.run("plan", "--tags", "stage", "--out", str(path)).code == 0
    assert project.run("deploy", str(path)).code == 0
    result = project.run("deploy", str(path))
    assert result.code == 0, result.err
    assert result.last_line.startswith("OK: 2 hosts, nothing to do with these tasks")


def test_a_name_that_is_no_file_is_told_first(project: Project) -> None:
    """Whether it was meant as a playbook or as a plan file, and whatever else is not there."""
    planned(project)
    (project.path / "inventory.yml").unlink()
    result = project.run("deploy", str(project.path / "next.plna"))
    assert result.code == 2
    assert "next.plna: no such playbook or plan file\n    did you mean" in result.err
    assert "next.plan?" in result.err


def test_a_host_that_went_down(project: Project) -> None:
    """It is told as such, not as a difference, nor with --allow-unreachable, which a plan file does not take."""
    path = planned(project)
    project.world.hosts["gpu2"].reachable = False
    result = refused(project, path)
    assert "error: gpu2: unreachable: no route to host\n" in result.err
    assert "changed since" not in result.err
    assert f"mend this, or plan without it: fleetdeploy plan -i {project.path}/inventory.yml" in result.err
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
    monkeypatch.setattr("fleetdeploy.cli.changing.deploy.ASK_ABOVE", 1)
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
        ("-e", "rack=r7", "--project", "."): "--project .: this was planned with ",
    }.items():
        assert message in refused(project, path, *arguments, code=2).err
    assert project.run("deploy", "-C", "-e", "rack=r7", "-l", "gpu1", "--allow-remove", str(path)).code == 0
    result = project.run("deploy", "-e", "rack=r7", str(path))
    assert (result.code, result.last_line) == (0, "OK: 1 of 1 host changed")


def test_a_default_that_is_given_is_an_option_too(project: Project) -> None:
    """``-f 20`` beside a plan of ``-f 3`` asks for something else; with nothing said, it is that of the plan."""
    path = planned(project, "-f", "3")
    assert "-f 20: this was planned with -f 3" in refused(project, path, "-f", "20", code=2).err
    for given in (("-f", "3"), ()):
        assert project.run("plan", *given, str(path)).code == 0
    project.world.hosts["gpu2"].stop("fleetdeploy-ranking")
    assert " -f 3 " in refused(project, path).err


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


def test_what_forbids_any_run_is_told_in_its_own_words(project: Project) -> None:
    """A balancer that is down and a host that a person drained are no matter of the plan file."""
    path = planned(project)
    project.world.balancer_down = True
    result = refused(project, path)
    assert "nobody can say which hosts are in service" in result.err
    assert "changed since" not in result.err
    assert "comes out otherwise" not in result.err
    assert project.run("plan", str(path)).code == 5
    project.world.balancer_down = False
    project.world.drained |= {(pool, "gpu2") for pool in POOLS}
    result = refused(project, path)
    assert (
        "gpu2 drained or in maintenance in the balancer, and nothing here tells that fleetdeploy did it" in result.err
    )
    assert "put it back (HAProxy: set server POOL/SERVER state ready)" in result.err
    assert "comes out otherwise" not in result.err
    project.world.drained.clear()
    assert project.run("deploy", str(path)).code == 0


def test_a_server_that_does_not_answer_in_other_words(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reason has a time in it, another one at each look: the plan still holds."""
    project.run("deploy")
    looks = iter(range(1, 99))
    monkeypatch.setattr("simulation.probe._served", lambda *_: Unknown(f"no answer in {next(looks)} s"))
    path = project.path / "next.plan"
    project.edit("versions: [1]", "versions: [2]")
    shown = project.run("plan", "--json", "--out", str(path)).json
    assert " s" in shown["hosts"]["gpu1"]["services"]["ranking"]["server"]["unread"]["ranker"]
    result = project.run("deploy", "-C", str(path))
    assert result.code == 0, result.err


def test_a_balancer_that_is_another_machine(project: Project) -> None:
    """Another address under the balancer's name is seen before any host is contacted."""
    path = planned(project)
    project.edit("lb: {}", "lb: {ansible_host: 10.0.0.9}")
    assert "other_hosts.lb.address: lb -> 10.0.0.9" in refused(project, path).err
    assert project.wires == []


def test_the_environment_of_commands_is_part_of_a_plan(project: Project) -> None:
    """Variables beside a task, and those of its play, are held against the file."""
    verify = "    - verify: {timeout: 5m"
    command = "    - run: {argv: [echo]}\n      environment: {LEVEL: one}\n"
    project.edit(verify, command + verify, file="playbooks/deploy.yml")
    project.edit("  tags: [switch]\n", "  tags: [switch]\n  environment: {MODE: a}\n", file="playbooks/deploy.yml")
    path = planned(project)
    project.edit("LEVEL: one", "LEVEL: two", file="playbooks/deploy.yml")
    assert "plays #2.tasks #3.environment.LEVEL: one -> two" in refused(project, path).err
    project.edit("LEVEL: two", "LEVEL: one", file="playbooks/deploy.yml")
    project.edit("MODE: a", "MODE: b", file="playbooks/deploy.yml")
    assert "environment.MODE: a -> b" in refused(project, path).err
    assert project.wires == []


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
    assert project.run("deploy", "-l", "gpu1").code == 0
    before = json.loads(path.read_text())["plan"]["seconds"]
    assert project.run("plan", "--json", "-l", "gpu2").json["seconds"] != before
    assert project.run("deploy", str(path)).code == 0


def test_the_wire_is_idle_while_a_file_is_refused(project: Project) -> None:
    """Held against a fleet that has changed, only looks and the balancer's word are asked for."""
    path = planned(project)
    project.world.hosts["gpu1"].stop("fleetdeploy-ranking")
    refused(project, path)
    (wire,) = project.wires
    assert isinstance(wire, Wire)
    assert {method for _, method in wire.calls} <= {"observe", "balancer.members", "balancer.noted"}
