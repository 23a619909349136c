"""What exists of a lab on this machine, found by its prefix, and the removal of exactly that."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fleetdeploy.errors import LabError
from fleetdeploy.lab import cgroups, network
from fleetdeploy.lab.processes import STATE_MARKER, end_processes, processes_of, run, variable_of
from fleetdeploy.lab.state import LabPaths
from fleetdeploy.lab.waiting import wait_until


def leftovers(name: str, *, state_home: Path | None = None, cache_home: Path | None = None) -> list[str]:
    """Everything that exists of lab ``name``, one line each; empty when there is no such lab."""
    paths = LabPaths.of(name, state_home=state_home, cache_home=cache_home)
    found = _outside_of_root(paths)
    return [*found, f"directory {paths.root}"] if paths.root.exists() else found


def _outside_of_root(paths: LabPaths) -> list[str]:
    """Everything of the lab but its own directory."""
    namespaces = network.namespaces_of(paths.prefix)
    return [
        *(f"process {process.pid}" for process in processes_of(paths.prefix, namespaces)),
        *(f"namespace {path.name}" for path in namespaces),
        *(f"mount {path}" for path in _mounts(paths)),
        *(f"control group {path}" for path in cgroups.groups_of(paths.prefix)),
        *(f"directory {path}" for path in paths.cache.glob(f"{paths.prefix}*")),
    ]


def remove_everything(paths: LabPaths, *, directory: Literal["remove", "empty", "keep"] = "remove") -> None:
    """Remove all of a lab: processes, mounts, namespaces, control groups, directories. Nothing there is fine.

    The lab's directory must be held; ``directory`` says what becomes of it. It is done over until nothing is left: a
    command that a killed ``up`` had started may still make something while it is being removed.

    :raises LabError: the name is that of a lab with its state elsewhere, or something cannot be removed.
    """

    def nothing_left() -> bool:
        _remove_once(paths)
        doomed = {"remove": [paths.root], "empty": [*paths.root.iterdir()], "keep": []}[directory]
        for path in doomed:
            _remove_tree(path)
        return not any(path.exists() for path in doomed) and not _outside_of_root(paths)

    wait_until(nothing_left, f"all of lab {paths.name!r} is removed", deadline_s=60, interval_s=0.1,
               on_timeout=lambda: "\n".join(_outside_of_root(paths)))  # fmt: skip


def _remove_once(paths: LabPaths) -> None:
    namespaces = network.namespaces_of(paths.prefix)
    _refuse_foreign(paths, namespaces)
    end_processes(lambda: processes_of(paths.prefix, namespaces))
    for mount in reversed(_mounts(paths)):
        run(["umount", "--lazy", str(mount)], check=False)
    for namespace in namespaces:
        network.remove_namespace(namespace)
    for name in {group.name for group in cgroups.groups_of(paths.prefix)}:
        cgroups.remove(name)
    for partial in paths.cache.glob(f"{paths.prefix}*"):
        _remove_tree(partial)


def _refuse_foreign(paths: LabPaths, namespaces: list[Path]) -> None:
    for process in processes_of(paths.prefix, namespaces):
        state = variable_of(process, STATE_MARKER)
        if state and Path(state) != paths.root:
            raise LabError(
                f"a lab {paths.name!r} with its state in {state} is running", hint="use another name, or its state home"
            )


def _mounts(paths: LabPaths) -> list[Path]:
    """Mount points of this machine's own mount namespace that lie in the lab's directory."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    decoded = (Path(point.encode().decode("unicode_escape")) for point in points)
    return [point for point in decoded if point.is_relative_to(paths.root)]


def _remove_tree(path: Path) -> None:
    run(["rm", "-rf", "--one-file-system", "--", str(path)], timeout_s=300, check=False)
