"""The host's memory against what services may take of it."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn

GIB = 1024**3
LITTLE = 0.05


def look(facts: HostFacts) -> Iterator[Finding]:
    """By /proc/meminfo, whose sizes are in KiB."""
    rows = dict(line.partition(":")[::2] for line in facts.text("memory").splitlines())
    total, free = (int(rows[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    if total <= 0:
        raise ValueError("no memory at all")
    wanted = sum(service.memory_bytes for service in facts.host.services)
    if wanted > total:
        yield bad(
            f"services may take {wanted / GIB:.1f} GiB of memory, the host has {total / GIB:.1f} GiB",
            why="the kernel ends one of them when they do",
            fix="mend `memory` of the services, or place one elsewhere",
        )
    elif free < LITTLE * total:
        yield warn(
            f"less than {LITTLE:.0%} of the memory is free",
            why="two versions are loaded at a time while a model is reloaded",
            fix="on {host}: ps -eo rss,comm --sort=-rss | head",
        )
    else:
        yield fine(f"{free / GIB:.1f} of {total / GIB:.1f} GiB of memory are free")


CHECK = Check(Group.SYSTEM, "the host's memory", look, "ssh {host} free -h", services=False)
