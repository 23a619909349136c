"""The ssh_config that rsync's OpenSSH is given: the same route and the same pinned keys that paramiko uses."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.errors import HostError
from fleetdeploy.remote.ssh.hostkeys import PinnedKeys

TARGET = "fleetdeploy-0"
"""The name by which the host is called in the written file; its gateways are ``fleetdeploy-1`` and so on."""

# curve25519 first: the post-quantum default of OpenSSH 9 costs a tenth of a second of CPU per connection.
_KEX = (
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group16-sha512,"
    "diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256"
)
_COMMON = f"""\
Host *
    StrictHostKeyChecking yes
    GlobalKnownHostsFile /dev/null
    CheckHostIP no
    UpdateHostKeys no
    VerifyHostKeyDNS no
    BatchMode yes
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    ForwardAgent no
    ForwardX11 no
    ClearAllForwardings yes
    PermitLocalCommand no
    ControlMaster no
    ControlPath none
    RequestTTY no
    EscapeChar none
    LogLevel ERROR
    KexAlgorithms {_KEX}
    MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512
    ServerAliveInterval 5
    ServerAliveCountMax 3
"""


@dataclass(frozen=True)
class Hop:
    """One SSH server on the way: the host itself, or a gateway. ``proxy_command`` is a shell command, or empty."""

    address: str
    port: int
    user: str
    pinned: PinnedKeys
    identity_files: tuple[str, ...] = ()
    proxy_command: str = ""


def write_ssh_config(directory: Path, route: Sequence[Hop], *, connect_timeout_s: float) -> Path:
    """Write ``ssh_config`` and ``known_hosts`` into ``directory`` (which must be private) and return the former.

    ``route`` begins with the host and ends with the gateway that is reached first. Raises HostError for a value that
    the format cannot hold.
    """
    config = directory / "ssh_config"
    known_hosts = directory / "known_hosts"
    blocks: list[str] = []
    keys: list[str] = []
    for number, hop in enumerate(route):
        alias = f"fleetdeploy-{number}"
        blocks.append(_block(alias, hop, behind=number + 1 < len(route), number=number, config=config))
        keys += [f"{alias} {key.line}\n" for key in hop.pinned.keys]
        keys += [f"@revoked * {key.line}\n" for key in hop.pinned.revoked]
    tail = f"    UserKnownHostsFile {_value(str(known_hosts))}\n    ConnectTimeout {max(1, round(connect_timeout_s))}\n"
    for path, text in ((known_hosts, "".join(keys)), (config, "".join(blocks) + _COMMON + tail)):
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    return config


def _block(alias: str, hop: Hop, *, behind: bool, number: int, config: Path) -> str:
    lines = [
        f"Host {alias}",
        f"    HostName {_value(hop.address.replace('%', '%%'))}",
        f"    HostKeyAlias {alias}",
        f"    Port {hop.port}",
        f"    User {_value(hop.user)}",
    ]
    if hop.identity_files:  # without files the agent's keys must be usable, as they are for paramiko
        lines.append("    IdentitiesOnly yes")
        lines += [f"    IdentityFile {_value(name.replace('%', '%%'))}" for name in hop.identity_files]
    if behind:
        jump = shlex.join(["ssh", "-F", str(config).replace("%", "%%")])
        lines.append(f"    ProxyCommand {jump} -W '[%h]:%p' fleetdeploy-{number + 1}")
    elif hop.proxy_command:
        lines.append(f"    ProxyCommand {hop.proxy_command.replace('%', '%%')}")
    else:
        lines.append("    ProxyCommand none")
    return "\n".join(lines) + "\n\n"


def _value(text: str) -> str:
    if any(char in text for char in '\n\r\0"'):
        raise HostError(f"a connection setting holds a character that ssh_config cannot: {text!r}")
    return f'"{text}"'
