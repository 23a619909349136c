"""``ansible_ssh_common_args``: of OpenSSH's options, the two that say which way a host is reached.

``-J HOST`` or ``-o ProxyJump=HOST``, and ``-F FILE``. Any other could run a command on the controller or weaken what is
checked, and is refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.syntax.nodes import Node, Scalar
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import Problem

SSH_ARGUMENTS = "ansible_ssh_common_args"
_HINT = "-J HOST, -o ProxyJump=HOST and -F FILE are followed; everything else belongs into an ssh_config file"
_OPTION = re.compile(r"\s*(?P<name>[A-Za-z]+)\s*[\s=]\s*(?P<value>.*?)\s*")
_HOP = r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}@)?(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_JUMP = re.compile(rf"{_HOP}(?:,{_HOP})*")


@dataclass(frozen=True)
class SshArguments:
    """What was asked for; empty texts where nothing was."""

    origin: Origin
    proxy_jump: str = ""
    """Hops with commas between them, or ``none``: no hop, whatever an ssh_config says."""
    config_file: str = ""


def read_ssh_arguments(node: Node | None, *, problems: list[Problem]) -> SshArguments:
    """The arguments of a host. Problems are appended; what has one is left out."""
    origin = node.origin if node is not None else Origin("")
    if node is None or node.plain() in (None, ""):
        return SshArguments(origin)
    found: dict[str, str] = {}
    for name, value in _options(node, problems):
        if name == "ProxyJump" and value != "none" and not _JUMP.fullmatch(value):
            problems.append(
                Problem(
                    f"{SSH_ARGUMENTS}: {value[:80]!r} is not a jump host", str(origin), "expected [user@]host[:port]"
                )
            )
        elif name in found:
            problems.append(Problem(f"{SSH_ARGUMENTS}: {name} is given twice", str(origin), "keep one of the two"))
        else:
            found[name] = value
    return SshArguments(origin, found.get("ProxyJump", ""), found.get("-F", ""))


def _options(node: Node, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """``ProxyJump`` and ``-F`` with their values, however they are written."""

    def refuse(what: str) -> None:
        problems.append(Problem(f"{SSH_ARGUMENTS}: {what}", str(node.origin), _HINT))

    try:
        words = shlex.split(node.value) if isinstance(node, Scalar) and isinstance(node.value, str) else None
    except ValueError as error:
        refuse(f"{str(error).lower()} in {shown(node)}")
        return
    if words is None:
        refuse(f"expected text, got {shown(node)}")
        return
    position = 0
    while position < len(words):
        word = words[position]
        option, value = word[:2], word[2:]
        position += 1
        if option not in {"-J", "-F", "-o"}:
            refuse(f"{word[:80]!r} is not followed")
            return
        if not value:
            if position == len(words):
                refuse(f"{option} lacks its value")
                return
            value = words[position]
            position += 1
        if option != "-o":
            yield ("ProxyJump" if option == "-J" else "-F"), value
            continue
        setting = _OPTION.fullmatch(value)
        if setting is None or setting["name"].lower() != "proxyjump":
            refuse(f"-o {value[:80]} is not followed")
        else:
            yield "ProxyJump", setting["value"]
