"""Ansible's connection variables, read into a :class:`fleetdeploy.domain.inventory.Connection`.

A variable that would change how a host is reached, and that fleetdeploy does not follow, is refused rather than
ignored. Of SSH's arguments only a jump host and a configuration file are taken: others could run commands on the
controller. See Ansible's guide "Connecting to hosts: behavioral inventory parameters".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.inventory.ranges import is_ip
from fleetdeploy.config.inventory.ssh_arguments import SSH_ARGUMENTS, read_ssh_arguments
from fleetdeploy.config.reserved.wishes import BaseOf, local_path
from fleetdeploy.config.syntax.nodes import MapNode, Node, Scalar
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.inventory import Connection
from fleetdeploy.domain.secret import Secret
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
ADDRESS_VARIABLES = _NAMES["address"]
_INTO_CONFIG = "SSH options that differ from host to host belong into an ssh_config file"
_ONLY_SUDO = "a host's user becomes root through sudo, and through nothing else"
_SSH_TRANSPORTS = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"})
_REFUSED = {
    "ansible_ssh_extra_args": _INTO_CONFIG,
    "ansible_ssh_args": _INTO_CONFIG,
    "ansible_ssh_executable": _INTO_CONFIG,
    **dict.fromkeys(("ansible_become_exe", "ansible_sudo_exe", "ansible_su", "ansible_su_user"), _ONLY_SUDO),
    **dict.fromkeys(("ansible_become_flags", "ansible_sudo_flags"), _ONLY_SUDO),
    "ansible_sudo": "did you mean 'ansible_become'? write `ansible_become: true`",
    "ansible_sudo_user": "did you mean 'ansible_become_user'? it is root, and needs not be written",
    **dict.fromkeys(
        ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass", "ansible_su_pass"),
        "passwords are not kept here: let sudo ask for none (NOPASSWD) for this user on the hosts",
    ),
    **dict.fromkeys(
        ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password", "ansible_ssh_private_key_passphrase"),
        "passwords are not kept here: hosts are reached with keys, an encrypted one through ssh-agent",
    ),
}
_CHECKING = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
_OTHERS = frozenset({
    "ansible_become", "ansible_become_user", "ansible_become_method", "ansible_connection", SSH_ARGUMENTS,
})  # fmt: skip
_ALL = frozenset({*(alias for aliases in _NAMES.values() for alias in aliases), *_REFUSED, *_CHECKING, *_OTHERS})
_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f"})


def is_connection_variable(name: str) -> bool:
    """Whether the variable is read or refused here; a template in it has to be rendered for that."""
    return name in _ALL


def read_connection(host: str, variables: MapNode, *, base_of: BaseOf, problems: list[Problem]) -> Connection:
    """The connection of ``host``. Problems are appended; values that have one are left at their default."""

    def pick(field: str, parse: Callable[[Scalar], object]) -> object:
        found = [(name, node) for name in _NAMES[field] if (node := variables.get(name)) is not None]
        if len(found) == 2 and found[0][1].plain() != found[1][1].plain():
            problems.append(Problem(f"{found[0][0]} and {found[1][0]} differ", str(found[1][1].origin), "keep one"))
        for name, node in found[:1]:
            value = parse(node) if isinstance(node, Scalar) else None
            if value is None:
                hint = "write the value itself" if _templated(node) or _secret(node) else _HINTS[field]
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
    arguments = read_ssh_arguments(variables.get(SSH_ARGUMENTS), problems=problems)
    return Connection(
        address=str(address) if address else host,
        port=port if isinstance(port, int) else None,
        user=str(user) if user else None,
        private_key=private_key if isinstance(private_key, Path) else None,
        known_hosts=known_hosts if isinstance(known_hosts, Path) else None,
        ssh_config=local_path(arguments.config_file, arguments.origin, base_of) if arguments.config_file else None,
        become=_become(variables, problems),
        proxy_jump=arguments.proxy_jump or None,
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


def _secret(node: Node) -> bool:
    return isinstance(node, Scalar) and isinstance(node.value, Secret)


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


def _become(variables: MapNode, problems: list[Problem]) -> bool:
    """Whether ``ansible_become`` asks for root. Another user or method than root and sudo is a problem."""
    for name, allowed in (("ansible_become_user", "root"), ("ansible_become_method", "sudo")):
        node = variables.get(name)
        if node is not None and node.plain() not in {allowed, f"ansible.builtin.{allowed}"}:
            problems.append(Problem(f"{name}: {shown(node)} is not followed", str(node.origin), _ONLY_SUDO))
    node = variables.get("ansible_become")
    if node is None:
        return False
    word = node.raw.lower() if isinstance(node, Scalar) else ""
    if word in _TRUE | _FALSE:
        return word in _TRUE
    problems.append(Problem(f"ansible_become: {shown(node)} is neither true nor false", str(node.origin), "write true"))
    return False


def _refuse_unfollowed(variables: MapNode, problems: list[Problem]) -> None:
    for name, hint in _REFUSED.items():
        node = variables.get(name)
        if node is not None and node.plain() not in (None, ""):
            problems.append(Problem(f"{name} is not followed", str(node.origin), hint))
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
        elif isinstance(entry.value, Scalar) and (meant := _almost(name)):
            problems.append(
                Problem(
                    f"variable {name!r} looks like {meant!r}, and would be passed over",
                    str(entry.key.origin),
                    f"did you mean {meant!r}? a variable of your own needs a name that is less like it",
                )
            )


def _almost(name: str) -> str:
    """The connection variable that differs from ``name`` by one letter, two swapped ones, or capitals; else nothing.

    Such a host would be reached at another address, or as another user, in silence.
    """
    if name in _ALL or not name.lower().startswith("ansible"):
        return ""
    return next((known for known in sorted(_ALL) if _one_slip(name.lower(), known)), "")


def _one_slip(left: str, right: str) -> bool:
    if abs(len(left) - len(right)) > 1:
        return False
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    a, b = left[same:], right[same:]
    return a == b or a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
