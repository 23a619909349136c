"""The local lock is this process's alone: a child that outlives it must not keep the fleet locked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from simulation.clock import VirtualClock

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.remote.directory.copy_process import run_copy
from fleetdeploy.remote.inventory_script import InventoryScripts
from fleetdeploy.remote.outside import Outside
from fleetdeploy.remote.secret_command import SecretCommands
from fleetdeploy.rollout.locks import local as lock

LIST = ["sh", "-c", "ls -l /proc/self/fd"]


def inventory_program(folder: Path) -> str:
    path = folder / "inventory.sh"
    path.write_text("#!/bin/sh\nls -l /proc/self/fd\n")
    path.chmod(0o755)
    return InventoryScripts()(path, ())


CHILDREN: dict[str, Callable[[Path], str]] = {
    "an inventory program": inventory_program,
    "a program that prints a secret": lambda _: SecretCommands()(LIST),
    "a playbook's command": lambda _: Outside().command(LIST, b"", deadline_s=60).text,
    "rsync and its ssh": lambda _: run_copy(["sh", "-c", "ls -l /proc/self/fd >&2"], b"", timeout_s=60, host="a")[1],
}


@pytest.mark.parametrize("child", CHILDREN)
def test_no_child_has_the_lock(tmp_path: Path, child: str) -> None:
    """Of the descriptor that holds the lock no child has a copy, whatever it is started for."""
    host = Host("gpu1", Connection("10.0.0.1"))
    with lock.hold(tmp_path / "locks", [host], "run-1", VirtualClock()):
        assert any(path.resolve().name == "hosts.lock" for path in Path("/proc/self/fd").iterdir())
        listed = CHILDREN[child](tmp_path)
    assert "->" in listed
    assert "hosts.lock" not in listed
