"""Ansible's connection variables, read into a :class:`fleetdeploy.domain.inventory.Connection`.

A variable that would change how a host is reached, and that fleetdeploy does not follow, is refused rather than
ignored. Per-host SSH arguments are refused on purpose: they could run commands on the controller.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.inventory.ranges import is_ip
from fleetdeploy.config.reserved.wishes import BaseOf, local_path
from fleetdeploy.config.syntax.nodes import MapNode, Node, Scalar
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.inventory import Connection
from fleetdeploy.errors import Problem

_ADDRESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}")
_OWN = "fleetdeploy_"
KNOWN_HOSTS = "fleetdeploy_known_hosts"
_NAMES = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "private_key": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
    "known_hosts": (KNOWN_HOSTS,),
}
_SSH_TRANSPORTS = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"})
_REFUSED = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args", "ansible_ssh_executable")
_CHECKING = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")


def read_connection(host: str, variables: MapNode, *, base_of: BaseOf, problems: list[Problem]) -> Connection:
    """The connection of ``host``. Problems are appended; values that have one are left at their default."""

    def pick(field: str, parse: Callable[[Scalar], object]) -> object:
        found = [(name, node) for name in _NAMES[field] if (node := variables.get(name)) is not None]
        if len(found) == 2 and found[0][1].plain() != found[1][1].plain():
            problems.append(Problem(f"{found[0][0]} and {found[1][0]} differ", str(found[1][1].origin), "keep one"))
        for name, node in found[:1]:
            value = parse(node) if isinstance(node, Scalar) else None
            if value is None:
                hint = "templates are not rendered here: write the value itself" if _templated(node) else _HINTS[field]
                problems.append(Problem(f"{name}: {shown(node)} cannot be used", str(node.origin), hint))
            return value
        return None

    def path(node: Scalar) -> Path | None:
        usable = isinstance(node.value, str) and node.value and not _templated(node) and node.value.isprintable()
        return local_path(node.raw, node.origin, base_of) if usable else None

    _refuse_unfollowed(variables, problems)
    address = pick("address", _address)
    port = pick("port", _port)
    user = pick("user", _user)
    private_key = pick("private_key", path)
    known_hosts = pick("known_hosts", path)
    return Connection(
        address=str(address) if address else host,
        port=port if isinstance(port, int) else None,
        user=str(user) if user else None,
        private_key=private_key if isinstance(private_key, Path) else None,
        known_hosts=known_hosts if isinstance(known_hosts, Path) else None,
    )


_HINTS = {
    "address": "expected a host name or an IP address",
    "port": "expected a number from 1 to 65535",
    "user": "expected a user's name; quote it if it is a number",
    "private_key": "expected a path, relative to the inventory",
    "known_hosts": "expected a path, relative to the inventory",
}


def _templated(node: Node) -> bool:
    return isinstance(node, Scalar) and "{{" in node.raw


def _address(node: Scalar) -> str | None:
    text = node.value
    return text if isinstance(text, str) and (_ADDRESS.fullmatch(text) or is_ip(text)) else None


def _port(node: Scalar) -> int | None:
    """A number, or quoted digits as ``-e ansible_port=2222`` gives them."""
    if isinstance(node.value, bool) or not re.fullmatch(r"[1-9][0-9]{0,4}", node.raw):
        return None
    return int(node.raw) if int(node.raw) <= 65535 else None


def _user(node: Scalar) -> str | None:
    return node.value if isinstance(node.value, str) and _USER.fullmatch(node.value) else None


def _refuse_unfollowed(variables: MapNode, problems: list[Problem]) -> None:
    for name in _REFUSED:
        node = variables.get(name)
        if node is not None and node.plain() not in {None, ""}:
            problems.append(
                Problem(
                    f"{name} is not followed",
                    str(node.origin),
                    "SSH options that differ from host to host belong into an ssh_config file",
                )
            )
    transport = variables.get("ansible_connection")
    if transport is not None and transport.plain() not in _SSH_TRANSPORTS:
        problems.append(
            Problem(
                f"ansible_connection: {shown(transport)} is not followed",
                str(transport.origin),
                "hosts are reached by ssh only",
            )
        )
    for name in _CHECKING:
        node = variables.get(name)
        if isinstance(node, Scalar) and (node.value is False or node.raw.lower() in {"false", "no", "0", "off"}):
            problems.append(
                Problem(
                    f"{name}: host keys are always checked",
                    str(node.origin),
                    f"remove it, and pin the keys in the file that {KNOWN_HOSTS} names",
                )
            )
    for entry in variables:
        name = entry.key.raw
        if name.startswith(_OWN) and name != KNOWN_HOSTS:
            problems.append(
                Problem(
                    f"unknown variable {name!r}",
                    str(entry.key.origin),
                    hint_for(name, [KNOWN_HOSTS], what=f"variables that start with {_OWN}"),
                )
            )
