"""Modes of the cards, and errors of their memory, where nvidia-smi tells them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn

_NOT_TOLD = {"[n/a]", "n/a", "[not supported]", "[unknown error]", "[gpu requires reset]", ""}


def look(facts: HostFacts) -> Iterator[Finding]:
    """Rows of index, persistence mode, MIG mode and uncorrected errors since the driver was loaded."""
    if facts.host.gpus is None and not any(service.gpus.wanted for service in facts.host.services):
        return
    rows = [
        [part.strip() for part in line.split(",")] for line in facts.text("gpu_settings").splitlines() if line.strip()
    ]
    if any(len(row) != 4 for row in rows):
        raise ValueError("nvidia-smi printed other columns")
    if idle := [row[0] for row in rows if row[1].lower() == "disabled"]:
        yield warn(
            f"persistence mode is off on GPU {_listed(idle)}",
            why="each question to a card that nobody uses initializes it anew, for seconds",
            fix="on {host}: sudo systemctl enable --now nvidia-persistenced || sudo nvidia-smi -pm 1",
        )
    if split := [row[0] for row in rows if row[2].lower() == "enabled"]:
        yield warn(
            f"GPU {_listed(split)} is split up (MIG)",
            why="a server sees the first instance alone, and declared memory is the whole card's",
            fix="on {host}: sudo nvidia-smi -mig 0  (or declare what an instance has)",
        )
    broken = [row for row in rows if row[3].lower() not in _NOT_TOLD and int(row[3]) > 0]
    if broken:
        yield warn(
            f"GPU {_listed([row[0] for row in broken])} has had memory errors that could not be corrected",
            why="answers may be wrong, and the next such error ends the server",
            fix="on {host}, drained: sudo nvidia-smi --gpu-reset  (replace the card if they come again)",
        )
    if not (idle or split or broken):
        yield fine(f"the modes of {len(rows)} GPUs are as they should be")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


CHECK = Check(Group.GPUS, "the GPUs' modes", look, "ssh {host} nvidia-smi -q", aside=True)
