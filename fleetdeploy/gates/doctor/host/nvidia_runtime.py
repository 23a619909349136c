"""The runtime that services name is one that Docker has."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.domain.observed import Present
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine

_FIXES = {"nvidia": "on {host}: sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"}


def look(facts: HostFacts) -> Iterator[Finding]:
    """By ``docker info``; silent where Docker gave no answer, as that is told already."""
    docker = facts.observed.docker
    if not isinstance(docker, Present):
        return
    for runtime in sorted({service.runtime for service in facts.host.services}):
        users = ", ".join(service.name for service in facts.host.services if service.runtime == runtime)
        if runtime in docker.value.runtimes:
            yield fine(f"Docker has the runtime {runtime}")
        else:
            yield bad(
                f"Docker has no runtime {runtime}, which {users} needs",
                why=f"it has {', '.join(docker.value.runtimes) or 'none'}",
                fix=_FIXES.get(runtime, f"on {{host}}: add {runtime} to `runtimes` in /etc/docker/daemon.json"),
            )


CHECK = Check(Group.GPUS, "Docker's runtimes", look, "ssh {host} docker info --format '{{json .Runtimes}}'")
