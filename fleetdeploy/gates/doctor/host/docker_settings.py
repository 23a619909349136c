"""Docker's settings that matter months later: logs that grow, restarts that end servers, room for images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.domain.observed import Present
from fleetdeploy.gates.doctor.check import Check, Group, fine, unknown, warn

_PLAIN_DRIVERS = {"json-file"}
"""Drivers that keep everything in files of the host unless they are told otherwise; ``local`` rotates by itself."""
_MADE_FOR_TESTS = {"vfs", "devicemapper", "aufs", "overlay"}


def look(facts: HostFacts) -> Iterator[Finding]:
    """By ``docker info`` and ``daemon.json``; silent where Docker gave no answer, as that is told already."""
    if not isinstance(facts.observed.docker, Present):
        return
    info = json.loads(facts.text("docker_info"))
    yield _restarts(info)
    driver = str(info["Driver"])
    if driver in _MADE_FOR_TESTS:
        yield warn(
            f"Docker keeps images by the driver {driver}",
            why="it is slow, large, or gone from newer versions; with another one images are pulled anew",
            fix='on {host}: set "storage-driver": "overlay2" in /etc/docker/daemon.json, restart docker',
        )
    else:
        yield fine(f"Docker's storage driver is {driver}")
    yield _logs(str(info["LoggingDriver"]), facts)


def _restarts(info: Mapping[str, Any]) -> Finding:
    if info["LiveRestoreEnabled"]:
        return fine("servers go on while Docker restarts (live-restore)")
    return warn(
        "a restart of Docker ends every server of the host (live-restore is off)",
        why="a package update restarts it, on many hosts at a time",
        fix='on {host}: set "live-restore": true in /etc/docker/daemon.json, then: sudo systemctl reload docker',
    )


def _logs(driver: str, facts: HostFacts) -> Finding:
    if driver not in _PLAIN_DRIVERS:
        return fine(f"containers log to {driver}")
    text = facts.text("dockerd").partition("--\n")[2].strip()
    words = facts.text("dockerd").partition("--\n")[0]
    options = (json.loads(text) if text else {}).get("log-opts") or {}
    if not isinstance(options, dict):
        return unknown("whether container logs are rotated cannot be told", fix="look at log-opts in daemon.json")
    if "max-size" in options or "max-size=" in words:
        return fine(f"container logs are rotated at {options.get('max-size', 'a size')}")
    return warn(
        "container logs grow without end (json-file has no max-size)",
        why="a full disk stops the host",
        fix='on {host}: set "log-opts": {"max-size": "50m"} in /etc/docker/daemon.json, restart docker; it counts for '
        "containers that are made from then on",
    )


CHECK = Check(Group.DOCKER, "Docker's settings", look, "ssh {host} docker info", aside=True)
