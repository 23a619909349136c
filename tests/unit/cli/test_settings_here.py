"""What the settings name and is not on this machine is said before a run ends and finds out."""

from __future__ import annotations

import pytest

from .conftest import Project

pytestmark = pytest.mark.simulation
SETTINGS = """\
notify:
  - {url: "https://chat.example/1", headers: {Authorization: !secret {env: CHAT_TOKEN}}}
  - {url: !secret {file: hook}, on: [failed]}
  - {url: !secret {command: [fleetdeploy-nowhere]}, on: [failed]}
  - {command: [./page-somebody], on: [failed]}
textfile: metrics/fleet.prom
"""


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_what_is_missing_is_noted(project: Project, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Each with its place and what to do; the exit code is as without, as another machine may have it all."""
    monkeypatch.delenv("CHAT_TOKEN", raising=False)
    place = project.path / "fleetdeploy.yml"
    place.write_text(SETTINGS)
    result = project.run(command)
    assert result.code == 0
    missing = "note: not on this machine: "
    notes = [line.removeprefix(missing) for line in result.err.splitlines() if line.startswith("note: ")]
    program, variable, file, directory = (note.removeprefix(f"{place}:") for note in notes)
    assert program == f" notify: there is no program {project.path}/./page-somebody; check its path and its mode"
    assert variable.startswith("2:62: the environment variable CHAT_TOKEN of a secret is not set; export CHAT_TOKEN")
    assert file.startswith(
        f"3:11: the file of a secret cannot be read: {project.path}/hook: No such file or directory; "
    )
    assert directory == f" textfile: there is no directory {project.path}/metrics; make it"


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_what_is_there_is_not_noted(project: Project, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Nothing is opened, posted or run for it; the program of a secret least of all."""
    monkeypatch.setenv("CHAT_TOKEN", "Bearer of news")
    (project.path / "fleetdeploy.yml").write_text(SETTINGS)
    (project.path / "metrics").mkdir()
    for name, mode in (("hook", 0o600), ("page-somebody", 0o700)):
        (project.path / name).write_text("#!/bin/false\n")
        (project.path / name).chmod(mode)
    assert "note: " not in project.run(command).err
    (project.path / "page-somebody").chmod(0o600)
    (project.path / "hook").chmod(0o644)
    said = project.run(command).err
    assert f"there is no program {project.path}/./page-somebody" in said
    assert f"the file of a secret can be read by other users: {project.path}/hook" in said


def test_a_quiet_validate_notes_nothing(project: Project) -> None:
    """With -q there are only errors."""
    (project.path / "fleetdeploy.yml").write_text("textfile: nowhere/fleet.prom\n")
    result = project.run("validate", "-q")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_a_secret_of_the_inventory_is_no_matter_of_the_settings(project: Project) -> None:
    """One that nothing uses need not be there."""
    project.edit("rack: r1", "rack: !secret {env: FLEETDEPLOY_NOWHERE}")
    assert "note: " not in project.run("validate").err
