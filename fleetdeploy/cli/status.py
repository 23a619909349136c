"""``fleetdeploy status``: what each host serves now, and where it differs from the inventory."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fleetdeploy.cli import options

if TYPE_CHECKING:
    from fleetdeploy.domain.observed import PoolMember
    from fleetdeploy.domain.plan import Plan
    from fleetdeploy.domain.protocols import Fleet

DRIFT = 10


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "status",
        help="what each host serves now",
        description="Show per host and service: release, versions and states, container, balancer, drift.",
        epilog="example:\n  fleetdeploy status -i inventories/prod -l rack1 --exit-code",
    )
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="hosts (default: all)")
    options.add_inventory(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser)
    parser.add_argument("--exit-code", action="store_true", help="exit 10 when a host differs from the inventory")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, 10 with ``--exit-code`` on drift, 4 when a host cannot be reached."""
    from fleetdeploy.cli.project import new_run, print_json, read_status_targets
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report import status_text, terminal
    from fleetdeploy.rollout.emitter import Emitter

    inventory, targets = read_status_targets(arguments, arguments.pattern)
    fleet = SshFleet(hosts=inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        plan = targets.observe(fleet, Emitter(new_run(targets.stamp), SystemClock()), forks=arguments.forks)
        members = _members(plan, fleet)
    finally:
        fleet.close()
    if arguments.json:
        print_json(status_text.as_json(plan, members))
    else:
        out = terminal.console(stderr=False, no_color=arguments.no_color)
        if not arguments.quiet:
            for line in status_text.lines(plan, members):
                out.print(line)
        out.print(status_text.last_line(plan), style="bold")
    if plan.unreachable:
        return 4
    drift = plan.changed_hosts or plan.refusals
    return DRIFT if arguments.exit_code and drift else 0


def _members(plan: Plan, fleet: Fleet) -> Mapping[str, Sequence[PoolMember]]:
    """Each host's servers in its balancer's pools; a balancer that cannot be asked costs only its own lines."""
    from fleetdeploy.errors import HostError

    found: dict[str, Sequence[PoolMember]] = {}
    seen: dict[tuple[str, str, tuple[str, ...]], tuple[PoolMember, ...]] = {}
    for name, host in plan.hosts.items():
        wish = host.host.balancer
        if wish is None:
            continue
        pools = wish.all_pools
        key = (wish.host, wish.socket, pools)
        try:
            if key not in seen:
                seen[key] = fleet.balancer(wish).members(pools)
        except HostError:
            seen[key] = ()
        found[name] = [member for member in seen[key] if member.server == wish.server]
    return found
