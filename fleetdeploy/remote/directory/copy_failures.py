"""What a copy that failed means: rsync's exit code, and what it and its ssh said."""

from __future__ import annotations

import re
import shlex

from fleetdeploy.errors import HostError, HostKeyRefused, TransferFailed
from fleetdeploy.remote.ssh.failures import LOGIN_HINT

_MEANING = {
    1: "wrong usage",
    2: "the two rsyncs do not understand each other",
    3: "a file or directory could not be selected",
    5: "the remote rsync did not start",
    10: "the connection broke",
    11: "reading or writing a file failed",
    12: "the data stream ended early",
    20: "a signal ended it",
    22: "out of memory",
    23: "some files could not be copied",
    24: "source files went away while they were copied",
    30: "nothing arrived for too long",
    35: "the connection took too long",
    127: "rsync is not installed on the host",
    255: "ssh failed",
}
"""Exit codes of rsync(1), section EXIT VALUES; 127 and 255 are those of the remote shell and of ssh."""
_REFUSED_KEY = "Host key verification failed"
_REFUSED_LOGIN = re.compile(r"Permission denied \([a-z]")
"""With the ways to log in that sshd offers; behind a file's name stands a number."""
_OPEN_KEY = re.compile(r"Permissions 0\d+ for '([^'\n]+)' are too open")


def is_final(said: str) -> bool:
    """Whether the next try would end in the same way, though its exit code may be that of a lost connection."""
    return _REFUSED_KEY in said or _REFUSED_LOGIN.search(said) is not None


def failure_of(code: int, said: str, host: str) -> HostError:
    """The error for an exit code other than 0."""
    if _REFUSED_KEY in said or "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        hint = "it was the pinned one a moment ago: was the host reinstalled, or do several machines have its address?"
        return HostKeyRefused("rsync's ssh refused the host key", where=host, hint=hint, detail=said)
    hint = "run again"
    if opened := _OPEN_KEY.search(said):
        hint = f"ssh uses no private key that others may read: chmod 600 {shlex.quote(opened[1])}"
    elif _REFUSED_LOGIN.search(said):
        hint = LOGIN_HINT
    elif code == 24 or (code == 23 and ("No such file" in said or "vanished" in said)):
        hint = "the source changed while it was copied: publish versions by rename"
    elif "is your shell clean" in said:
        hint = "shell start-up files on the host (.bashrc) print something: they must be silent for commands"
    meaning = _MEANING.get(code, "see the lines below")
    return TransferFailed(f"rsync ended with status {code}: {meaning}", where=host, hint=hint, detail=said)
