"""``fleetdeploy run``: a person's own command on many hosts. The playbook task of that name is another thing."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import on_hosts

if TYPE_CHECKING:
    from fleetdeploy.domain.inventory import Host, Inventory
    from fleetdeploy.rollout.reaching.commands import Act

TASK = "command"
USAGE = (
    "fleetdeploy run PATTERN [OPTION ...] -- CMD [ARG ...]\n       fleetdeploy run PATTERN [OPTION ...] --shell TEXT"
)
EXAMPLE = "fleetdeploy run gpu07 -- uptime"
EPILOG = """\
examples:
  fleetdeploy run gpu07 -i inventories/prod -- uptime
  fleetdeploy run all -i inventories/prod --become -- systemctl restart chrony
  fleetdeploy run rack1 -i inventories/prod --shell 'df -h /srv | tail -1'
  fleetdeploy run all -i inventories/prod --stream --deadline 10m -- ./burn-in

PATTERN has to be given. The words behind -- are the command's and meet no
shell: a `*` or `|` among them is just that; --shell gives a text to `sh`. The
command's input is empty, and at its deadline it is ended, on the host too.
Output comes host by host when a command has ended, its last 256 KiB; with
--stream line by line. Ctrl-C begins no further host and ends what runs; a
second one stops at once. The journal keeps the run, with the last lines.

It is no deploy: other runs may work on the same hosts meanwhile, unless --lock
keeps them away. Exit codes: 0 it ended with 0 on every host; 4 it failed on
one, or one could not be reached; 2 nothing was begun; 6 locked; 130 Ctrl-C.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        usage=USAGE,
        help="a command of your own on many hosts",
        description="Run a command on hosts, many at a time.",
        epilog=EPILOG,
    )
    parser.add_argument("pattern", metavar="PATTERN", help="hosts")
    group = on_hosts.add_options(parser)
    group.add_argument("--become", action="store_true", help="as root, through sudo, whatever the inventory says")
    group.add_argument("--shell", metavar="TEXT", help="a text for `sh`, in place of a command")
    group.add_argument("--lock", action="store_true", help="keep other runs from these hosts meanwhile (exit 5 or 6)")
    options.add_lock(group)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; 4 where it failed or a host could not be reached."""
    from fleetdeploy.config.inventory.patterns import select
    from fleetdeploy.errors import InputError

    if arguments.words and arguments.shell:
        raise InputError("--shell and a command behind --", where="command line", hint="leave one out")
    on_hosts.check(arguments, example=EXAMPLE)
    inventory = _inventory(on_hosts.read_inventory(arguments), become=arguments.become)
    names = select(inventory, arguments.pattern, limit=arguments.limit)
    argv = ["sh", "-c", arguments.shell] if arguments.shell else list(arguments.words)
    shown = arguments.shell or shlex.join(argv)
    places = dict.fromkeys(names, ())
    text = argv[0] if len(argv) == 1 else shown
    hint = "" if arguments.shell else f"what stands behind -- meets no shell; for one: --shell {shlex.quote(text)}"
    order = on_hosts.Order(
        arguments, inventory, places, lambda host: _acts(host, argv, arguments.deadline, hint), TASK, shown
    )
    return on_hosts.carry_out(order)


def _inventory(inventory: Inventory, *, become: bool) -> Inventory:
    if not become:
        return inventory
    hosts = {
        name: replace(host, connection=replace(host.connection, become=True)) for name, host in inventory.hosts.items()
    }
    return replace(inventory, hosts=hosts)


def _acts(host: Host, argv: list[str], deadline_s: float, hint: str) -> list[Act]:  # noqa: ARG001  the same on every host
    from fleetdeploy.rollout.reaching.commands import Act

    return [Act("", lambda opened, hear: opened.run(argv, deadline_s=deadline_s, hear=hear), hint)]
