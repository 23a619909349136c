"""Docker's API on a TCP port is root for whoever reaches it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, Untold, known
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn

PLAIN_PORT, TLS_PORT = 2375, 2376
_ADDRESS = re.compile(r"tcp://[^\s\"',\]]*")
_LOOP = ("tcp://127.", "tcp://localhost", "tcp://[::1]")


def look(facts: HostFacts) -> Iterator[Finding]:
    """By the engine's command line and file, and by its well-known ports: a unit file may hide the first."""
    words, _, text = facts.text("dockerd").partition("--\n")
    settings = json.loads(text) if text.strip() else {}
    places = [*_ADDRESS.findall(words), *_ADDRESS.findall(json.dumps(settings.get("hosts") or []))]
    verified = settings.get("tlsverify") is True or "--tlsverify" in words
    ports = known(facts.observed.listening) or ()
    if not places and (PLAIN_PORT in ports or TLS_PORT in ports):
        # Whoever listens there may be something else; Docker's own warning is the last word.
        port = PLAIN_PORT if PLAIN_PORT in ports else TLS_PORT
        warned = _warned(facts)
        if warned or port == PLAIN_PORT:
            places, verified = [f"tcp://...:{port}"], port == TLS_PORT and not warned
    if not places:
        yield fine("Docker listens on its socket alone")
        return
    where = ", ".join(dict.fromkeys(places))
    fix = (
        "on {host}: take `-H tcp://...` out of docker's unit, `hosts` out of /etc/docker/daemon.json, then: "
        "sudo systemctl restart docker"
    )
    if verified:
        yield warn(f"Docker listens on {where}, for clients with a certificate", fix=fix)
    elif all(place.startswith(_LOOP) for place in places):
        yield bad(f"Docker listens on {where}", why="every user and every program of the host is root there", fix=fix)
    else:
        yield bad(f"Docker listens on {where}", why="whoever reaches that port is root on the host", fix=fix)


def _warned(facts: HostFacts) -> bool:
    try:
        warnings = json.loads(facts.text("docker_info")).get("Warnings") or []
    except Untold:
        return False
    return any("API is accessible on" in str(line) for line in warnings)


CHECK = Check(Group.DOCKER, "whether Docker listens on a TCP port", look, "ssh {host} ss -ltn")
