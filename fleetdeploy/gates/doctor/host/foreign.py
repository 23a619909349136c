"""Containers that stand in our way, or that we left."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.service import LABEL_SERVICE
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn
from fleetdeploy.planning.container import container_name, previous_name


def look(facts: HostFacts) -> Iterator[Finding]:
    """By names and labels; silent where Docker gave no answer, as that is told already."""
    if not isinstance(facts.observed.containers, Present):
        return
    named = {service.name for service in facts.host.services}
    ours = {name(service) for service in named for name in (container_name, previous_name)}
    clean = True
    for item in facts.observed.containers.value:
        label = item.labels.get(LABEL_SERVICE)
        if item.name in ours and not label:
            clean = False
            yield bad(
                f"a container named {item.name} exists that fleetdeploy did not make",
                why="it is never touched, and its name is needed",
                fix=f"on {{host}}: docker rename {quote(item.name)} {quote(item.name)}-old",
            )
        elif label and label not in named and item.running:
            clean = False
            yield bad(
                f"{item.name} still runs service {label}, which the inventory does not list for this host",
                why="a rollout refuses such a host",
                fix=f"list it again; or, out of its balancer, on {{host}}: docker rm -f {quote(item.name)}",
            )
        elif label and item.restart_count > 2 and item.running:
            clean = False
            yield warn(
                f"Docker has restarted {item.name} several times",
                why="its server ends by itself",
                fix=f"on {{host}}: docker logs --tail 50 {quote(item.name)}",
            )
    if clean:
        yield fine("no container stands in the way")


CHECK = Check(Group.FLEET, "which containers there are", look, "ssh {host} docker ps -a")
