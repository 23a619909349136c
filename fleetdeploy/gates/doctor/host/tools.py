"""The programs that scripts on a host need."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn
from fleetdeploy.gates.doctor.versions import install

_NEEDED = {
    "flock": ("util-linux", "leases are held by it"),
    "setsid": ("util-linux", "watchdogs are started by it"),
    "sync": ("coreutils", "what is staged is synced by it"),
    "sha256sum": ("coreutils", "what is staged is checked by it"),
    "find": ("findutils", "versions are listed by it"),
    "df": ("coreutils", "free space is told by it"),
    "stat": ("coreutils", "files are looked at by it"),
    "tail": ("coreutils", "histories are kept by it"),
    "head": ("coreutils", "scripts need it"),
    "date": ("coreutils", "scripts need it"),
    "sh": ("dash", "scripts need it"),
}
_BETTER = {
    "timeout": ("coreutils", "without it nothing on the host ends a command whose connection is gone"),
    "setpriv": ("util-linux", "without it short commands outlive a connection that is lost, up to their deadline"),
}


def look(facts: HostFacts) -> Iterator[Finding]:
    """Each by its name in the PATH that our commands get. rsync and Docker have checks of their own."""
    there = dict(line.split() for line in facts.text("tools").splitlines())
    for tool, (package, why) in _NEEDED.items():
        if there[tool] != "yes":
            yield bad(f"{tool} is missing on the host", why=why, fix=install(facts, package))
    for tool, (package, why) in _BETTER.items():
        if there[tool] != "yes":
            yield warn(f"{tool} is missing on the host", why=why, fix=install(facts, package))
    here = [tool for tool in (*_NEEDED, *_BETTER) if there[tool] == "yes"]
    yield fine(f"tools are there: {', '.join(here)}")


CHECK = Check(Group.TOOLS, "which programs the host has", look, "ssh {host} 'command -v flock setsid sha256sum'")
