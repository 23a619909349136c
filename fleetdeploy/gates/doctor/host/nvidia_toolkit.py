"""NVIDIA's container toolkit, and its holes that are known."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn
from fleetdeploy.gates.doctor.versions import install, shown, version_in

MENDED = (1, 17, 8)
"""CVE-2025-23266 and CVE-2025-23267 are in all versions up to 1.17.7, by their records of NVIDIA."""


def look(facts: HostFacts) -> Iterator[Finding]:
    """Where a service runs on NVIDIA's runtime."""
    if all(service.runtime != "nvidia" for service in facts.host.services):
        return
    version = version_in(facts.text("toolkit"), after="version")
    if version < MENDED:
        yield warn(
            f"the NVIDIA Container Toolkit is {shown(version)}, older than {shown(MENDED)}",
            why="an image can become root on the host through it (CVE-2025-23266)",
            fix=f"{install(facts, 'nvidia-container-toolkit')} && sudo systemctl restart docker",
        )
    else:
        yield fine(f"the NVIDIA Container Toolkit is {shown(version)}")


CHECK = Check(Group.GPUS, "the NVIDIA Container Toolkit's version", look, "ssh {host} nvidia-ctk --version", aside=True)
