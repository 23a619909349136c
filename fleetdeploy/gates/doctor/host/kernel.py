"""Kernel, cgroups and security modules: for who wants to know, nothing is wrong with any of them."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, fine


def look(facts: HostFacts) -> Iterator[Finding]:
    """As the host tells it."""
    names = facts.text("kernel").split()
    if len(names) < 2:
        raise ValueError("uname told no version")
    guards = ", ".join(" ".join(line.split()) for line in facts.text("security").splitlines()) or "no security module"
    version = facts.text("cgroup").strip()
    if version not in {"1", "2"}:
        raise ValueError(f"{version[:20]!r} is no version of cgroups")
    yield fine(f"{' '.join(names[:3])[:80]}, cgroup v{version}, {guards[:80]}")


CHECK = Check(Group.SYSTEM, "the kernel", look, "ssh {host} uname -a", services=False, aside=True)
