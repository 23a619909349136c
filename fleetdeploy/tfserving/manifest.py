"""The manifest of a version directory: every file with its size and SHA-256."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from fleetdeploy.domain.service import Manifest, ManifestFile
from fleetdeploy.errors import ArtefactRefused, Problem
from fleetdeploy.tfserving.tree import walk

_CHUNK_BYTES: Final = 1 << 20


class FileKey(NamedTuple):
    """What tells one content of a file from another without reading it. ``ctime_ns`` is what nobody can set back."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    path: str
    """Two files may have one inode's number where these are made anew with each mount."""


class Hashes(Protocol):
    """SHA-256 of files that were read before, in hex."""

    def get(self, key: FileKey, /) -> str | None: ...

    def __setitem__(self, key: FileKey, digest: str, /) -> None: ...


def read_manifest(directory: Path, cache: Hashes | None = None) -> Manifest:
    """Hash every file under ``directory``; files that ``cache`` knows by their key are not read again.

    Raises ArtefactRefused with every link, special file and odd name, and for a file that cannot be read or that
    changes while it is read. Empty directories are not part of a manifest.
    """
    tree = walk(directory)
    problems = list(tree.problems)
    files: list[ManifestFile] = []
    if not problems:
        for path, status in tree.files.items():
            try:
                files.append(_hash_file(directory / path, path, status, cache))
            except ArtefactRefused as refused:
                problems += refused.problems
    if problems:
        raise ArtefactRefused(problems=problems)
    return Manifest(tuple(files))


def verify(directory: Path, manifest: Manifest) -> tuple[Problem, ...]:
    """How the files under ``directory`` differ from ``manifest``: missing, extra, wrong size, wrong content."""
    tree = walk(directory)
    problems = list(tree.problems)
    listed = {item.path: item for item in manifest.files}
    for path, item in sorted(listed.items()):
        text = _difference(directory, item, tree.files.get(path))
        if text:
            problems.append(Problem(text, str(directory / path), "copy the version directory again"))
    problems += [
        Problem("is not in the manifest", str(directory / path), "remove it, or make a new version")
        for path in tree.files
        if path not in listed
    ]
    return tuple(problems)


def _difference(directory: Path, item: ManifestFile, status: os.stat_result | None) -> str:
    """How one listed file differs from its entry; empty if it does not. Only regular files are read."""
    if status is None:
        return "is in the manifest but missing"
    if status.st_size != item.size_bytes:
        return f"has {status.st_size} bytes, the manifest says {item.size_bytes}"
    if not stat.S_ISREG(status.st_mode):
        return ""  # the walk has said so already
    try:
        found = _hash_file(directory / item.path, item.path, status, None)
    except ArtefactRefused as refused:
        return refused.message
    return "" if found.sha256 == item.sha256 else "has other content than the manifest says"


def _hash_file(file: Path, path: str, expected: os.stat_result, cache: Hashes | None) -> ManifestFile:
    key = _key(file, expected)
    if cache is not None and (known := cache.get(key)) is not None:
        return ManifestFile(path, expected.st_size, known)
    digest = hashlib.sha256()
    try:
        # O_NOFOLLOW: what was a regular file a moment ago may be a link by now.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
            after = _key(file, os.fstat(stream.fileno()))
    except OSError as error:
        raise ArtefactRefused(
            f"cannot be read: {error.strerror}", where=str(file), hint="check its owner and mode"
        ) from None
    # Another name for it, as a backup of hard links makes, changes its ctime and nothing that is read.
    if after._replace(ctime_ns=key.ctime_ns) != key:
        hint = "wait until the export has ended, then try again"
        raise ArtefactRefused("changed while it was read", where=str(file), hint=hint)
    if cache is not None and after == key:
        cache[key] = digest.hexdigest()
    return ManifestFile(path, expected.st_size, digest.hexdigest())


def _key(file: Path, status: os.stat_result) -> FileKey:
    times = status.st_mtime_ns, status.st_ctime_ns
    return FileKey(status.st_dev, status.st_ino, status.st_size, *times, str(file.absolute()))
