# ruff: noqa: ARG002  the signatures are those of the Containers protocol
"""Whether a container still has its GPUs, by the words of nvidia-smi inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from fleetdeploy.domain.protocols import Ended
from fleetdeploy.errors import DeadlineExceeded, NotHealthy
from fleetdeploy.gates.gpus import asked_for, check_gpus

TWO = "GPU 0: NVIDIA H200 (UUID: GPU-1)\n  MIG 1g.18gb Device 0: (UUID: MIG-1)\nGPU 1: NVIDIA H200 (UUID: GPU-2)\n"


class Says:
    """A container in which nvidia-smi ends like this."""

    def __init__(self, ended: Ended | None) -> None:
        self.ended = ended

    def execute(self, name: str, argv: Sequence[str], *, deadline_s: float) -> Ended:
        assert (name, tuple(argv)) == ("c", ("nvidia-smi", "-L"))
        if self.ended is None:
            raise DeadlineExceeded("no end")
        return self.ended


def check(ended: Ended | None, wanted: int) -> str:
    containers: Any = Says(ended)
    return check_gpus(containers, "c", wanted=wanted)


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"NVIDIA_VISIBLE_DEVICES": "0,1"}, 2),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, 1),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, 0),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, 0),
        ({"NVIDIA_VISIBLE_DEVICES": ""}, 0),
        ({}, 0),
        (None, 0),
    ],
)
def test_what_the_runtime_was_asked_for_is_what_has_to_be_there(environment: object, count: int) -> None:
    """Each device by its name; `all` is at least one, and a service without GPUs is asked for none."""
    assert asked_for(environment) == count


@pytest.mark.parametrize("wanted", [1, 2])
def test_as_many_as_wanted_is_well(wanted: int) -> None:
    """GPUs are counted, and not the slices of them that are listed below."""
    assert check(Ended(0, TWO), wanted) == ""


@pytest.mark.parametrize(
    ("ended", "wanted", "words"),
    [
        (Ended(0, TWO), 3, "lists 2 of the 3 it was given"),
        (Ended(0, ""), 1, "lists 0 of the 1"),
        (Ended(6, "No devices were found"), 1, "ended with status 6: No devices were found"),
        (Ended(255, "Failed to initialize NVML: Unknown Error"), 1, "status 255: Failed to initialize NVML"),
        (Ended(15, TWO), 2, "status 15"),
        (None, 1, "gave no answer within 30 s"),
    ],
)
def test_a_gpu_that_is_gone_is_not_healthy(ended: Ended | None, wanted: int, words: str) -> None:
    """Fewer than it was given, an error of nvidia-smi, or none at all in time: with its own words and a way out."""
    with pytest.raises(NotHealthy, match="the server lost its GPU") as caught:
        check(ended, wanted)
    assert words in caught.value.message
    assert "restart the container" in caught.value.hint


@pytest.mark.parametrize("status", [126, 127])
def test_a_container_without_the_program_tells_nothing(status: int) -> None:
    """An image for CPUs has no nvidia-smi; that is no error, and is told."""
    assert "no nvidia-smi" in check(Ended(status, "executable file not found in $PATH"), 1)
