"""Inputs made to hang or to fill the memory, each read in a process with limits of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from . import nasty_inputs

PROJECT = Path(__file__).parents[3]
PARTS = 2


def test_names_are_unique() -> None:
    """Each input has a name of its own, by which a failure is found again."""
    names = Counter((kind, name) for kind, name, _ in nasty_inputs.cases())
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.programs
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("part", range(PARTS))
def test_nasty_inputs(part: int) -> None:
    """Each is read or refused with an error of ours, within 256 MiB and some seconds of processor time."""
    done = subprocess.run(
        [sys.executable, nasty_inputs.__file__, str(part), str(PARTS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes: dict[str, str] = json.loads(done.stdout)
    assert len(outcomes) > 300
    wrong = {name: said for name, said in outcomes.items() if said != "result" and not said.startswith("refused: ")}
    assert wrong == {}
