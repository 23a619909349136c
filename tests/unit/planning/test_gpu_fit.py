"""Models held against the GPUs of their host."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.observed import Gpu
from fleetdeploy.domain.service import GpuRequest, ModelWish, Ports, Requirements, ServiceWish, VersionsWish
from fleetdeploy.planning.gpu_fit import capability_fits, misfits

GIB = 1024**3
OLD = Gpu(0, "V100", 16 * GIB, 0, "7.0", "550")
NEW = Gpu(1, "A100", 80 * GIB, 0, "8.0", "550")
MUTE = Gpu(2, "card", 80 * GIB, 0, "", "550")


def service(*requires: Requirements, gpus: GpuRequest) -> ServiceWish:
    models = tuple(
        ModelWish(f"m{index}", Path("m"), VersionsWish((1,)), requires=needs) for index, needs in enumerate(requires)
    )
    return ServiceWish("ranking", "serving:1", Ports(1, 2), "10.0.0.1", models, gpus=gpus)


@pytest.mark.parametrize(
    ("requires", "gpus", "said"),
    [
        (Requirements(), GpuRequest(), ()),
        (Requirements(16 * GIB, ">=7.0"), GpuRequest(devices=(0,)), ()),
        (Requirements(16 * GIB + 1), GpuRequest(devices=(0,)), ("GPU 0 (V100) has 16.0 GiB",)),
        (Requirements(40 * GIB), GpuRequest(devices=(1,)), ()),
        (Requirements(40 * GIB), GpuRequest(count=2), ("requires 40.0 GiB of GPU memory, GPU 0",)),
        (Requirements(0, ">=8.0"), GpuRequest(count=1), ("requires compute capability >=8.0, GPU 0 (V100) has 7.0",)),
        (Requirements(0, ">=8.0"), GpuRequest(all=True), ("GPU 0", "GPU 2 (card) has one that it does not say")),
        (Requirements(40 * GIB, "==8.6"), GpuRequest(devices=(0,)), ("40.0 GiB", "==8.6")),
        (Requirements(1), GpuRequest(), ("requires a GPU, and its service gets none",)),
        (Requirements(0, ">=7.0"), GpuRequest(), ("requires a GPU",)),
        (Requirements(40 * GIB), GpuRequest(devices=(7,)), ()),
    ],
)
def test_each_model_is_held_against_each_gpu_of_its_service(
    requires: Requirements, gpus: GpuRequest, said: tuple[str, ...]
) -> None:
    """Only the GPUs that the service gets count, and each of them must have what the model requires."""
    found = misfits(service(requires, gpus=gpus), (OLD, NEW, MUTE))
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found, strict=True))


def test_models_share_the_memory_of_their_gpus() -> None:
    """Models that fit alone and not together are one sentence about their sum."""
    forty = Requirements(40 * GIB)
    assert misfits(service(forty, forty, gpus=GpuRequest(devices=(1,))), (OLD, NEW)) == ()
    (text,) = misfits(service(forty, forty, Requirements(1 * GIB), gpus=GpuRequest(devices=(1,))), (OLD, NEW))
    assert text == "its models require 81.0 GiB of GPU memory together, its GPUs have 80.0 GiB"


@pytest.mark.parametrize(
    ("has", "wanted", "fits"),
    [
        ("8.0", "8.0", True),
        ("8.6", "8.0", True),
        ("7.5", "8.0", False),
        ("10.0", ">=9.0", True),
        ("9.0", ">=10.0", False),
        ("8.0", ">8.0", False),
        ("8.6", ">8.0", True),
        ("8.6", "==8.0", False),
        ("8.0", "==8.0", True),
        ("", ">=1.0", False),
        ("[N/A]", ">=1.0", False),
        (">=8.0", ">=7.0", False),
        ("8.0", "<9.0", False),
    ],
)
def test_capabilities_compare_as_numbers(has: str, wanted: str, fits: bool) -> None:
    """10.0 is more than 9.0; what is no capability never fits."""
    assert capability_fits(has, wanted) is fits


@given(st.integers(1, 20), st.integers(0, 9), st.integers(1, 20), st.integers(0, 9))
def test_at_least_is_more_or_the_same(major: int, minor: int, other_major: int, other_minor: int) -> None:
    """``>=`` holds exactly where ``>`` or ``==`` does."""
    has, than = f"{major}.{minor}", f"{other_major}.{other_minor}"
    either = capability_fits(has, f">{than}") or capability_fits(has, f"=={than}")
    assert capability_fits(has, f">={than}") is either
