"""The ports of services are free, or their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.service import LABEL_SERVICE
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine


def look(facts: HostFacts) -> Iterator[Finding]:
    """By /proc/net/tcp and Docker's word on whose containers publish what."""
    taken = known(facts.observed.listening) or ()
    containers = facts.observed.containers.value if isinstance(facts.observed.containers, Present) else None
    for service in facts.host.services:
        if containers is None:  # Docker is silent, which is told elsewhere: who holds the ports is nobody's guess
            continue
        own = {
            port
            for item in containers
            if item.labels.get(LABEL_SERVICE) == service.name and item.holds_ports
            for port in item.published
        }
        others = [port for port in (service.ports.grpc, service.ports.rest) if port in taken and port not in own]
        if others:
            taken_by = " or ".join(f"sport = :{port}" for port in others)
            yield bad(
                f"{_named(service.name, others)} taken by something else",
                why="the server could not open what is not free",
                fix=f"on {{host}}: sudo ss -ltnp '{taken_by}'  (tells by whom; or set `ports`)",
            )
        else:
            yield fine(f"ports {service.ports.grpc} and {service.ports.rest} are free, or those of {service.name}")


def _named(service: str, ports: Sequence[int]) -> str:
    if len(ports) == 1:
        return f"port {ports[0]} of service {service} is"
    return f"ports {' and '.join(map(str, ports))} of service {service} are"


CHECK = Check(Group.NETWORK, "which ports are taken", look, "ssh {host} ss -ltn")
