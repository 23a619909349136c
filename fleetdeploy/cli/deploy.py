"""``fleetdeploy deploy``: make the fleet match the inventory, host by host."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fleetdeploy.cli import options
from fleetdeploy.cli import plan as plan_command
from fleetdeploy.cli.asking import Asking

ASK_ABOVE = 20
"""More hosts than this are not changed without --limit, --yes or a person who agrees."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "deploy",
        help="make the fleet match the inventory, host by host",
        description="Make the fleet match the inventory: stage, switch over wave by wave, prove,\nrevert what fails.",
        epilog="examples:\n  fleetdeploy deploy -i inventories/prod\n"
        "  fleetdeploy deploy -i inventories/prod playbooks/deploy.yml -l gpu01 --check\n"
        "  fleetdeploy deploy next.plan                   # as planned, or not at all\n"
        "  fleetdeploy deploy -i inventories/prod -y -q   # cron: silent unless it fails",
    )
    parser.add_argument(
        "playbook", nargs="?", metavar="PLAYBOOK", help="default: playbooks/deploy.yml; or what `plan --out` wrote"
    )
    options.add_inventory(parser)
    options.add_tasks(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser)
    group = parser.add_argument_group("rollout")
    group.add_argument("-C", "--check", action="store_true", help="only plan; change nothing anywhere")
    group.add_argument("-D", "--diff", action="store_true", help="show the plan with its differences first")
    group.add_argument("--step", action="store_true", help="ask before each wave of each play; needs a terminal")
    group.add_argument(
        "-y", "--yes", action="store_true", help=f"do not ask before changing more than {ASK_ABOVE} hosts"
    )
    options.add_allowances(group)
    group.add_argument(
        "--allow-unreachable", action="store_true", help="go on without hosts that cannot be reached (exit 8)"
    )
    options.add_lock(group)
    group.add_argument("--events", type=Path, metavar="FILE", help="append every event as a line of JSON")
    parser.set_defaults(run=run, exit_code=False)


def run(arguments: argparse.Namespace) -> int:
    """See the table of exit codes in ``fleetdeploy --help``."""
    if arguments.check or options.only_lists(arguments):
        return plan_command.run(arguments)
    from fleetdeploy.cli import plan_file
    from fleetdeploy.cli.project import read_project
    from fleetdeploy.cli.rollout import Rollout, carry_out, command_line

    planned = plan_file.opened(arguments)
    asking = Asking(agreed=arguments.yes)
    if arguments.step:
        asking.check_somebody_is_here("--step asks before each wave")
    project = read_project(arguments)
    if planned:
        planned.check_inputs(project)
    again = planned.again(deploy=True) if planned else command_line(arguments)
    if getattr(arguments, "resumed_runs", ()):
        planned = None  # the run has changed its hosts itself since they were planned; its wishes are held against it
    return carry_out(Rollout(arguments, project, asking, again, lambda count: agree(count, arguments), planned))


def agree(count: int, arguments: argparse.Namespace) -> None:
    """Ask before more than a few hosts are changed. Raises InputError where nobody agrees, or is here to do so."""
    from fleetdeploy.errors import InputError

    if count <= ASK_ABOVE or arguments.yes or arguments.limit or getattr(arguments, "agreed", False):
        return
    if not sys.stdin.isatty():
        raise InputError(
            f"{count} hosts would change, and nobody is here to agree",
            hint="pass --yes, or --limit the run; nothing was touched",
        )
    sys.stderr.write(f"{count} hosts would change. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise InputError("not agreed to; nothing was touched")
