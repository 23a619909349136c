"""``fleetdeploy plan``: what a deploy would change, where and why. Changes nothing anywhere."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import foresight
from fleetdeploy.errors import InputError

if TYPE_CHECKING:
    from fleetdeploy.domain.freeze import Freeze

PENDING = 10
EPILOG = """\
examples:
  fleetdeploy plan -i inventories/prod
  fleetdeploy plan -i inventories/prod -l 'rack1:!gpu07' --exit-code
  fleetdeploy plan -i inventories/prod --out next.plan
  fleetdeploy deploy next.plan    # just that; nothing if anything has changed

`fleetdeploy schema plan` prints the JSON Schema that describes --json.

A plan file holds no secret and no value of -e: give -e, and what opens vaults
and hosts (-J, -u, ...), again when it is deployed. That a secret has changed is
noticed where something else would be done because of it. Of a web address only
its host is kept, as the rest may be secret: another path is not noticed.

It may be deployed from any directory: what it was planned from is read where it
was then, or in the present directory where that place is gone.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan",
        help="show what would change on which host and why",
        description="Show what a deploy would change on which host and why. Changes nothing.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "playbook",
        nargs="?",
        metavar="PLAYBOOK",
        help="default: playbooks/deploy.yml; a plan file is held against the fleet, and shown",
    )
    options.add_inventory(parser)
    options.add_tasks(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser, quiet="without the differences of files and containers", verbose="name every host")
    parser.add_argument(
        "--exit-code", action="store_true", help="exit 10 when a deploy with these tasks would change something"
    )
    parser.add_argument(
        "--out", type=_file, metavar="FILE", help="keep the plan there, for `deploy FILE` to apply as it was shown"
    )
    options.add_allowances(parser)
    parser.set_defaults(run=run)


def _file(text: str) -> Path:
    if text == "-":
        message = "a plan file is not written to stdout; --json prints the plan there"
        raise argparse.ArgumentTypeError(f"{message} (a file of that name is ./-)")
    if not text:
        raise argparse.ArgumentTypeError("'' names no file")
    return Path(text)


def run(arguments: argparse.Namespace) -> int:
    """0, or 10 with ``--exit-code`` when a deploy with the same tasks would change something; what hosts need beyond
    these tasks does not count. 2, 5 or 7 when a host or the run would be refused (2: a host shows another key, or a
    file is wrong), 5 when one is down.
    """
    from fleetdeploy.cli.changing import plan_file

    planned = plan_file.opened(arguments)
    if options.only_lists(arguments):
        from fleetdeploy.cli.binding import selection

        if getattr(arguments, "out", None):
            raise InputError("--out keeps a plan, and none is made here", hint="leave --out out, or the lists")
        return selection.run(arguments)
    from fleetdeploy.cli.binding.project import read_project
    from fleetdeploy.cli.binding.settings_here import tell_what_is_missing

    target = getattr(arguments, "out", None)
    if target:
        plan_file.check_out(target, again=bool(planned))
    project = read_project(arguments)
    tell_what_is_missing(arguments)
    if planned:
        planned.check_inputs(project)
    expected = foresight.foreseen(project, arguments)
    if planned:
        planned.check_fleet(project, expected)
    foresight.show(replace(expected, freeze=_freeze(arguments)), arguments, diff=not arguments.quiet)
    if target:
        plan_file.write(target, arguments, project, expected)
    return foresight.refusal_exit_code(expected) or (PENDING if arguments.exit_code and expected.changing else 0)


def _freeze(arguments: argparse.Namespace) -> Freeze | None:
    """What holds a deploy back that begins now; nothing where it was told why it cannot wait. Raises InputError."""
    from fleetdeploy.cli.binding.project import read_settings
    from fleetdeploy.domain.freeze import freeze_at
    from fleetdeploy.remote.clock import SystemClock

    windows = read_settings(arguments).freeze
    if getattr(arguments, "during_freeze", ""):
        return None
    return freeze_at(windows, datetime.fromtimestamp(SystemClock().now_s(), tz=timezone.utc))
