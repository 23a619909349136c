"""Reading a text file with a size limit, and saying plainly why it cannot be read."""

from __future__ import annotations

from pathlib import Path

from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError

LIMIT_BYTES = 16 * 1024 * 1024


def read_text(path: Path, *, what: str = "file", limit_bytes: int = LIMIT_BYTES) -> str:
    """The content of ``path`` as text. Raises InputError when it is missing, unreadable, too big or not UTF-8."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"the {what} is not a regular file", where=str(path), hint="name a regular file")
        with path.open("rb") as stream:
            content = stream.read(limit_bytes + 1)
    except FileNotFoundError:
        raise InputError(
            f"no such {what}", where=str(path), hint=f"check the path; it was looked for from {Path.cwd()}"
        ) from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "no file can have that name"
        raise InputError(
            f"the {what} cannot be read: {reason}", where=str(path), hint="check the path and its permissions"
        ) from None
    if len(content) > limit_bytes:
        size = f"{limit_bytes // (1024 * 1024)} MiB" if limit_bytes >= 1024 * 1024 else f"{limit_bytes} bytes"
        raise InputError(f"the {what} is larger than the limit of {size}", where=str(path), hint="split it")
    return _decode(content, path, what)


def exists(path: Path) -> bool:
    """Whether there is something; no name that no file can have, such as one of 300 characters, exists."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def home_path(text: str) -> Path:
    """A path with ``~`` expanded; where no such home is known it stays as written."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def _decode(content: bytes, path: Path, what: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise InputError(
            f"the {what} is not UTF-8: byte 0x{content[error.start]:02x} cannot be read",
            where=str(Origin(str(path), line, column)),
            hint="save it as UTF-8",
        ) from None
