"""The driver against the CUDA of the services' images: what NVIDIA's runtime, or CUDA itself, refuses at start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.domain.observed import Absent, Present
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, unknown
from fleetdeploy.gates.doctor.versions import Version, shown, version_in

MINIMUM: Mapping[Version, Version] = {
    (13,): (580,),
    (12,): (525,),
    (11,): (450,),
    (10, 2): (440, 33),
    (10, 1): (418, 39),
    (10, 0): (410, 48),
}
"""The oldest driver of each CUDA on Linux x86_64, from 11 on by minor version compatibility. Source: NVIDIA, CUDA
Compatibility, "Minor Version Compatibility", tables 1 and 2 (docs.nvidia.com/deploy/cuda-compatibility)."""
_TERM = re.compile(r"(cuda|driver)(>=|<=|>|<|=)(\d+(?:\.\d+)*)")


def look(facts: HostFacts) -> Iterator[Finding]:
    """Each image that is on the host and whose service gets GPUs; one that is not there yet tells nothing."""
    images = list(dict.fromkeys(service.image for service in facts.host.services))
    wanted = {service.image for service in facts.host.services if service.gpus.wanted}
    if not wanted or not isinstance(facts.observed.docker, Present):  # which is told already
        return
    gpus = known(facts.observed.gpus) or ()
    for index, image in enumerate(images):
        if image not in wanted:
            continue
        name = f"image_env.{index}"
        if isinstance(facts.said.get(name), Absent):
            yield unknown(f"the CUDA of {image} is not known", why="the host does not have the image yet", aside=True)
            continue
        environment = _environment(facts.text(name))
        for driver in sorted({gpu.driver for gpu in gpus}):
            yield _judged(facts, image, environment, driver)


def _environment(text: str) -> Mapping[str, str]:
    listed = json.loads(text) or []
    if not isinstance(listed, list):
        raise TypeError("the image's environment is no list")
    return dict(str(item).partition("=")[::2] for item in listed)


def _judged(facts: HostFacts, image: str, environment: Mapping[str, str], driver: str) -> Finding:
    has = version_in(driver)
    if rule := environment.get("NVIDIA_REQUIRE_CUDA", ""):
        off = environment.get("NVIDIA_DISABLE_REQUIRE", "").lower() in {"1", "true"}
        if not off and not _met(rule, has, facts):
            return bad(
                f"the driver {driver} is too old for {image}",
                why=f"the image requires {rule.split()[0]}, and NVIDIA's runtime refuses to start it",
                fix="update the NVIDIA driver on the host, or use an image with an older CUDA",
            )
    told = environment.get("CUDA_VERSION", "")
    if not told:
        return fine(f"{image} names no CUDA that the driver {driver} would have to fit")
    cuda = version_in(told)
    needed = MINIMUM.get(cuda[:1]) or MINIMUM.get(cuda[:2])
    if needed is None:
        return unknown(
            f"which driver CUDA {told} of {image} needs is not known here", why="it is in no table of ours",
            fix="see https://docs.nvidia.com/deploy/cuda-compatibility/", aside=True,
        )  # fmt: skip
    if has < needed:
        return bad(
            f"the driver {driver} is too old for {image}",
            why=f"it has CUDA {told}, which needs a driver from {shown(needed)} on",
            fix="update the NVIDIA driver on the host, or use an image with an older CUDA",
        )
    return fine(f"the driver {driver} is new enough for CUDA {told} of {image}")


def _met(rule: str, driver: Version, facts: HostFacts) -> bool:
    """Whether one of the alternatives holds. Their ``brand`` is taken as met: nvidia-smi does not tell it reliably."""
    cuda = version_in(facts.text("cuda"), after="CUDA Version:") if "cuda" in rule else ()
    has = {"cuda": cuda, "driver": driver}
    return any(
        all(_holds(has[term[0]], term[1], version_in(term[2])) for term in _TERM.findall(alternative))
        for alternative in rule.split()
    )


def _holds(has: Version, sign: str, wanted: Version) -> bool:
    size = max(len(has), len(wanted))
    here, there = ((*version, *(0,) * (size - len(version))) for version in (has, wanted))
    return {">=": here >= there, "<=": here <= there, ">": here > there, "<": here < there, "=": here == there}[sign]


CHECK = Check(Group.GPUS, "whether the driver fits the image's CUDA", look, "ssh {host} nvidia-smi")
