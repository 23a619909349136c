"""What is said of a path that leads nowhere."""

from __future__ import annotations

from pathlib import Path

from fleetdeploy.config.syntax.suggest import missing_part


def test_a_file_is_not_an_empty_directory(tmp_path: Path) -> None:
    """What stands where a directory is meant is called what it is."""
    (tmp_path / "hosts.yml").touch()
    missing, hint = missing_part(tmp_path / "hosts.yml/playbooks/deploy.yml")
    assert missing == tmp_path / "hosts.yml/playbooks"
    assert hint == f"{tmp_path / 'hosts.yml'} is a file, and no directory"


def test_a_directory_without_anything_is_empty(tmp_path: Path) -> None:
    """There is nothing else to be named."""
    assert missing_part(tmp_path / "deploy.yml")[1] == f"check the path: {tmp_path} is empty"
