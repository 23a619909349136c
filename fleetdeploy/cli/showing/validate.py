"""``fleetdeploy validate``: read everything that a deploy would read, contact nobody."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fleetdeploy.cli import options

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project

EPILOG = """\
No secret is opened. Programs, secrets and directories that fleetdeploy.yml
names and this machine does not have are notes on stderr, and no error: they may
be on the one that deploys.

example:
  fleetdeploy validate -i inventories/prod playbooks/deploy.yml
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "validate",
        help="check inventory, playbook, templates and models without contacting a host",
        description="Check inventory, playbook, templates, models and fleetdeploy.yml.\nNo host is contacted.",
        epilog=EPILOG,
    )
    parser.add_argument("playbook", nargs="?", metavar="PLAYBOOK", help="default: playbooks/deploy.yml")
    options.add_inventory(parser)
    options.add_project(parser)
    options.add_output(parser, verbose="")
    parser.set_defaults(run=run, reveal_secrets=False)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, or an InputError with everything that is wrong."""
    from fleetdeploy.cli.binding.project import print_json
    from fleetdeploy.cli.binding.settings_here import tell_what_is_missing
    from fleetdeploy.report import as_json
    from fleetdeploy.report.wording import counted

    project = _read(arguments)
    if not arguments.quiet:
        tell_what_is_missing(arguments)
    hosts = len(project.targets.by_name)
    on_each = [len(target.desired) for target in project.targets.by_name.values()]
    if arguments.json:
        print_json(as_json.validated(hosts=hosts, services=sum(on_each), plays=len(project.plays)))
    elif not arguments.quiet:
        # Where every host has as many, their sum would read as if so many different ones were meant.
        same, each = len(set(on_each)) == 1, " each" if hosts > 1 else ""
        services = f" with {counted(on_each[0], 'service')}{each}" if same else f", {counted(sum(on_each), 'service')}"
        print(f"OK: {counted(hosts, 'host')}{services}, {counted(len(project.plays), 'play')}")
    return 0


def _read(arguments: argparse.Namespace) -> Project:
    """The project. Raises InputError, with what is wrong with its settings as well."""
    from fleetdeploy.cli.binding.project import read_project, read_settings
    from fleetdeploy.errors import InputError

    wrong: InputError | None = None
    try:
        read_settings(arguments)
    except InputError as error:
        wrong = error
    try:
        project = read_project(arguments)
    except InputError as error:
        raise (InputError(problems=[*wrong.problems, *error.problems]) if wrong else error) from None
    if wrong:
        raise wrong
    return project
