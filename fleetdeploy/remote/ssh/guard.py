"""How a command is started on a host so that it ends with its channel, and how what is left of it is found and ended.

A mark is a word of hexadecimal digits. It travels in the environment of the command, where all of its children have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources


def guarded(argv: Sequence[str], *, mark: str, limit_s: float) -> list[str]:
    """The command under ``guard.sh``; ``limit_s`` is when the host ends it by itself."""
    return ["sh", "-c", _script("guard.sh"), "fleetdeploy", str(int(limit_s)), mark, *argv]


def sweep(mark: str) -> list[str]:
    """A command that ends what is left of all commands with this mark; its status is 0 when nothing is."""
    return ["sh", "-c", _script("sweep.sh"), "fleetdeploy", mark]


def _script(name: str) -> str:
    return resources.files("fleetdeploy.remote.ssh").joinpath(name).read_text(encoding="utf-8")
