"""Executable inventories are run without a shell, within limits, and leave nothing behind when they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetdeploy.errors import InputError
from fleetdeploy.remote.inventory_script import InventoryScripts


def program(path: Path, body: str) -> Path:
    file = path / "inv $(x).sh"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


def refused(path: Path, body: str, scripts: InventoryScripts | None = None) -> str:
    file = program(path, body)
    with pytest.raises(InputError) as caught:
        (scripts or InventoryScripts())(file, ("--list",))
    assert caught.value.where == f"{file} --list"
    assert caught.value.hint
    return caught.value.message


def test_arguments_and_output(tmp_path: Path) -> None:
    """The program gets its arguments as they are, has no input, and what it prints comes back."""
    file = program(tmp_path, 'cat; printf "%s|" "$@"; echo é; echo noise >&2')
    assert InventoryScripts()(file, ("--host", "$(id) 'x")) == "--host|$(id) 'x|é\n"


def test_a_failure_shows_its_complaint(tmp_path: Path) -> None:
    """A status other than 0 is refused, with the last lines of stderr."""
    message = refused(tmp_path, 'echo "{}"; seq 1 100 >&2; exit 3')
    assert message.startswith("ended with status 3; on stderr:\n    | 81\n")
    assert message.endswith("    | 100")
    assert refused(tmp_path, "kill -9 $$") == "was ended by signal 9"


def test_a_deadline(
    tmp_path: Path, await_end: Callable[[Path], None], patience: Callable[[Path], Iterator[float]]
) -> None:
    """A program that takes too long is killed with everything it started, and its complaint is shown."""
    begun = tmp_path / "pids"
    script = f"echo waiting >&2; sleep 300 & echo $! $$ > '{begun}'; wait"
    for deadline_s in patience(begun):
        message = refused(tmp_path, script, InventoryScripts(timeout_s=deadline_s))
    assert message == f"did not finish within {deadline_s:g} s and was killed; on stderr:\n    | waiting"
    await_end(begun)


def test_a_deadline_with_closed_output(tmp_path: Path) -> None:
    """A program that closes its output and stays is too slow all the same."""
    assert "did not finish" in refused(tmp_path, "exec >&- 2>&-; sleep 300", InventoryScripts(timeout_s=0.5))


def test_a_limit(tmp_path: Path) -> None:
    """A program that prints without end is stopped at the limit."""
    message = refused(tmp_path, "yes", InventoryScripts(limit_bytes=100_000))
    assert message == "printed more than the limit of 100,000 bytes"


def test_what_cannot_be_run(tmp_path: Path) -> None:
    """A program without an interpreter is refused as one that cannot be run."""
    file = tmp_path / "inv"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o755)
    with pytest.raises(InputError, match="cannot be run"):
        InventoryScripts()(file, ("--list",))
    assert "not UTF-8" in refused(tmp_path, r"printf '\377'")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Neither success nor failure leaves a pipe open."""
    before = list(Path("/proc/self/fd").iterdir())
    InventoryScripts()(program(tmp_path, "echo {}"), ("--list",))
    refused(tmp_path, "exit 1")
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)
