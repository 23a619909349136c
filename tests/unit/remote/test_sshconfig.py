"""The ssh_config that rsync's OpenSSH gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.errors import HostError
from fleetdeploy.remote.ssh.config import Hop, write_ssh_config
from fleetdeploy.remote.ssh.hostkeys import HostKey, PinnedKeys

PINNED = PinnedKeys("gpu1", (HostKey("ssh-ed25519", b"key"),), (HostKey("ssh-rsa", b"bad"),), "known_hosts")


def hop(**changes: object) -> Hop:
    values: dict[str, object] = {"address": "10.0.0.1", "port": 22, "user": "deploy", "pinned": PINNED}
    return Hop(**{**values, **changes})  # type: ignore[arg-type]


def test_it_trusts_nothing_but_the_pinned_keys(tmp_path: Path) -> None:
    """OpenSSH gets exactly the keys that paramiko got, and no way to learn or be talked into others."""
    text = write_ssh_config(tmp_path, [hop()], connect_timeout_s=7).read_text()
    for line in (
        "StrictHostKeyChecking yes",
        f'UserKnownHostsFile "{tmp_path}/known_hosts"',
        "GlobalKnownHostsFile /dev/null",
        "UpdateHostKeys no",
        "BatchMode yes",
        "ForwardAgent no",
        "PermitLocalCommand no",
        "ControlMaster no",
        "ConnectTimeout 7",
    ):
        assert f"    {line}\n" in text
    assert "KexAlgorithms curve25519-sha256," in text
    assert (tmp_path / "known_hosts").read_text() == "fleetdeploy-0 ssh-ed25519 a2V5\n@revoked * ssh-rsa YmFk\n"


def test_the_files_are_private(tmp_path: Path) -> None:
    """Nobody else on this machine can read or change what is trusted."""
    config = write_ssh_config(tmp_path, [hop()], connect_timeout_s=7)
    assert {path.stat().st_mode & 0o777 for path in (config, tmp_path / "known_hosts")} == {0o600}


def test_a_gateway_is_jumped_through_with_its_own_pinned_key(tmp_path: Path) -> None:
    """The way through a gateway uses the same file, so the gateway's key is checked as well."""
    text = write_ssh_config(tmp_path, [hop(), hop(address="gate", port=2222)], connect_timeout_s=7).read_text()
    assert f"ProxyCommand ssh -F {tmp_path}/ssh_config -W '[%h]:%p' fleetdeploy-1" in text
    assert 'HostName "gate"' in text
    assert "Port 2222" in text


def test_named_keys_are_the_only_ones_tried(tmp_path: Path) -> None:
    """With a key named, the agent's others are not tried; without one, the agent may be used."""
    assert "IdentitiesOnly" not in write_ssh_config(tmp_path, [hop()], connect_timeout_s=7).read_text()
    text = write_ssh_config(tmp_path, [hop(identity_files=("/keys/100%/id",))], connect_timeout_s=7).read_text()
    assert "    IdentitiesOnly yes\n" in text
    assert '    IdentityFile "/keys/100%%/id"\n' in text


@pytest.mark.parametrize("user", ['x"\n    ProxyCommand evil', "a\nb", "a\0b"])
def test_a_value_cannot_become_another_setting(tmp_path: Path, user: str) -> None:
    """No value of the inventory can end its line or its quotes."""
    with pytest.raises(HostError, match="ssh_config cannot"):
        write_ssh_config(tmp_path, [hop(user=user)], connect_timeout_s=7)
