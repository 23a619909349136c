"""Secrets and conditions of playbooks, tags and cached inventories, by the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .conftest import Project

TOKEN = "hush-hush-token"
BOOK = """\
- name: Tell
  hosts: gpu
  tags: [tell, early]
  environment: {LEVEL: play}
  tasks:
    - {run: {argv: [warm], every_time: true}, environment: {TOKEN: !secret {env: FLEET_TOKEN}}, tags: b}
    - {notify: {command: [tell]}, environment: {LEVEL: task}, tags: [a, c]}
    - {run: {argv: [wipe]}, tags: never}
    - {run: {argv: [look], every_time: true}, when: facts.gpus | length == 1}
- name: Switch
  hosts: gpu
  tasks: [stage, pull_image, drain, activate, verify, undrain]
"""


@pytest.fixture
def hooked(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    (project.path / "playbooks" / "deploy.yml").write_text(BOOK)
    monkeypatch.setenv("FLEET_TOKEN", TOKEN)
    return project


@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_a_secret_that_is_not_there_is_told_before_any_contact(
    hooked: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """With the place in the playbook; checks that need no secret go on without it."""
    monkeypatch.delenv("FLEET_TOKEN")
    result = hooked.run(command)
    assert (result.code, hooked.wires) == (2, [])
    assert "playbooks/deploy.yml:6:" in result.err
    assert "the environment variable FLEET_TOKEN of a secret is not set" in result.err
    assert hooked.run("validate").code == 0
    assert hooked.run("deploy", "--list-tasks").code == 0
    assert hooked.run(command, "--skip-tags", "tell", "--list-tasks").code == 0


def test_a_secret_is_handed_over_and_told_nobody(hooked: Project) -> None:
    """The command has it; no output and no journal has, though the command printed it."""
    hooked.edit("argv: [warm]", f"argv: [warm, {TOKEN}]", file="playbooks/deploy.yml")
    result = hooked.run("deploy", "-v")
    assert result.code == 0
    warm, look = hooked.world.hosts["gpu1"].environments
    assert (warm, look) == ({"LEVEL": "play", "TOKEN": TOKEN}, {"LEVEL": "play"})
    assert hooked.world.environments == [{"LEVEL": "task"}] * 2
    journals = "".join(path.read_text() for path in (hooked.path / "state").rglob("*.jsonl"))
    assert "warm <secret>" in result.err
    assert "warm <secret>" in journals
    assert TOKEN not in result.out + result.err + journals


def test_commands_here_inherit_no_secret(hooked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a `!secret` names, what holds the same value, and the vault's variable stay out; the rest is inherited."""
    seen: list[dict[str, str]] = []
    fleet = __import__("fleetdeploy.remote.fleet", fromlist=["SshFleet"]).SshFleet
    monkeypatch.setattr(
        "fleetdeploy.remote.fleet.SshFleet", lambda **given: (seen.append(given["environment"]), fleet(**given))[1]
    )
    monkeypatch.setenv("COPY_OF_IT", TOKEN)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "pw")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("NEVER_OPENED", "another-secret")
    hooked.edit("rack: r1", "spare: !secret {env: NEVER_OPENED}")
    assert hooked.run("deploy").code == 0
    (inherited,) = seen
    assert inherited.keys() == os.environ.keys() - {
        "FLEET_TOKEN", "COPY_OF_IT", "ANSIBLE_VAULT_PASSWORD_FILE", "NEVER_OPENED"
    }  # fmt: skip
    assert (inherited["LANG"], inherited["PATH"]) == ("C.UTF-8", os.environ["PATH"])


def test_a_plan_shows_what_the_facts_allow(hooked: Project) -> None:
    """A task whose facts say no is not in the plan; one that nobody can judge refuses its host, with exit 5."""
    assert "run: look" in hooked.run("plan").out
    hooked.edit("length == 1", "length > 4", file="playbooks/deploy.yml")
    result = hooked.run("plan")
    assert (result.code, "run: look" in result.out) == (0, False)
    hooked.world.hosts["gpu2"].blind = {"gpus"}
    result = hooked.run("plan")
    assert result.code == 5
    assert "facts.gpus is not known: it broke" in " ".join(result.out.split())
    assert hooked.run("deploy").code == 5
    assert hooked.acts == []


