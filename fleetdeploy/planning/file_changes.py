"""What staging a version changes file by file, held against a version that its host has already."""

from __future__ import annotations

from collections.abc import Mapping

from fleetdeploy.domain.observed import ObservedService, Present, VersionOnDisk
from fleetdeploy.domain.plan import FileChange, FileChanges, FileKind
from fleetdeploy.domain.service import Manifest
from fleetdeploy.tfserving import status


def compared_with(observed: ObservedService, model: str) -> VersionOnDisk | None:
    """The version whose files a new one is held against: the newest that is served, else the newest on the host.

    One without a recorded manifest says nothing about its files, and is passed over. None where there is no other.
    """
    versions = observed.versions.value if isinstance(observed.versions, Present) else {}
    listed = {number: item for number, item in versions.get(model, {}).items() if item.manifest_text}
    reading = observed.served.get(model)
    served = status.available(reading.value) if isinstance(reading, Present) else ()
    newest = max([number for number in served if number in listed] or listed, default=None)
    return None if newest is None else listed[newest]


def file_changes(new: Manifest, old: VersionOnDisk | None) -> FileChanges:
    """Every file of ``new`` and of ``old``: added, changed (the same path with other content), removed or the same.

    Sizes of removed files are those on the host. Without ``old`` every file is added.
    """
    before = hashes(old.manifest_text) if old else {}
    after = {item.path: item for item in new.files}
    found, same = [], []
    for path, item in after.items():
        if before.get(path) == item.sha256:
            same.append(item.size_bytes)
        else:
            kind = FileKind.CHANGED if path in before else FileKind.ADDED
            found.append(FileChange(path, kind, item.size_bytes))
    sizes = old.sizes_bytes if old else {}
    found += [FileChange(path, FileKind.REMOVED, sizes.get(path, 0)) for path in before if path not in after]
    changes = tuple(sorted(found, key=lambda change: change.path))
    return FileChanges(old.number if old else None, changes, len(same), sum(same))


def hashes(manifest_text: str) -> Mapping[str, str]:
    """Path to SHA-256 of a manifest in the format of sha256sum(1); a line that is none is passed over."""
    lines = (line.partition("  ") for line in manifest_text.splitlines())
    return {path: digest for digest, _, path in lines if path}
