"""How a command on a host gets variables that nobody else may see.

Not by its command line, which every user of the host can read, and not by sshd's ``AcceptEnv``, which few hosts have
set: the shell that starts the command reads them from its standard input, as a script of its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

_SHELL = 'eval "$(cat)"; exit 125'
"""The script that is read ends with ``exec``. One that was cut off on its way starts nothing, and is no success."""


def with_environment(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], bytes]:
    """The command that runs ``argv`` with these variables besides what it has there, and its standard input.

    ``argv`` itself reads an empty input. Names are those of variables; values hold no NUL.
    """
    if not environment:
        return list(argv), b""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    script = "\n".join([*lines, 'exec "$@" </dev/null'])
    return ["sh", "-c", _SHELL, "fleetdeploy", *argv], script.encode("utf-8", "surrogateescape")
