"""OpenSSH's rule on who may read a private key, which paramiko does not have: models are copied by OpenSSH."""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import closing
from pathlib import Path

from paramiko import Agent, SSHException

from fleetdeploy.errors import Unreachable


def open_to_others(key: Path) -> str:
    """The mode for which ssh passes the key over, such as ``0644``, or nothing. Raises OSError.

    As sshkey_perm_ok in OpenSSH's authfile.c: keys of other owners are taken as they are, since only who may read them
    decides then. Of a key that ssh-agent has, as of one in hardware, ssh reads the public half alone.
    """
    found = key.expanduser().stat()
    mode = stat.S_IMODE(found.st_mode)
    open_ = found.st_uid == os.getuid() and bool(mode & 0o077)
    return f"{mode:04o}" if open_ and not _agent_has(key.expanduser()) else ""


def check_key(key: Path, *, host: str) -> None:
    """Raise Unreachable for a key that ssh would not use: a run shall not find that out when it copies. Whether there
    is such a file is found out by whoever opens it.
    """
    try:
        mode = open_to_others(key)
    except OSError:
        return
    if mode:
        raise Unreachable(
            f"the private key {key} has mode {mode}, and ssh uses none that others may read",
            where=host,
            hint=f"chmod 600 {shlex.quote(str(key))}",
        )


def _agent_has(key: Path) -> bool:
    """Whether ssh-agent has the key with this public half, or the one beside it."""
    public = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    try:
        words = public.read_text(encoding="utf-8").split()
        with closing(Agent()) as agent:
            return len(words) > 1 and any(item.get_base64() == words[1] for item in agent.get_keys())
    except (OSError, ValueError, SSHException):
        return False
