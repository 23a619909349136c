"""What a run was to bring about, on the disk before the run goes on."""

from __future__ import annotations

import argparse
import errno
import os
from pathlib import Path

import pytest

from fleetdeploy.cli.changing import wishes
from fleetdeploy.errors import PreflightRefused


@pytest.fixture
def arguments(tmp_path: Path) -> argparse.Namespace:
    (tmp_path / "runs/r1").mkdir(parents=True)
    return argparse.Namespace(state_dir=tmp_path)


def test_what_is_kept_is_there_after_a_power_cut(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole file is synced, and after it the directory that names it."""
    synced = list[tuple[str, int]]()

    def fsync(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((place.name, place.stat().st_size if place.is_file() else len([*place.iterdir()])))

    monkeypatch.setattr(os, "fsync", fsync)
    wishes.keep_command(arguments, "fleetdeploy rollback r7", "r1")
    kept = arguments.state_dir / "runs/r1/wanted.json"
    assert synced == [("wanted.json", kept.stat().st_size), ("r1", 1)]
    assert wishes.command_of(kept.parent) == ["rollback", "r7"]


@pytest.mark.parametrize("at", [1, 2])
def test_a_disk_that_does_not_take_it_refuses_the_run(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Exit 5, with the place, whether the file or its directory cannot be synced: the run could not be carried on."""
    calls = list[int]()

    def fails(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(PreflightRefused, match=os.strerror(errno.EIO)) as caught:
        wishes.keep_command(arguments, "fleetdeploy rollback r7", "r1")
    assert caught.value.exit_code == 5
    assert caught.value.where == str(arguments.state_dir / "runs/r1/wanted.json")
    assert "nothing was touched" in caught.value.hint
