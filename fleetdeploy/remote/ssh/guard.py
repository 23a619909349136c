"""How a command is started on a host so that it ends with its channel, and how what is left of it is found and ended.

A mark is a word of hexadecimal digits. It travels in the environment of the command, where all of its children have it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from importlib import resources


def guarded(argv: Sequence[str], *, mark: str, limit_s: float) -> list[str]:
    """The command under ``guard.sh``; ``limit_s`` is when the host ends it by itself."""
    return ["sh", "-c", _script("guard.sh"), "fleetdeploy", str(int(limit_s)), mark, *argv]


def sweep(mark: str) -> list[str]:
    """A command that ends what is left of all commands with this mark; its status is 0 when nothing is."""
    return ["sh", "-c", _script("sweep.sh"), "fleetdeploy", mark]


_READ_FIRST = """
text=$(dd bs="$1" count=1 iflag=fullblock 2>/dev/null || dd bs=1 count="$1" 2>/dev/null)
case $text in *"$2") ;; *) exit 125 ;; esac
shift 2
eval "$text"
"""
"""No byte more than the script's is read: the rest is its standard input. One that was cut off starts nothing."""


def read_first(text: str, args: Sequence[str], stdin: bytes) -> tuple[str, tuple[str, ...], bytes]:
    """A script with its arguments and its standard input, as a short script that reads the long one from there."""
    end = f"# the end {secrets.token_hex(4)}"
    sent = f"{text}\n{end}".encode()
    return _READ_FIRST, (str(len(sent)), end, *args), sent + stdin


def _script(name: str) -> str:
    return resources.files("fleetdeploy.remote.ssh").joinpath(name).read_text(encoding="utf-8")
