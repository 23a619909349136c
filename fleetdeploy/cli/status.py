"""``fleetdeploy status``: what each host serves now, and where it differs from the inventory."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fleetdeploy.cli import options

if TYPE_CHECKING:
    from collections.abc import Collection

    from fleetdeploy.domain.inventory import Inventory
    from fleetdeploy.domain.observed import PoolMember, Reading
    from fleetdeploy.domain.plan import Plan
    from fleetdeploy.domain.protocols import Fleet
    from fleetdeploy.report.fleet_state import Members
    from fleetdeploy.rollout.debt.ledger import Debt, Debts


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "status",
        help="what each host serves now",
        description="Show per host and service: release, versions and states, container, balancer,\ndrift.",
        epilog="example:\n  fleetdeploy status -i inventories/prod -l rack1 --exit-code",
    )
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="hosts (default: all)")
    options.add_inventory(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser, quiet="only the last line")
    parser.add_argument(
        "--exit-code", action="store_true", help="exit 10 when a host differs from the inventory or is not in service"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, 2 when a host key was refused, 4 when a host cannot be known, 10 with ``--exit-code`` on drift."""
    from fleetdeploy.cli.project import debts_of, new_run, print_json, read_status_targets
    from fleetdeploy.errors import HostKeyRefused
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report import status_text, terminal
    from fleetdeploy.report.fleet_state import FleetState
    from fleetdeploy.rollout.emitter import Emitter

    inventory, targets = read_status_targets(arguments, arguments.pattern)
    fleet = SshFleet(hosts=inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        emit = Emitter(new_run(targets.stamp), SystemClock(), redactor=arguments.redactor)
        plan = targets.observe(fleet, emit, forks=options.forks(arguments))
        members, refused = _members(plan, fleet)
    finally:
        fleet.close()
    owed, strangers = _debts(debts_of(arguments), inventory, targets.by_name)
    if arguments.json:
        print_json(status_text.as_json(plan, members, owed))
    else:
        out = terminal.console(stderr=False, no_color=arguments.no_color)
        if not arguments.quiet:
            for line in (*status_text.lines(plan, members, owed), *strangers):
                out.print(line)
        out.print(status_text.last_line(plan, members), style="bold")
    if refused:
        return HostKeyRefused.exit_code
    return FleetState.of(plan, members).exit_code(drift_matters=arguments.exit_code)


def _debts(debts: Debts, inventory: Inventory, meant: Collection[str]) -> tuple[dict[str, Debt], list[str]]:
    """What the ``meant`` hosts owe, and a line for each debt of a host that this inventory does not have."""
    from fleetdeploy.rollout.debt.ledger import address_of

    names = {address_of(host): name for name, host in inventory.hosts.items()}
    found, strangers = dict[str, "Debt"](), list[str]()
    for path, debt in debts.everybodys():
        name = names.get(debt.address)
        if name is None:
            strangers.append(f"note: {debt.host} owes since {debt.since} and is not in this inventory ({path})")
        elif name in meant:
            found[name] = debt
    return found, strangers


def _members(plan: Plan, fleet: Fleet) -> tuple[Members, bool]:
    """Each host's servers in its balancer's pools, and whether a balancer's host key was refused.

    A balancer that cannot be asked costs only its own lines.
    """
    from fleetdeploy.domain.observed import Present, Unknown
    from fleetdeploy.errors import HostError, HostKeyRefused

    found: dict[str, Reading[tuple[PoolMember, ...]]] = {}
    seen: dict[tuple[str, str, tuple[str, ...]], Reading[tuple[PoolMember, ...]]] = {}
    refused = False
    for name, host in plan.hosts.items():
        wish = host.host.balancer
        if wish is None:
            continue
        key = (wish.host, wish.socket, wish.all_pools)
        if key not in seen:
            try:
                seen[key] = Present(tuple(fleet.balancer(wish).members(wish.all_pools)))
            except HostError as error:
                refused = refused or isinstance(error, HostKeyRefused)
                seen[key] = Unknown(f"{error.message} ({error.hint})" if error.hint else error.message)
        reading = seen[key]
        if isinstance(reading, Present):
            reading = Present(tuple(member for member in reading.value if member.server == wish.server))
        found[name] = reading
    return found, refused
