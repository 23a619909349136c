"""The control groups of lab hosts: one per host and hierarchy, under which its Docker engine puts its containers.

They are made by the engine's runc, which in version 2 also passes the controllers on to them; here they are found again
and removed, which nobody does for a host that was killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fleetdeploy.lab.waiting import wait_until

ROOT = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """The mounted hierarchies: the one of version 2, or those of version 1 (and links to them left out)."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [Path(entry.path) for entry in os.scandir(ROOT) if entry.is_dir(follow_symlinks=False)]


def groups_of(prefix: str) -> list[Path]:
    """The top groups that exist under this prefix, in every hierarchy."""
    return sorted(group for hierarchy in hierarchies() for group in hierarchy.glob(f"{prefix}*") if group.is_dir())


def remove(name: str, *, deadline_s: float = 10) -> None:
    """Remove the groups named ``name`` and all below them, once the kernel has seen their processes off.

    :raises LabError: something still lives in one of them at the deadline.
    """

    def gone() -> bool:
        for hierarchy in hierarchies():
            for group in _deepest_first(hierarchy / name):
                try:
                    group.rmdir()
                except OSError:
                    continue
        return not any((hierarchy / name).exists() for hierarchy in hierarchies())

    wait_until(gone, f"the control groups {name} are empty", deadline_s=deadline_s)


def _deepest_first(group: Path) -> Iterator[Path]:
    for directory, _, _ in os.walk(group, topdown=False):
        yield Path(directory)
