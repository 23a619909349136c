"""The gateways on the way to a host, by the inventory's jump host or ssh_config's ProxyJump and ProxyCommand.

Of ``-J first,second`` the first is connected to first, as ssh(1) says; Fabric's own reading of ssh_config turns the
list round, so its gateways are not used. A gateway's user, port, address and keys are those of ssh_config for its name:
what the inventory says of the host is not handed to it, just as OpenSSH hands none of its options to the jump host.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fabric

from fleetdeploy.errors import Unreachable

_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?(?:\[(?P<ip>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[^@:\s\[\]/]+))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_SSH_PORT = 22


@dataclass(frozen=True)
class Jump:
    """One gateway as it is written: ``[user@]host[:port]``."""

    host: str
    user: str | None = None
    port: int | None = None


def parse_jumps(text: str) -> tuple[Jump, ...]:
    """The gateways in the order in which they are connected to. Raises Unreachable for a text that names none."""
    found = []
    for word in text.split(","):
        match = _JUMP.fullmatch(word.strip())
        port = int(match["port"]) if match and match["port"] else None
        if match is None or (port is not None and not 1 <= port <= 65535):
            raise Unreachable(f"{word[:80]!r} is not a jump host", hint="expected [user@]host[:port], commas between")
        found.append(Jump(match["ip"] or match["host"], match["user"], port))
    return tuple(found)


def gateway(
    config: fabric.Config, name: str, *, port: int | None = None, jump: str | None = None, behind: Sequence[str] = ()
) -> Any:
    """What Fabric takes as the gateway of a connection to ``name``: a connection, a proxy command, or False for none.

    ``jump`` stands in for what ssh_config says of ``name``, ``none`` included; ``behind`` are the names that lead
    here. Raises Unreachable for a jump host that cannot be one, and for jump hosts that lead in a circle.
    """
    settings = config.base_ssh_config.lookup(name)
    if jump == "none":
        return False
    if jump is None:
        # As ssh_config(5) has it, the two compete, and what is specified first wins.
        first = next((key for key in settings if key in {"proxyjump", "proxycommand"}), "")
        value = str(settings.get(first) or "")
        if value in {"", "none"}:
            return False
        if first == "proxycommand":
            return value
        jump = value
    jumps = parse_jumps(jump)
    if _is_itself(jumps[-1], name, port or int(settings.get("port", _SSH_PORT)), config):
        return False  # "Host *" with a ProxyJump names the jump host itself too; OpenSSH goes there directly
    via: Any = None
    for hop in jumps:
        if via is None:
            if hop.host in behind:
                raise Unreachable(
                    f"the jump hosts lead in a circle: {' -> '.join((*behind, name, hop.host))}",
                    hint="leave the jump host out of the pattern in ssh_config: Host * !NAME",
                )
            via = gateway(config, hop.host, port=hop.port, behind=(*behind, name))
        via = fabric.Connection(
            hop.host, user=hop.user, port=hop.port, config=config.clone(), gateway=via, forward_agent=False
        )
    return via


def _is_itself(jump: Jump, name: str, port: int, config: fabric.Config) -> bool:
    own = jump.port or int(config.base_ssh_config.lookup(jump.host).get("port", _SSH_PORT))
    return jump.host.lower() == name.lower() and own == port
