"""The host has the address on which services shall listen."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine
from fleetdeploy.planning.container import bind_address

_ANY = {"0.0.0.0", "::"}  # noqa: S104  compared, not bound


def look(facts: HostFacts) -> Iterator[Finding]:
    """An address that is named must be there too: Docker does not start a container on one that is not."""
    addresses = known(facts.observed.addresses) or ()
    for service in facts.host.services:
        address = bind_address(service.bind, addresses)
        # Only IPv4 addresses are listed.
        if address in _ANY or (address is not None and ":" in address):
            yield fine(f"service {service.name} listens on {address}")
        elif address is None or address not in addresses:
            yield bad(
                f"the host has no address {'in ' if address is None else ''}{service.bind} for service {service.name}",
                why=f"it has {', '.join(addresses)}",
                fix=f"set `bind` of service {service.name}, or give the host the address",
            )
        else:
            yield fine(f"service {service.name} listens on {address}")


CHECK = Check(Group.NETWORK, "the host's addresses", look, "ssh {host} ip -4 addr")
