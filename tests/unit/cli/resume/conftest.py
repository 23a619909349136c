"""A fleet on which a new version is wanted, and a shell to type in."""

from __future__ import annotations

import pytest

from ..conftest import Project
from ..resumes import Shell


@pytest.fixture
def shell(project: Project, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Both hosts serve version 1, and version 2 is wanted."""
    made = Shell(project, monkeypatch)
    assert made("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    return made
