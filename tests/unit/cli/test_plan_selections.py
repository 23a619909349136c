"""``plan`` with ``--tags`` and its relatives: what such a deploy does, and what it leaves to other tasks."""

from __future__ import annotations

import pytest

from .conftest import Project

LEFT = "    not with these tasks: reload, only the model configuration changed"


@pytest.fixture
def served(project: Project) -> Project:
    """Version 1 is served, version 2 wanted; the playbook is the one that comes with the project."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    return project


def test_a_plan_tells_only_what_the_chosen_tasks_do(served: Project) -> None:
    """``--tags stage`` copies: no difference of the configuration and no step of the server is promised."""
    result = served.run("plan", "--exit-code", "--tags", "stage")
    assert result.code == 10
    rows = result.out.splitlines()
    assert rows[:2] == ["gpu1, gpu2", "  service ranking"]
    assert rows[2].startswith("    stage ranker/2: copy ")
    assert LEFT in rows
    assert "server:" not in result.out
    assert "models.ranker.versions" not in result.out
    assert rows[-1].startswith("PLAN: 2 of 2 hosts would change, 2 need tasks not chosen, ")


@pytest.mark.parametrize("tag", ["stage", "tidy"])
def test_what_is_left_to_other_tasks_is_no_change(served: Project, tag: str) -> None:
    """Once staged, plan and deploy agree that these tasks have nothing to do, and both say that more is needed."""
    assert served.run("deploy", "--tags", "stage").code == 0
    plan = served.run("plan", "--exit-code", "--tags", tag)
    assert plan.code == 0
    assert plan.out.splitlines() == [
        "gpu1, gpu2",
        "  service ranking",
        LEFT,
        "PLAN: 0 of 2 hosts would change, 2 need tasks not chosen",
    ]
    deploy = served.run("deploy", "--tags", tag)
    assert (deploy.code, served.acts) == (0, [])
    assert deploy.last_line == "OK: 2 hosts, nothing to do with these tasks; 2 need tasks not chosen"
    found = served.run("plan", "--json", "--tags", tag).json
    assert found["changed"] is False
    assert found["hosts"]["gpu1"]["changed"] is False
    assert found["hosts"]["gpu1"]["pending"] == [
        {"service": "ranking", "task": "activate", "what": "reload, only the model configuration changed"}
    ]


def test_what_was_staged_is_told_as_done(served: Project) -> None:
    """A run that did its part says what is left."""
    deploy = served.run("deploy", "--tags", "stage")
    assert deploy.last_line == "OK: 2 of 2 hosts changed; 2 need tasks not chosen"
    assert served.run("deploy", "--tags", "switch").last_line == "OK: 2 of 2 hosts changed"


def test_prune_is_shown_beside_what_is_left(project: Project) -> None:
    """``--tags tidy`` on hosts that need more: what it removes is a change, and stands in the plan."""
    for number in (1, 2, 3):
        assert project.run("deploy").code == 0
        project.edit(f"versions: [{number}]", f"versions: [{number + 1 if number < 3 else 3}]")
    project.edit("keep: 3", "keep: 1", file="playbooks/deploy.yml")
    project.edit("image: serving:1", "image: serving:2")
    plan = project.run("plan", "--exit-code", "--tags", "tidy")
    assert plan.code == 10
    assert "  prune: ranker/1" in plan.out
    assert "    not with these tasks: replace, " in plan.out
    deploy = project.run("deploy", "--tags", "tidy")
    assert deploy.last_line == "OK: 2 of 2 hosts changed; 2 need tasks not chosen"
    assert sorted(project.acts) == ["gpu1 files.remove_versions", "gpu2 files.remove_versions"]


def test_a_whole_playbook_leaves_nothing(served: Project) -> None:
    """Without a selection nothing is left to other tasks, in text and JSON."""
    assert "not with these tasks" not in served.run("plan").out
    assert [host["pending"] for host in served.run("plan", "--json").json["hosts"].values()] == [[], []]
    assert served.run("deploy").last_line == "OK: 2 of 2 hosts changed"


def test_a_proof_that_would_fail_is_refused_by_the_plan(served: Project) -> None:
    """``--start-at-task`` behind what activates: plan and deploy say the same, exit 5, and nothing is touched."""
    assert served.run("deploy", "--tags", "stage").code == 0
    for command in ("plan", "deploy"):
        result = served.run(command, "--start-at-task", "verify")
        assert (result.code, served.acts) == (5, [])
        assert "is not active yet, so nothing can prove it" in result.out + result.err


def test_many_hosts_that_these_tasks_leave_alone_need_no_agreement(
    served: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked about hosts on which nothing would be done."""
    assert served.run("deploy", "--tags", "stage").code == 0
    monkeypatch.setattr("fleetdeploy.cli.changing.deploy.ASK_ABOVE", 1)
    assert served.run("deploy", "--tags", "stage").code == 0
    assert served.run("deploy").code == 2


def test_refusals_of_a_deploy_are_grouped(served: Project) -> None:
    """Two hosts with the same reason share a row in the error, too."""
    for host in served.world.hosts.values():
        host.reachable = False
    result = served.run("deploy")
    assert result.code == 5
    assert "error: gpu1, gpu2: unreachable: no route to host" in result.err
