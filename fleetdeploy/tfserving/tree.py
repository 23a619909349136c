"""The files of a version directory, and everything in it that must not travel to a host."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fleetdeploy.errors import Problem

MAX_DEPTH: Final = 32
MAX_FILES: Final = 100_000

_KINDS: Final[tuple[tuple[int, str], ...]] = (
    (stat.S_IFLNK, "a symbolic link"),
    (stat.S_IFIFO, "a named pipe"),
    (stat.S_IFSOCK, "a socket"),
    (stat.S_IFCHR, "a character device"),
    (stat.S_IFBLK, "a block device"),
)
_REGULAR_HINT: Final = (
    "a version directory holds regular files and directories only; replace it with a copy of what it stands for"
)


@dataclass(frozen=True)
class Tree:
    """The regular files under a directory by relative path, in sorted order, and what was found wrong on the way."""

    directory: Path
    files: Mapping[str, os.stat_result] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def walk(directory: Path) -> Tree:
    """Read the whole tree without following any link.

    Links, devices, pipes, sockets, set-uid and set-gid files, and names that could be read as something else on the way
    (line ends, control characters, a backslash, a leading ``-``, text that is not UTF-8 in normal form C) are problems.
    """
    files: dict[str, os.stat_result] = {}
    problems: list[Problem] = []
    try:
        top = directory.lstat()
    except OSError as error:
        hint = "a version directory is SOURCE/NUMBER and holds saved_model.pb, variables/ and assets/"
        return Tree(directory, problems=(Problem(f"cannot be read: {error.strerror}", str(directory), hint),))
    if not stat.S_ISDIR(top.st_mode):
        kind = _kind(top.st_mode) or "a file"
        return Tree(directory, problems=(Problem(f"is {kind}, not a directory", str(directory), _REGULAR_HINT),))
    _walk_into(directory, "", files, problems)
    if not files and not problems:
        problems.append(Problem("holds no files", str(directory), "export the model into it, or leave the version out"))
    return Tree(directory, {path: files[path] for path in sorted(files)}, tuple(problems))


def _walk_into(directory: Path, prefix: str, files: dict[str, os.stat_result], problems: list[Problem]) -> None:
    if prefix.count("/") > MAX_DEPTH or len(files) > MAX_FILES:
        limit = f"more than {MAX_FILES} files or {MAX_DEPTH} levels"
        problems.append(Problem(f"holds {limit}", str(directory), "is this really a version directory?"))
        return
    try:
        with os.scandir(directory / prefix) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        problems.append(
            Problem(f"cannot be read: {error.strerror}", str(directory / prefix), "check its owner and mode")
        )
        return
    for entry in found:
        path = prefix + entry.name
        where = _printable(str(directory / path))
        problems += [Problem(message, where, hint) for message, hint in _name_problems(entry.name)]
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            _walk_into(directory, path + "/", files, problems)
            continue
        if not stat.S_ISREG(status.st_mode):
            problems.append(Problem(f"is {_kind(status.st_mode)}", where, _REGULAR_HINT))
        elif status.st_mode & (stat.S_ISUID | stat.S_ISGID):
            problems.append(Problem("is a set-uid or set-gid file", where, "clear the bits with chmod ug-s"))
        files[path] = status


def _kind(mode: int) -> str:
    return next((text for number, text in _KINDS if stat.S_IFMT(mode) == number), "")


def _name_problems(name: str) -> Iterator[tuple[str, str]]:
    hint = "give the file a plain name and export again"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        yield "the name is not UTF-8", hint
        return
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in name):
        yield "the name has a line end or control character", hint
    if "\\" in name:
        yield "the name has a backslash", hint
    if name.startswith("-"):
        yield "the name begins with `-`", hint
    if unicodedata.normalize("NFC", name) != name:
        yield "the name is not in Unicode normal form C", hint


def _printable(path: str) -> str:
    return path.encode("unicode_escape").decode() if not path.isprintable() else path
