"""Where plan files are written, and deployed from: also from another directory than they were made in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetdeploy.cli.main import main

from .conftest import Project, Result
from .plan_files import planned

pytestmark = pytest.mark.simulation


@dataclass
class Away:
    """The project is called by relative names, from wherever the test stands."""

    project: Project
    monkeypatch: pytest.MonkeyPatch

    def run(self, directory: Path, *words: str) -> Result:
        self.project.wires.clear()
        self.monkeypatch.chdir(directory)
        code = main([*words[:1], "--no-color", *words[1:]])
        return Result(code, *self.project.capture())


@pytest.fixture
def away(project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Away:
    """The fleet serves version 1, version 2 is planned in ``../next.plan`` in the project's directory."""
    moved = tmp_path_factory.mktemp("away") / "project"
    project.path.rename(moved)
    project.path = moved
    found = Away(project, monkeypatch)
    assert found.run(moved, "deploy", "-i", "inventory.yml").code == 0
    project.edit("versions: [1]", "versions: [2]")
    return found


def test_a_plan_file_is_deployed_from_another_directory(away: Away, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What it was planned from is read where it was, whatever lies in the present directory; so says the hint."""
    root, other = away.project.path, tmp_path_factory.mktemp("other")
    assert away.run(root, "plan", "-i", "inventory.yml", "--out", "../next.plan").code == 0
    (other / "inventory.yml").write_text("all: {hosts: {gpu1: {}}}\n")
    for words in (["-i", "inventory.yml"], ["--project", "."]):
        found = away.run(other, "deploy", *words, str(root.parent / "next.plan"))
        assert (found.code, found.err.count("this was planned with")) == (2, 1)
    away.project.world.hosts["gpu2"].stop("fleetdeploy-ranking")
    found = away.run(other, "deploy", str(root.parent / "next.plan"))
    assert found.code == 5
    assert f"fleetdeploy plan -i {root}/inventory.yml --project {root} {root}/playbooks/deploy.yml --out" in found.err
    away.project.world.hosts["gpu2"].start("fleetdeploy-ranking")
    away.project.world.clock.wait(60)
    assert away.run(root, "plan", "-i", "inventory.yml", "--out", "../next.plan").code == 0
    assert away.run(other, "deploy", "-i", f"{root}/inventory.yml", str(root.parent / "next.plan")).code == 0


def test_a_plan_file_of_a_checkout_that_has_moved(away: Away, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is read in the present directory, and held against the plan there; with neither, it is told where that was."""
    root, other = away.project.path, tmp_path_factory.mktemp("other")
    assert away.run(root, "plan", "-i", "inventory.yml", "--out", "../next.plan").code == 0
    path, moved = root.parent / "next.plan", root.parent / "moved"
    root.rename(moved)
    found = away.run(other, "deploy", str(path))
    assert found.code == 2
    assert f"{path}: this was planned in {root}, and there is no playbooks/deploy.yml there, nor below" in found.err
    assert away.project.wires == []
    away.project.path = moved
    away.project.edit("versions: [2]", "versions: [3]")
    assert away.run(moved, "deploy", str(path)).code == 5
    away.project.edit("versions: [3]", "versions: [2]")
    assert away.run(moved, "deploy", str(path)).code == 0


def test_a_command_of_this_machine_runs_where_it_was_planned(
    away: Away, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A program that is looked for from the present directory would be another one, or none."""
    root, other = away.project.path, tmp_path_factory.mktemp("other")
    verify = "    - verify: {timeout: 5m"
    away.project.edit(verify, f"    - notify: {{command: [./tell]}}\n{verify}", file="playbooks/deploy.yml")
    assert away.run(root, "plan", "-i", "inventory.yml", "--out", "../next.plan").code == 0
    path = root.parent / "next.plan"
    found = away.run(other, "deploy", str(path))
    assert (found.code, away.project.wires) == (2, [])
    assert "`notify` runs ./tell on this machine" in found.err
    assert f"run it there: cd {root}" in found.err
    assert away.run(root, "deploy", str(path)).code == 0


@pytest.mark.parametrize(("name", "message"), [("-", "--json prints the plan there"), ("", "names no file")])
def test_a_plan_is_kept_in_a_file(project: Project, name: str, message: str) -> None:
    """Neither on stdout, which has another way, nor nowhere."""
    result = project.run("plan", "--out", name)
    assert (result.code, project.wires) == (2, [])
    assert message in result.err


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
