"""The verb that reads a service's configuration back, run by this machine's own shell."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.service import Ports, ServiceWish
from fleetdeploy.errors import RemoteCommandFailed
from fleetdeploy.remote.directory.files import RemoteFiles
from fleetdeploy.remote.ssh.channels import CommandResult

SCRIPT = resources.files("fleetdeploy.remote.directory").joinpath("files.sh").read_text(encoding="utf-8")


class Here:
    """A connection to this machine; ``banner`` is what its login shell prints first."""

    def __init__(self, banner: bytes) -> None:
        self.host, self.banner = Host("gpu1", Connection("gpu1")), banner

    def script(self, text: str, *args: str, stdin: bytes = b"", deadline_s: float) -> CommandResult:
        done = subprocess.run(
            ["sh", "-c", text, "fleetdeploy", *args], input=stdin, capture_output=True, timeout=deadline_s, check=False
        )
        return CommandResult(done.returncode, self.banner + done.stdout, done.stderr)


def read(base: Path, *, banner: bytes = b"") -> str | None:
    wish = ServiceWish("ranking", "i", Ports(1, 2), "10.0.0.1", (), base_dir=PurePosixPath(base))
    connection: Any = Here(banner)
    anything: Any = None
    return RemoteFiles(connection, wish, ssh_config=anything).read_config()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where the service's configuration lies."""
    folder = tmp_path / "ranking/config"
    folder.mkdir(parents=True)
    return folder / "model.config"


@pytest.mark.parametrize("text", ["", "a { b: 1 }\n", "no newline at the end", "\n\n", "one\nend\nthere\n", "ä\r\n"])
@pytest.mark.parametrize("banner", [b"", b"Welcome!\n", b"no newline"])
def test_the_text_comes_back_byte_for_byte(config: Path, text: str, banner: bytes) -> None:
    """Whatever its ends are, and whatever a shell prints before it."""
    config.write_bytes(text.encode())
    assert read(config.parents[2], banner=banner) == text


def test_a_file_that_is_not_there_is_none(config: Path) -> None:
    """Absent is something that was looked for."""
    assert read(config.parents[2]) is None


def test_what_cannot_be_read_is_an_error(config: Path) -> None:
    """A directory in its place, or none around it, is not an absent file."""
    config.mkdir()
    with pytest.raises(RemoteCommandFailed, match="cannot read"):
        read(config.parents[2])
    with pytest.raises(RemoteCommandFailed, match="cannot read"):
        read(config.parents[3])


def test_a_symbolic_link_is_not_followed(config: Path) -> None:
    """As with everything that is written there."""
    config.symlink_to("/etc/hostname")
    with pytest.raises(RemoteCommandFailed, match="symbolic link"):
        read(config.parents[2])
