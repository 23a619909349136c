"""The verbs of ``files.sh``, run by this machine's own shell in a directory of the test."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

SCRIPT = resources.files("fleetdeploy.remote").joinpath("files.sh").read_text(encoding="utf-8")


def verb(name: str, directory: Path, *args: str) -> subprocess.Popen[bytes]:
    argv = ["sh", "-c", SCRIPT, "fleetdeploy", name, str(directory), *args]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def done(process: subprocess.Popen[bytes], text: bytes = b"") -> None:
    _, errors = process.communicate(text, timeout=30)
    assert process.returncode == 0, errors


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """Each writes under a name of its own; what stands in the end is one of the two texts, whole."""
    home = tmp_path / "service"
    done(verb("write", home, "config/model.config", "6"), b"first\n")
    slow, fast = (verb("write", home, "config/model.config", "6") for _ in range(2))
    assert slow.stdin is not None
    slow.stdin.write(b"slo")
    slow.stdin.flush()
    done(fast, b"fast!\n")
    assert (home / "config/model.config").read_bytes() == b"fast!\n"
    done(slow, b"w!\n")
    assert (home / "config/model.config").read_bytes() == b"slow!\n"
    assert [path.name for path in (home / "config").iterdir()] == ["model.config"]


def test_only_the_deploying_user_gets_in(tmp_path: Path) -> None:
    """Files that a container reads as another user are readable to all, and lie where no other user of the host comes.

    Who opens the directory to others, or has made it beforehand, is not overruled.
    """
    made, there = tmp_path / "above" / "made", tmp_path / "there"
    there.mkdir()
    for home, mode in ((made, 0o700), (there, 0o755)):
        there.chmod(0o755)
        done(verb("write", home, "config/model.config", "2"), b"x\n")
        assert home.stat().st_mode & 0o777 == mode
        assert (home / "config").stat().st_mode & 0o777 == 0o755
        assert (home / "config/model.config").stat().st_mode & 0o777 == 0o644
    assert made.parent.stat().st_mode & 0o777 == 0o755
    made.chmod(0o750)
    done(verb("write", made, "config/model.config", "2"), b"y\n")
    assert made.stat().st_mode & 0o777 == 0o750


def test_half_written_files_are_swept(tmp_path: Path) -> None:
    """What killed writers left goes, whichever process they were; the files themselves stay."""
    home = tmp_path / "service"
    done(verb("write", home, "config/model.config", "2"), b"x\n")
    left = ["config/model.config.fleetdeploy-new.7", "releases/current.fleetdeploy-new", "drained.fleetdeploy-new.12"]
    for name in left:
        (home / name).write_text("half")
    done(verb("sweep", home))
    assert [name for name in left if (home / name).exists()] == []
    assert (home / "config/model.config").read_bytes() == b"x\n"


def test_a_directory_of_somebody_else_is_told_by_the_inventorys_key(tmp_path: Path) -> None:
    """The hint names the key that an operator can change."""
    from types import SimpleNamespace
    from typing import Any, cast

    from fleetdeploy.remote.channels import CommandResult
    from fleetdeploy.remote.verbs import NO_ROOM, NOT_OURS, ServiceDirectory

    connection = cast("Any", SimpleNamespace(host=SimpleNamespace(name="gpu1")))
    directory = ServiceDirectory(connection, cast("Any", tmp_path))
    error = directory._error("write", CommandResult(NOT_OURS, b"", b"it is not ours"))
    assert "`directory`" in error.hint
    error = directory._error("write", CommandResult(NO_ROOM, b"", b"too little"))
    assert "the task `prune`" in error.hint
