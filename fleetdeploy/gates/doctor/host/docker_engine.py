"""Whether the Docker engine answers, and is new enough."""

from __future__ import annotations

import json
from collections.abc import Iterator
from shlex import quote

from fleetdeploy.domain.checkup import Finding, HostFacts, Untold
from fleetdeploy.domain.observed import Unknown
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine
from fleetdeploy.gates.doctor.versions import shown, version_in

OLDEST_API = (1, 40)
"""Of Docker 19.03: older ones know no GPUs."""


def look(facts: HostFacts) -> Iterator[Finding]:
    """Every other check of Docker is silent where this one fails."""
    docker = facts.observed.docker
    if isinstance(docker, Unknown):
        yield _silent(facts, docker.reason)
        return
    server = json.loads(facts.text("docker_version"))
    version, api = str(server["Version"]), version_in(server["ApiVersion"])
    if api < OLDEST_API:
        yield bad(
            f"Docker {version} speaks API {shown(api)}, {shown(OLDEST_API)} is needed",
            fix="on {host}: update Docker, see https://docs.docker.com/engine/install/",
        )
    else:
        yield fine(f"Docker {version} answers, API {shown(api)}")


def _silent(facts: HostFacts, reason: str) -> Finding:
    low = reason.lower()
    if "not found on the host" in low:
        return bad("Docker is not installed", fix="on {host}: install it, see https://docs.docker.com/engine/install/")
    if "permission denied" in low:
        try:
            user = facts.text("user").strip() or "USER"
        except Untold:
            user = "USER"
        return bad(
            "this user may not use Docker",
            why=_last(reason),
            fix=f"on {{host}}: sudo usermod -aG docker {quote(user)}  (or set `ansible_become: true`)",
        )
    if "cannot connect" in low or "daemon running" in low:
        return bad(
            "the Docker engine does not run, or does not listen on its socket",
            why="running containers may still serve",
            fix="on {host}: sudo systemctl start docker  (why it ended: journalctl -u docker)",
        )
    raise Untold(reason)


def _last(reason: str) -> str:
    return reason.strip().splitlines()[-1][:160] if reason.strip() else ""


CHECK = Check(Group.DOCKER, "whether Docker answers", look, "ssh {host} docker version")
