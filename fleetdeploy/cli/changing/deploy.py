"""``fleetdeploy deploy``: make the fleet match the inventory, host by host."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import attempt
from fleetdeploy.cli.changing import plan as plan_command
from fleetdeploy.cli.changing.asking import Asking

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
    options.add_run_output(parser)
    group = parser.add_argument_group("rollout")
    add_care(group)
    options.add_allowances(group)
    options.add_unreachable(group)
    options.add_freeze(group)
    options.add_lock(group)
    options.add_endings(group)
    parser.set_defaults(run=run, exit_code=False)


def add_care(group: argparse._ActionsContainer) -> None:
    """What a person sees, and is asked, before hosts are changed."""
    group.add_argument("-C", "--check", action="store_true", help="only plan; change nothing anywhere")
    group.add_argument("-D", "--diff", action="store_true", help="show the plan with its differences first")
    group.add_argument("--step", action="store_true", help="ask before each wave of each play; needs a terminal")
    add_yes(group)


def add_yes(group: argparse._ActionsContainer) -> None:
    """Not to be asked by :func:`agree`."""
    group.add_argument(
        "-y", "--yes", action="store_true", help=f"do not ask before changing more than {ASK_ABOVE} hosts"
    )


def run(arguments: argparse.Namespace) -> int:
    """See the table of exit codes in ``fleetdeploy --help``."""
    if arguments.check or options.only_lists(arguments):
        return plan_command.run(arguments)
    from fleetdeploy.cli.binding.project import read_bound, read_targets
    from fleetdeploy.cli.changing import plan_file
    from fleetdeploy.cli.changing.called import command_line
    from fleetdeploy.cli.changing.rollout import Rollout, carry_out

    tried = attempt.begin(arguments, "deploy")
    planned = plan_file.opened(arguments)
    asking = Asking(agreed=arguments.yes)
    if arguments.step:
        asking.check_somebody_is_here("--step asks before each wave")
    bound = read_bound(arguments)

    def read() -> Rollout:
        project, holds = read_targets(bound, arguments), planned
        if holds:
            holds.check_inputs(project)
        again = holds.again(deploy=True) if holds else command_line(arguments)
        if getattr(arguments, "resumed_runs", ()):
            holds = None  # the run has changed its hosts itself since they were planned; its wishes are held against it
        agreed = partial(agree, arguments=arguments)
        return Rollout(arguments, project, asking, again, agreed, holds, attempt=tried)

    return carry_out(arguments, bound, read)


def agree(count: int, arguments: argparse.Namespace, *, does: str = "would change") -> None:
    """Ask before more than a few hosts are changed, or whatever else ``does`` says.

    Raises InputError where nobody agrees, or is here to do so.
    """
    from fleetdeploy.cli.changing.asking import YES, answered
    from fleetdeploy.errors import InputError

    if count <= ASK_ABOVE or arguments.yes or arguments.limit or getattr(arguments, "agreed", False):
        return
    if not sys.stdin.isatty():
        raise InputError(
            f"{count} hosts {does}, and nobody is here to agree",
            hint="pass --yes, or --limit the run; nothing was touched",
        )
    if answered(f"{count} hosts {does}. Go on? [y/N] ") not in YES:
        raise InputError("not agreed to; nothing was touched")
