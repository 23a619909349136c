"""``fleetdeploy exec``: a person's own command in the containers of a service."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from fleetdeploy.cli.changing import on_hosts, reached

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetdeploy.rollout.reaching.commands import Act

TASK = "exec"
USAGE = "fleetdeploy exec [PATTERN] [OPTION ...] -- CMD [ARG ...]"
EXAMPLE = "fleetdeploy exec gpu07 -- nvidia-smi -L"
EPILOG = """\
examples:
  fleetdeploy exec gpu07 -i inventories/prod -- nvidia-smi -L
  fleetdeploy exec -i inventories/prod --service ranking -- ls /models/ranker
  fleetdeploy exec -i inventories/prod -- sh -c 'ls /models/*'

It is run in the container of each service of each host, as its user and with
its environment, without a terminal. A program that the container lacks ends
with 127. Docker cannot end what it began: a command that is over its deadline,
or was given up by Ctrl-C, may go on in the container. All else is as with
`fleetdeploy run`.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "exec",
        usage=USAGE,
        help="a command of your own in the services' containers",
        description="Run a command in the container of each service, on many hosts at a time.",
        epilog=EPILOG,
    )
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="hosts (default: all)")
    group = on_hosts.add_options(parser)
    reached.add_service(group)
    parser.set_defaults(run=run, lock=False)


def run(arguments: argparse.Namespace) -> int:
    """0; 4 where it failed, a container does not run, or a host could not be reached."""
    on_hosts.check(arguments, example=EXAMPLE)
    inventory = on_hosts.read_inventory(arguments)
    places = reached.services_of(arguments, inventory)
    argv, shown = list(arguments.words), shlex.join(arguments.words)
    return on_hosts.carry_out(
        on_hosts.Order(
            arguments,
            inventory,
            places,
            lambda host: [_act(service, argv, arguments.deadline) for service in places[host.name]],
            TASK,
            shown,
        )
    )


def _act(service: str, argv: Sequence[str], deadline_s: float) -> Act:
    from fleetdeploy.planning.container import container_name
    from fleetdeploy.rollout.reaching.commands import Act

    name = container_name(service)
    return Act(service, lambda opened, hear: opened.execute(name, argv, deadline_s=deadline_s, hear=hear))
