"""Where journals, locks and debts are kept."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import ControllerFacts, Finding, known
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn

MIB = 1024 * 1024
LITTLE_BYTES, NOTHING_BYTES = 1024 * MIB, 50 * MIB


def look(facts: ControllerFacts) -> Iterator[Finding]:
    """Without room for a journal a run stops."""
    if not known(facts.state_writable):
        yield bad(
            f"{facts.state_dir} cannot be written to",
            why="a run writes its journal before it does anything",
            fix=f"sudo chown -R $USER {facts.state_dir}  (or: --state-dir DIR)",
        )
        return
    free = known(facts.state_free_bytes) or 0
    text, fix = f"{free // MIB} MiB are free for {facts.state_dir}", f"df -h {facts.state_dir}; fleetdeploy runs list"
    if free < NOTHING_BYTES:
        yield bad(text, why="a journal that cannot be written stops a run", fix=fix)
    elif free < LITTLE_BYTES:
        yield warn(text, why="a journal that cannot be written stops a run", fix=fix)
    else:
        yield fine(text)


CHECK = Check(Group.DISK, "the state directory", look, "df -h ~/.local/state")
