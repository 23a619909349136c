"""Files of a cache: their user's alone, there as a whole or not at all, and trusted only as they were written."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


class Damaged(Exception):
    """A file that is not as it was written, or that somebody else may have written."""


def read(file: Path, *, most_bytes: int) -> tuple[float, str]:
    """When it was written, in Unix time, and its text. Raises OSError; Damaged for one that cannot be trusted."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise Damaged(f"{file} is not yours alone")
        if about.st_size > most_bytes:
            raise Damaged(f"{file} is too large")
        head, _, body = stream.read().partition(b"\n")
    try:
        said = json.loads(head)
        at_s, digest, text = float(said["at"]), said["sha256"], body.decode("utf-8")
    except (ValueError, TypeError, LookupError, RecursionError):
        raise Damaged(f"{file} is damaged") from None
    if digest != hashlib.sha256(body).hexdigest():
        raise Damaged(f"{file} is damaged")
    return at_s, text


def write(file: Path, text: str, *, at_s: float) -> None:
    """Put it in the place of what is there, its directory made where there is none. Raises OSError."""
    body = text.encode("utf-8")
    head = {"at": at_s, "sha256": hashlib.sha256(body).hexdigest()}
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made with mode 0600, whatever the umask says.
    handle, name = tempfile.mkstemp(prefix=".new-", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(json.dumps(head).encode() + b"\n" + body)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
