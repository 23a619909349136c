"""A service and its versions, for tests that stage."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.service import Manifest, ManifestFile, ModelVersion


def version(source: Path, number: int, files: dict[str, bytes]) -> ModelVersion:
    entries = []
    for name, content in sorted(files.items()):
        path = source / str(number) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entries.append(ManifestFile(name, len(content), hashlib.sha256(content).hexdigest()))
    return ModelVersion(number, source / str(number), Manifest(tuple(entries)))


FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"index", 'assets/it\'s "odd" $x.txt': b"words"}


def stage_item(item: ModelVersion, link_from: int | None = None) -> StageItem:
    return StageItem("ranker", item, item.manifest.size_bytes, link_from)


def busybox(directory: Path) -> list[tuple[list[str], dict[str, str]]]:
    """busybox's shell with busybox's tools alone; nothing where it is not installed. rsync is the host's own, and so is
    flock where busybox was built without it.
    """
    if not shutil.which("busybox"):
        return []
    directory.mkdir()
    subprocess.run(["busybox", "--install", "-s", str(directory)], check=True, timeout=60)
    for tool in ("rsync", "flock"):
        if not (directory / tool).exists():
            (directory / tool).symlink_to(str(shutil.which(tool)))
    return [([str(directory / "sh")], {"PATH": str(directory)})]
