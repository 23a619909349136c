"""``fleetdeploy doctor``: is every host, and this machine, fit for a rollout; and what to type where one is not."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from fleetdeploy.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetdeploy.domain.checkup import HostFacts
    from fleetdeploy.domain.inventory import Host, Inventory
    from fleetdeploy.remote.fleet import SshFleet

EPILOG = """\
exit codes:
  0  all is fine, or there are warnings only
  2  a host shows another key than the pinned one, or bad input
  4  no problem was found, but a host could not be reached, or something that
     matters could not be read
  5  a host or this machine has a problem: a rollout would be refused or fail

Nothing is changed anywhere. What several hosts have alike is told once.

examples:
  fleetdeploy doctor -i inventories/prod
  fleetdeploy doctor rack1 -i inventories/prod -v        what is fine as well
  fleetdeploy doctor -i inventories/prod --json | jq .summary
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="is every host fit for a rollout, and what to type where not",
        description="Check hosts and this machine: SSH, sudo, tools, Docker, GPUs, disk, ports,\n"
        "clock, limits, leftovers, balancer. Each thing that is wrong comes with its fix.",
        epilog=EPILOG,
    )
    options.add_fleet(parser)
    options.add_output(parser, quiet="only the last line", verbose="show what is fine as well, host by host")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """See EPILOG for the exit codes."""
    from rich.text import Text

    from fleetdeploy.cli.binding.project import debts_of, print_json, read_inventory
    from fleetdeploy.errors import PatternError
    from fleetdeploy.gates.doctor.check import findings_of_controller, findings_of_host, typed
    from fleetdeploy.remote.controller import examine_controller
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report.doctor import as_json, text
    from fleetdeploy.report.doctor.verdict import Diagnosis
    from fleetdeploy.report.terminal import console, put
    from fleetdeploy.rollout import checkup

    inventory = read_inventory(arguments)
    hosts = _meant(inventory, arguments)
    if not hosts:
        raise PatternError(f"no host of {arguments.pattern!r} is within {arguments.limit!r}")
    forks = options.forks(arguments)
    here = examine_controller(hosts, state_dir=arguments.state_dir, forks=forks)
    fleet = SshFleet(hosts=inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        facts = checkup.look(
            hosts, lambda host: _examined(fleet, host), fleet.balancer, debts_of(arguments), forks=forks
        )
    finally:
        fleet.close()
    given = shlex.join(word for source in arguments.inventory or () for word in ("-i", str(source)))
    found = Diagnosis(
        {item.host.name: tuple(typed(findings_of_host(item), given)) for item in facts},
        findings_of_controller(here),
        _refused(facts),
    )
    if arguments.json:
        print_json(as_json.as_json(found))
        return found.exit_code
    out = console(stderr=False, no_color=arguments.no_color)
    if not arguments.quiet:
        for line in text.lines(found, verbose=bool(arguments.verbose)):
            put(out, line, hanging=True)
    put(out, Text(found.last_line, style="bold"))
    return found.exit_code


def _meant(inventory: Inventory, arguments: argparse.Namespace) -> list[Host]:
    """Hosts of the pattern, whether they shall run anything or not: balancers are hosts as well."""
    from fleetdeploy.config.inventory.patterns import select

    meant = set(select(inventory, arguments.pattern, limit=arguments.limit))
    return [host for name, host in inventory.hosts.items() if name in meant]


def _examined(fleet: SshFleet, host: Host) -> HostFacts:
    from fleetdeploy.errors import HostError
    from fleetdeploy.remote.probe.doctor import examine, lost

    try:
        return examine(fleet.session(host).connection, host.services)
    except HostError as error:
        return lost(host, error)


def _refused(facts: Sequence[HostFacts]) -> frozenset[str]:
    return frozenset(item.host.name for item in facts if item.trouble is not None and item.trouble.key_refused)
