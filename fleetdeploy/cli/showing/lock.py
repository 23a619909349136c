"""``fleetdeploy lock``: who may change which host now, and how to end that by hand."""

from __future__ import annotations

import argparse

from fleetdeploy.cli import options


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its two verbs."""
    parser = commands.add_parser(
        "lock",
        help="who works on which host, and how to end that",
        description="Show the leases that runs hold on hosts, or break them.",
    )
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    show = verbs.add_parser(
        "show",
        help="who holds which host",
        description="Show every lease on the hosts, and the locks that runs on this machine hold.",
        epilog="example:\n  fleetdeploy lock show -i inventories/prod",
    )
    _common(show)
    show.set_defaults(run=run_show)
    breaking = verbs.add_parser(
        "break",
        help="take leases away from whoever holds them",
        description="Take leases away from whoever holds them: that run changes nothing more\n"
        "there, and its connections to those hosts end. Where its machine is gone,\n"
        "leases end by themselves within a minute or so.",
        epilog='example:\n  fleetdeploy lock break gpu07 -i inventories/prod --reason "it hangs"',
    )
    _common(breaking)
    breaking.add_argument("--reason", required=True, metavar="TEXT", help="why; it is kept on the hosts")
    breaking.add_argument("-y", "--yes", action="store_true", help="do not ask, even for leases of several runs")
    breaking.set_defaults(run=run_break)


def _common(parser: argparse.ArgumentParser) -> None:
    options.add_fleet(parser)
    options.add_output(parser, quiet="", verbose="")


def run_show(arguments: argparse.Namespace) -> int:
    """0, 2 when a host key was refused, 4 when a host cannot be asked."""
    return _carried_out(arguments, breaks=False)


def run_break(arguments: argparse.Namespace) -> int:
    """0 when nobody there holds what was seen; 2 and 4 as for ``show``; 6 where another run has it by now; 9 without a
    yes.
    """
    return _carried_out(arguments, breaks=True)


def _carried_out(arguments: argparse.Namespace, *, breaks: bool) -> int:
    from fleetdeploy.cli.binding.project import new_run, new_stamp, print_json, read_inventory
    from fleetdeploy.cli.changing.asking import Asking
    from fleetdeploy.config.inventory.patterns import select
    from fleetdeploy.domain.lease import Holder
    from fleetdeploy.errors import PatternError
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report import lock_text, terminal
    from fleetdeploy.rollout.locks import local, view

    inventory = read_inventory(arguments)
    meant = set(select(inventory, arguments.pattern, limit=arguments.limit))
    hosts = [host for name, host in inventory.hosts.items() if name in meant and host.services]
    if not hosts:
        raise PatternError(f"no host of {arguments.pattern!r} has a service")
    here = {} if breaks else local.held_here(options.state_home() / "locks", hosts, SystemClock())
    fleet, forks = SshFleet(hosts=inventory.hosts, connect_timeout_s=arguments.timeout), options.forks(arguments)
    try:
        seen = view.look(hosts, fleet, forks=forks)
        if breaks:
            asking = Asking(agreed=arguments.yes)
            if len(seen.holders) > 1 and not arguments.yes:
                asking.check_somebody_is_here("leases of several runs would be broken")
            view.check_agreed(seen, asking.prompt)
            by = Holder(new_run(new_stamp()), local.this_owner())
            seen = view.break_held(seen, hosts, fleet, by, reason=arguments.reason, forks=forks)
    finally:
        fleet.close()
    if arguments.json:
        print_json(lock_text.as_json(seen, here, broken=breaks))
        return seen.exit_code
    out = terminal.console(stderr=False, no_color=arguments.no_color)
    width = None if out.soft_wrap else out.width
    for line in lock_text.lines(seen, here, broken=breaks, width=width):
        out.print(line)
    return seen.exit_code
