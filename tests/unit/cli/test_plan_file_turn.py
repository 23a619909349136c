"""A host that is not as it was planned when its turn comes: it fails before anything else is done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulation.directory import SimFiles
from simulation.fleet import SimSession
from simulation.host import SimHost

from .conftest import Project, Result
from .plan_files import planned

pytestmark = pytest.mark.simulation

ONE_PLAY = """\
- name: All at once
  hosts: gpu
  serial: 1
  tasks: [preflight, stage, pull_image, drain, activate, verify, undrain]
"""
TWO_PLAYS = (
    """\
- name: Look first
  hosts: gpu
  tasks: [preflight]
"""
    + ONE_PLAY
)


def at_look(number: int, change: Callable[[SimHost], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Change gpu2 right before it is looked at for that time; the first look is the plan's."""
    look, looks = SimSession.observe, list[str]()

    def observe(self: SimSession, services: Any) -> Any:
        looks.append(self.sim.name)
        if self.sim.name == "gpu2" and looks.count("gpu2") == number:
            change(self.sim)
        return look(self, services)

    monkeypatch.setattr(SimSession, "observe", observe)


def of_gpu2(result: Result) -> Any:
    """Why the host failed, when the run ended by itself."""
    assert result.code in {3, 4}, result.err
    host = result.json["hosts"]["gpu2"]
    assert host["state"] == "failed"
    return host["reason"]


def test_a_host_that_changes_in_the_middle_of_the_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is not as planned when its turn comes fails before it is touched; the rollout stops there."""
    path = planned(project)
    # The second look comes before files are put in place, the third before it is drained.
    at_look(3, lambda sim: sim.stop("fleetdeploy-ranking"), monkeypatch)
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
    at_look(2, lambda sim: sim.directory("ranking").versions["ranker"].pop(1), monkeypatch)
    result = project.run("deploy", str(path))
    assert result.code == 3
    assert "services.ranking.observed.served.ranker.1: AVAILABLE -> END" in result.err
    assert not [act for act in project.acts if act.startswith("gpu2 ")]


def test_a_host_that_changes_while_its_files_are_put_in_place(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One play stages and switches over: what was stopped in between is not started, but told."""
    (project.path / "playbooks/deploy.yml").write_text(ONE_PLAY)
    path = planned(project)
    stage = SimFiles.stage

    def staging(self: SimFiles, item: Any, **more: Any) -> None:
        stage(self, item, **more)
        if self.sim.name == "gpu2":
            self.sim.stop("fleetdeploy-ranking")

    monkeypatch.setattr(SimFiles, "stage", staging)
    result = project.run("deploy", "--json", str(path))
    assert "services.ranking.observed.container.status: running -> exited" in of_gpu2(result)
    assert "services.ranking.activation: reload -> start" in of_gpu2(result)
    assert [act for act in project.acts if act.startswith("gpu2 ")] == ["gpu2 files.stage"]


def test_an_image_that_is_another_one_when_the_turn_comes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was moved to another image makes a replacement of a reload; the container looks as it did."""
    path = planned(project)
    at_look(3, lambda sim: sim.images.update({"serving:1": "sha256:other"}), monkeypatch)
    result = project.run("deploy", "--json", str(path))
    assert "services.ranking.observed.image: sha256:serving:1 -> sha256:other" in of_gpu2(result)
    assert "services.ranking.activation: reload -> replace" in of_gpu2(result)
    assert "gpu2 containers.create_and_start" not in project.acts


def test_a_host_that_was_only_looked_at_is_compared_in_full(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A play of ``preflight`` puts nothing in place: a version that is gone from disk, and memory, is a difference."""
    (project.path / "playbooks/deploy.yml").write_text(TWO_PLAYS)
    path = planned(project)
    at_look(3, lambda sim: sim.directory("ranking").versions["ranker"].pop(1), monkeypatch)
    result = project.run("deploy", "--json", str(path))
    assert "services.ranking.observed.served.ranker.1: AVAILABLE -> END" in of_gpu2(result)
    assert not [act for act in project.acts if act.startswith("gpu2 ")]


@pytest.mark.parametrize("playbook", [ONE_PLAY, TWO_PLAYS])
def test_other_playbooks_are_applied_as_planned(project: Project, playbook: str) -> None:
    """A look in the middle of a play, and another image that is pulled there, stand in nobody's way."""
    (project.path / "playbooks/deploy.yml").write_text(playbook)
    path = planned(project)
    assert project.run("deploy", str(path)).code == 0
    project.edit("image: serving:1", "image: serving:2")
    project.edit("versions: [2]", "versions: [3]")
    assert project.run("plan", "--out", str(path)).code == 0
    result = project.run("deploy", str(path))
    assert (result.code, result.last_line) == (0, "OK: 2 of 2 hosts changed")
    assert project.world.serves("gpu2").image == "serving:2"
