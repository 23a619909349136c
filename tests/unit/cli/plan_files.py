"""How the tests of plan files begin and end."""

from __future__ import annotations

from pathlib import Path

from .conftest import Project, Result


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
