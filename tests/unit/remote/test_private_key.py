"""A private key that OpenSSH would not use is refused before anything is done with it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.errors import Unreachable
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.controller import examine_controller
from fleetdeploy.remote.ssh.link import make_link
from fleetdeploy.remote.ssh.private_key import open_to_others

PINNED = "* ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent, without keys."""
    with subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.DEVNULL) as running:
        wait_until((tmp_path / "agent").exists, "the agent listens", deadline_s=30)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        yield
        running.terminate()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "a key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    (tmp_path / "known_hosts").write_text(PINNED)
    return path


def host(key: Path) -> Host:
    config = key.parent / "ssh_config"
    config.touch()
    return Host("gpu1", Connection("gpu1", None, "ops", key, key.parent / "known_hosts", config))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700, 0o640, 0o644, 0o604, 0o601, 0o610, 0o660, 0o777])
def test_a_mode_is_judged_as_openssh_does(key: Path, mode: int) -> None:
    """What is told of a key is what ssh-keygen, which has ssh's own rule, makes of it."""
    key.chmod(mode)
    said = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=False).stderr
    assert open_to_others(key) == (f"{mode:04o}" if "are too open" in said else "")


def test_a_key_of_another_owner_is_taken_as_it_is(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by ssh, such as one that root has put there for a group."""
    key.chmod(0o640)
    monkeypatch.setattr("os.getuid", lambda: key.stat().st_uid + 1)
    assert open_to_others(key) == ""


def test_a_link_is_not_made_with_a_key_that_others_may_read(key: Path) -> None:
    """The error names file, mode and mend; with the mend done there is a link, and one without a key is not held up."""
    key.chmod(0o644)
    with pytest.raises(Unreachable) as refused:
        make_link(host(key), timeout_s=5)
    assert refused.value.where == "gpu1"
    assert refused.value.message == f"the private key {key} has mode 0644, and ssh uses none that others may read"
    assert refused.value.hint == f"chmod 600 '{key}'"
    key.chmod(0o600)
    assert make_link(host(key), timeout_s=5)
    key.unlink()
    assert make_link(host(key), timeout_s=5), "that it is gone is told by whoever opens it"


def test_doctor_is_told_of_every_key(key: Path) -> None:
    """Once each, with the mode that ssh refuses, or why there is none."""
    key.chmod(0o640)
    gone = key.with_name("gone")
    facts = examine_controller([host(key), host(key), host(gone)], state_dir=key.parent, forks=5)
    assert facts.private_keys == {str(key): Present("0640"), str(gone): Unknown("No such file or directory")}


@pytest.mark.usefixtures("agent")
def test_a_key_that_ssh_agent_has_may_be_open(key: Path) -> None:
    """ssh asks the agent by the public half, which may be all that is named, and opens no private one."""
    public = Path(f"{key}.pub")
    for each in (key, public):
        each.chmod(0o644)
        assert open_to_others(each) == "0644"
    key.chmod(0o600)
    subprocess.run(["ssh-add", "-q", key], check=True)
    key.chmod(0o644)
    for each in (key, public):
        assert open_to_others(each) == ""
