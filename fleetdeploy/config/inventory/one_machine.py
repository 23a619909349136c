"""Two names for one machine: a copied file of ``host_vars``, or ``-e ansible_host=…``, which sets it for every host.

Two hosts would be drained, changed and counted as two while only one machine is there. One address with different
ports, or behind different jump hosts, is two machines: containers, or networks that are numbered alike.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from fleetdeploy.config.inventory.connection import ADDRESS_VARIABLES
from fleetdeploy.config.syntax.nodes import MapNode
from fleetdeploy.domain.inventory import Host
from fleetdeploy.errors import Problem

_SSH_PORT = 22
_MOST_NAMED = 3


def shared_machines(hosts: Mapping[str, Host], variables: Mapping[str, MapNode]) -> Iterator[Problem]:
    """A problem for each machine that several hosts with services are; ``variables`` are the hosts', with places."""
    by_machine: dict[tuple[object, ...], list[Host]] = {}
    for host in hosts.values():
        if host.services:
            by_machine.setdefault(_machine(host), []).append(host)
    for same in by_machine.values():
        if len(same) > 1:
            yield _problem(same, variables)


def _machine(host: Host) -> tuple[object, ...]:
    to = host.connection
    return _canonical(to.address), to.port or _SSH_PORT, to.proxy_jump, to.ssh_config


def _canonical(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower()


def _problem(same: list[Host], variables: Mapping[str, MapNode]) -> Problem:
    connection = same[0].connection
    places = {host.name: _place(variables[host.name]) for host in same}
    names = [host.name for host in same]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    listed = " and ".join(names) if len(names) == 2 else f"{', '.join(names[:_MOST_NAMED])}{more}"
    # The later one is the copy, more often than not.
    told = next((place for name, place in reversed(places.items()) if place and name in names), "")
    others = [f"{name} has it from {place}" for name, place in list(places.items())[:_MOST_NAMED] if place != told]
    known = "; ".join(text for text in others if not text.endswith(" from "))
    advice = (
        "set it where it counts for one host only"
        if told and set(places.values()) == {told}
        else "give each host its own address, or keep one of the names"
    )
    return Problem(
        f"{listed} are one machine: {connection.address}, port {connection.port or _SSH_PORT}",
        told,
        f"{known}; {advice}" if known else advice,
    )


def _place(variables: MapNode) -> str:
    """Where a host's address is set; nothing where it is the host's own name."""
    return next((str(node.origin) for name in ADDRESS_VARIABLES if (node := variables.get(name)) is not None), "")
