"""What is wrong with the cards, their driver and their runtime."""

from __future__ import annotations

import json
from dataclasses import replace

from fleetdeploy.domain.checkup import Health, HostFacts
from fleetdeploy.domain.observed import Absent, Present, Unknown
from fleetdeploy.domain.service import Requirements

from .hosts import CARD, GIB, HEALTHY, SAID, WISH, Rows, saying, seen, wishing

BAD, WARN, UNKNOWN = Health.BAD, Health.WARN, Health.UNKNOWN
OF_EACH = "of GPU memory for each version"


def image(**environment: str) -> HostFacts:
    return saying(**{"image_env.0": json.dumps([f"{name}={value}" for name, value in environment.items()])})


def other_driver(version: str, cuda: str, facts: HostFacts = HEALTHY) -> HostFacts:
    cards = tuple(replace(CARD, index=index, driver=version) for index in (0, 1))
    return saying(seen(facts, gpus=Present(cards)), cuda=SAID["cuda"].replace("13.0", cuda))


ROWS: Rows = {
    "no nvidia runtime": (
        "nvidia_runtime",
        seen(docker=Present(replace(HEALTHY.observed.docker.value, runtimes=("io.containerd.runc.v2", "runc")))),
        [(BAD, "Docker has no runtime nvidia, which ranking needs")],
    ),
    "old toolkit": (
        "nvidia_toolkit",
        saying(toolkit="NVIDIA Container Toolkit CLI version 1.14.3\ncommit: 53b24618a542025b108239fe602e66e912b7d6e2"),
        [(WARN, "the NVIDIA Container Toolkit is 1.14.3, older than 1.17.8")],
    ),
    "runc needs no toolkit": ("nvidia_toolkit", saying(wishing(runtime="runc"), toolkit=Unknown("none")), []),
    "driver before CUDA 12": (
        "driver_cuda",
        other_driver("470.256.02", "11.4", image(CUDA_VERSION="12.2.2")),
        [(BAD, f"the driver 470.256.02 is too old for {WISH.image}")],
    ),
    "driver before CUDA 13": (
        "driver_cuda",
        other_driver("575.57.08", "12.9", image(CUDA_VERSION="13.0.1")),
        [(BAD, f"the driver 575.57.08 is too old for {WISH.image}")],
    ),
    "minor versions fit": ("driver_cuda", other_driver("525.60.13", "12.0", image(CUDA_VERSION="12.8.1")), []),
    "the image's own rule": (
        "driver_cuda",
        other_driver("525.60.13", "12.0"),
        [(BAD, f"the driver 525.60.13 is too old for {WISH.image}")],
    ),
    "an alternative of the rule": ("driver_cuda", other_driver("535.54.03", "12.2"), []),
    "a rule with a bound": (
        "driver_cuda",
        other_driver("550.54.14", "12.4", image(NVIDIA_REQUIRE_CUDA="cuda>=12.5 brand=tesla,driver>550.54.14")),
        [(BAD, f"the driver 550.54.14 is too old for {WISH.image}")],
    ),
    "a rule with a bound that fits": (
        "driver_cuda",
        other_driver("550.90.07", "12.4", image(NVIDIA_REQUIRE_CUDA="cuda>=12.5 brand=tesla,driver>550.54.14")),
        [],
    ),
    "the rule is off": (
        "driver_cuda",
        other_driver(
            "525.60.13",
            "12.0",
            image(NVIDIA_REQUIRE_CUDA="cuda>=12.5", NVIDIA_DISABLE_REQUIRE="1", CUDA_VERSION="12.5"),
        ),
        [],
    ),
    "CUDA of the future": (
        "driver_cuda",
        image(CUDA_VERSION="19.0"),
        [(UNKNOWN, f"which driver CUDA 19.0 of {WISH.image} needs is not known here")],
    ),
    "image without CUDA": ("driver_cuda", image(PATH="/bin"), []),
    "image not there": (
        "driver_cuda",
        saying(**{"image_env.0": Absent()}),
        [(UNKNOWN, f"the CUDA of {WISH.image} is not known")],
    ),
    "a card is gone": (
        "gpus",
        seen(gpus=Present((CARD,))),
        [
            (BAD, "the inventory declares 2 GPUs, nvidia-smi lists 1"),
            (BAD, "service ranking wants GPU 1, the host has 0"),
        ],
    ),
    "another card": (
        "gpus",
        seen(gpus=Present(tuple(replace(CARD, index=index, name="NVIDIA A100-SXM4-80GB") for index in (0, 1)))),
        [(BAD, "the inventory declares model 'NVIDIA H200', nvidia-smi lists 'NVIDIA A100-SXM4-80GB' for GPU 0, 1")],
    ),
    "a model too large": (
        "gpus",
        wishing(models=(replace(WISH.models[0], requires=Requirements(200 * GIB)),)),
        [
            (BAD, f"model 'ranker' requires 200.0 GiB {OF_EACH}, GPU 0, 1 (NVIDIA H200) have 140.4 GiB"),
        ],
    ),
    "persistence off": (
        "gpu_settings",
        saying(gpu_settings="0, Disabled, Disabled, 0\n1, Disabled, Disabled, 0"),
        [(WARN, "persistence mode is off on GPU 0, 1")],
    ),
    "MIG": (
        "gpu_settings",
        saying(gpu_settings="0, Enabled, Enabled, 0\n1, Enabled, Disabled, 0"),
        [(WARN, "GPU 0 is split up (MIG)")],
    ),
    "memory errors": (
        "gpu_settings",
        saying(gpu_settings="0, Enabled, Disabled, 0\n1, Enabled, Disabled, 3"),
        [(WARN, "GPU 1 has had memory errors that could not be corrected")],
    ),
    "a card without either": ("gpu_settings", saying(gpu_settings="0, Enabled, [N/A], [N/A]"), []),
}
