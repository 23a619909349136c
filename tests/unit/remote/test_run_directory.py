"""The private directory of a run, and what killed runs leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fleetdeploy.remote.run_directory import OWNER, RunDirectory, sweep


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_directory_is_private_and_goes_with_its_run(temporary: Path) -> None:
    """Only its user can enter it, it names its owner, and nothing is left behind."""
    made = RunDirectory.make()
    assert made.path.parent == temporary
    assert made.path.stat().st_mode & 0o777 == 0o700
    assert (made.path / OWNER).read_text() == f"{os.getpid()}\n"
    made.remove()
    made.remove()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_what_is_in_use_stays(temporary: Path) -> None:
    """A later run removes the directory of one that was killed, but never that of one that still lives."""
    code = "import sys, time; from fleetdeploy.remote.run_directory import RunDirectory\n"
    code += "print(RunDirectory.make().path, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(temporary)}, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        path = Path(run.stdout.readline().strip())
        (path / "known_hosts").write_text("x")
        sweep(temporary)
        assert (path / "known_hosts").exists(), "its run lives"
        run.send_signal(signal.SIGKILL)
        run.wait(timeout=60)
    sweep(temporary)
    assert not path.exists()


def test_what_is_not_a_runs_directory_stays(temporary: Path) -> None:
    """A file, a link or a directory without an owner's file is somebody else's."""
    (temporary / "fleetdeploy-file").write_text("x")
    (temporary / "fleetdeploy-folder").mkdir()
    (temporary / "target").mkdir()
    (temporary / "target" / OWNER).write_text("1\n")
    (temporary / "fleetdeploy-link").symlink_to(temporary / "target")
    sweep(temporary)
    assert {path.name for path in temporary.iterdir()} == {
        "fleetdeploy-file", "fleetdeploy-folder", "fleetdeploy-link", "target",
    }  # fmt: skip