def test_a_plan_says_what_only_its_turn_decides(hooked: Project) -> None:
    """Where the run may change what is asked for, the plan names the task and why nobody can tell yet."""
    hooked.edit("facts.gpus | length == 1", "22 in facts.listening", file="playbooks/deploy.yml")
    assert hooked.run("deploy", "--skip-tags", "tell").code == 0
    hooked.edit("versions: [1]", "versions: [2]")
    hooked.world.hosts["gpu2"].blind = {"listening"}
    result = hooked.run("plan")
    assert "look (nobody can tell whether: " in " ".join(result.out.split())
    assert "facts.listening is not known: it broke" in " ".join(result.out.split())


def test_services_that_no_host_runs(hooked: Project) -> None:
    """The name of a service is checked against the hosts of the play, before any is contacted."""
    hooked.edit("facts.gpus | length == 1", "facts.services.rankin.release is none", file="playbooks/deploy.yml")
    result = hooked.run("deploy")
    assert (result.code, hooked.wires) == (2, [])
    assert "no host of the play has a service 'rankin'" in result.err
    assert "did you mean 'ranking'?" in result.err


def test_tags_are_listed_in_ansible_s_layout(hooked: Project) -> None:
    """Of each play its own tags and those of all its tasks, sorted, `never` too; as JSON as well."""
    result = hooked.run("deploy", "--list-tags")
    assert (result.code, hooked.wires) == (0, [])
    assert result.out.splitlines()[1:] == [
        "",
        "  play #1 (gpu): Tell\tTAGS: [tell, early]",
        "      TASK TAGS: [a, b, c, early, never, tell]",
        "",
        "  play #2 (gpu): Switch\tTAGS: []",
        "      TASK TAGS: []",
    ]
    lines = hooked.run("plan", "--list-tags", "--list-tasks", "--tags", "b").out.splitlines()
    assert lines[3:6] == ["    tasks:", "      run\tTAGS: [b, early, tell]", "      TASK TAGS: [b, early, tell]"]
    assert lines[7:] == ["  play #2 (gpu): Switch\tTAGS: []", "    tasks:", "      TASK TAGS: []"]
    plays = hooked.run("plan", "--list-tags", "--json").json["plays"]
    assert plays[0]["task_tags"] == ["a", "b", "c", "early", "never", "tell"]


@pytest.mark.programs
def test_a_program_s_answer_is_kept_when_it_is_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Off by default; with the option the second command runs nothing, and says so."""
    from fleetdeploy.cli.main import main

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    script, runs = tmp_path / "hosts.sh", tmp_path / "runs"
    script.write_text(f'#!/bin/sh\necho x >> \'{runs}\'\necho \'{{"web": ["w1"], "_meta": {{"hostvars": {{}}}}}}\'\n')
    script.chmod(0o755)

    def listed(*options: str) -> str:
        assert main(["inventory", "list", "-i", str(script), "--project", str(project.path), *options]) == 0
        out, err = capsys.readouterr()
        assert "w1" in out
        return err

    assert [listed(), listed(), (tmp_path / "xdg").exists()] == ["", "", False]
    assert listed("--inventory-cache", "10m") == ""
    said = listed("--inventory-cache", "10m")
    assert said.startswith(f"{script}: answer of ")
    assert said.endswith(" ago (--inventory-cache 10m); run again without the option for a fresh one\n")
    assert runs.read_text().count("x") == 3
    main(["validate", "--quiet", "-i", str(script), "--project", str(project.path), "--inventory-cache", "10m"])
    assert "answer of" in capsys.readouterr().err
    (file,) = (tmp_path / "xdg" / "fleetdeploy" / "inventory").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
