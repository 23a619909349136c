"""``fleetdeploy plan``: what a deploy would change, where and why. Changes nothing anywhere."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.errors import PreflightRefused

if TYPE_CHECKING:
    from fleetdeploy.domain.forecast import Forecast

PENDING = 10


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan",
        help="show what would change on which host and why",
        description="Show what a deploy would change on which host and why. Changes nothing.",
        epilog="examples:\n  fleetdeploy plan -i inventories/prod\n"
        "  fleetdeploy plan -i inventories/prod -l 'rack1:!gpu07' --exit-code",
    )
    parser.add_argument("playbook", nargs="?", metavar="PLAYBOOK", help="default: playbooks/deploy.yml")
    options.add_inventory(parser)
    options.add_tasks(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser, quiet="without the differences of files and containers")
    parser.add_argument("--exit-code", action="store_true", help="exit 10 when something would change")
    options.add_allowances(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, or 10 with ``--exit-code`` when something would change; 5 or 7 when a host refuses, 5 when one is down."""
    if options.only_lists(arguments):
        from fleetdeploy.cli import selection

        return selection.run(arguments)
    from fleetdeploy.cli.project import new_run, print_json, read_project
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report import terminal
    from fleetdeploy.report.plan import as_json, text
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.forecast import forecast

    project = read_project(arguments)
    fleet = SshFleet(hosts=project.inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        emit = Emitter(new_run(project.targets.stamp), SystemClock(), redactor=arguments.redactor)
        plan = project.targets.observe(fleet, emit, forks=arguments.forks)
    finally:
        fleet.close()
    expected = forecast(plan, project.plays)
    if arguments.json:
        print_json(as_json.plan(expected))
    else:
        out = terminal.console(stderr=False, no_color=arguments.no_color)
        for line in text.lines(expected, diff=not arguments.quiet):
            out.print(line)
        out.print(text.last_line(expected), style="bold")
    return _exit_code(expected, pending=arguments.exit_code)


def _exit_code(expected: Forecast, *, pending: bool) -> int:
    plan = expected.plan
    if plan.refusals or plan.unreachable:
        return plan.refusal_exit_code or PreflightRefused.exit_code
    return PENDING if pending and expected.changing else 0
