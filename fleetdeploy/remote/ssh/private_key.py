"""OpenSSH's rule on who may read a private key, which paramiko does not have: models are copied by OpenSSH."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from fleetdeploy.errors import Unreachable


def open_to_others(key: Path) -> str:
    """The mode for which ssh passes the key over, such as ``0644``, or nothing. Raises OSError.

    As sshkey_perm_ok in OpenSSH's authfile.c: keys of other owners are taken as they are, since only who may read them
    decides then.
    """
    found = key.expanduser().stat()
    mode = stat.S_IMODE(found.st_mode)
    return f"{mode:04o}" if found.st_uid == os.getuid() and mode & 0o077 else ""


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
