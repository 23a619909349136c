"""Which hosts a command reaches into, and which services on them."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetdeploy.domain.inventory import Host, Inventory


def add_service(group: argparse._ActionsContainer) -> None:
    """Which services of the hosts are meant."""
    group.add_argument(
        "--service", action="append", default=[], metavar="SERVICE", help="only this one; may be given several times"
    )


def services_of(arguments: argparse.Namespace, inventory: Inventory) -> dict[str, tuple[str, ...]]:
    """The services that are meant, by host; hosts without any are left out. Raises PatternError where none is left, and
    InputError for a service that no host has.
    """
    from fleetdeploy.config.inventory.patterns import select
    from fleetdeploy.errors import PatternError

    hosts = [inventory.hosts[name] for name in select(inventory, arguments.pattern, limit=arguments.limit)]
    known = {wish.name for host in hosts for wish in host.services}
    if not known:
        message = f"no host of {arguments.pattern!r} has a service"
        raise PatternError(message, hint="services are set by the variable `services`")
    check_services(arguments, known)
    wanted = set(arguments.service) or known
    found = {host.name: tuple(wish.name for wish in host.services if wish.name in wanted) for host in hosts}
    return {name: services for name, services in found.items() if services}


def check_services(arguments: argparse.Namespace, known: Collection[str]) -> None:
    """Raise InputError for services that are asked for and not ``known``: those of the hosts that are meant."""
    from fleetdeploy.config.syntax.suggest import hint_for
    from fleetdeploy.errors import InputError, Problem

    problems = [
        Problem(f"--service {name}: none of these hosts has it", hint=hint_for(name, known, what="services"))
        for name in arguments.service
        if name not in known
    ]
    if problems:
        raise InputError(problems=problems)


def know_secrets(hosts: Iterable[Host]) -> None:
    """Open all secrets of these hosts: what they print may hold them, and only what is known is taken out of it.

    One that cannot be opened is told on stderr and keeps nobody from looking at a log.
    """
    from fleetdeploy.domain.secret import Secret, without_secrets
    from fleetdeploy.errors import FleetdeployError

    seen, failed = set[int](), list[str]()

    def know(secret: Secret) -> None:
        if id(secret) in seen:
            return
        seen.add(id(secret))
        try:
            secret.reveal()
        except FleetdeployError as error:
            failed.append(str(error))

    for host in hosts:
        without_secrets(host.variables, know)
        for wish in host.services:
            without_secrets(wish.environment, know)
    if failed:
        from fleetdeploy.report.terminal import aside

        some = "a secret" if len(failed) == 1 else f"{len(failed)} secrets"
        aside(f"note: {some} cannot be taken out of what is shown here: {failed[0]}")
