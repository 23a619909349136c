"""``fleetdeploy status``: what each host serves now, and where it differs from the inventory."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from fleetdeploy.cli import options

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rich.text import Text

    from fleetdeploy.domain.inventory import Inventory
    from fleetdeploy.rollout.debt.ledger import Debt, Debts
    from fleetdeploy.rollout.looking import Look
    from fleetdeploy.rollout.targets import Targets

WATCH_S = 5.0
CONVERGED_WITHIN_S = 3600.0
"""How long a watch waits for a fleet unless it is told: a host that never comes back shall hold no script for ever."""
EPILOG = """\
More than 5 hosts are shown as a table, one line a host and service; -v shows
every host in detail, down to GPU memory, restarts and each difference. On a
narrow terminal the table leaves out UP, RELEASE, and more where it has to.

END is what TF Serving calls a version that it has unloaded, or could not load.
It lists those until it starts anew: they are counted, and -v shows each.

--watch looks again and again, over connections that stay open, until Ctrl-C
(exit 130, as for `logs -f`); the inventory is read once. With --exit-code it
ends by itself, with 0, as soon as every host is in service and as the inventory
says; at once with 2 where a host key is refused, as no time mends that; and
after an hour, or what --within says, with the exit code of its last look: 10 or
4. --within ends a watch without --exit-code too. Without a terminal each look
is printed below the last, with its time; with --json, as one line.

examples:
  fleetdeploy status -i inventories/prod
  fleetdeploy status -i inventories/prod gpu17 -v
  fleetdeploy status -i inventories/prod --exit-code -q
  fleetdeploy status -i inventories/prod rack1 --watch=2s
  fleetdeploy status -i inventories/prod --exit-code --watch --within 20m

exit codes: 0 known, whatever it is · 2 bad input, or a refused host key ·
  4 a host cannot be known · 10 drift, or not in service (--exit-code) ·
  130/143 a watch was ended
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "status",
        help="what each host serves now",
        description="Show per host and service: release, versions and states, container, image, GPU\n"
        "memory, balancer, drift.",
        epilog=EPILOG,
    )
    options.add_fleet(parser)
    options.add_output(parser, quiet="only the last line", verbose="every host in detail, however many there are")
    parser.add_argument(
        "--exit-code", action="store_true", help="exit 10 when a host differs from the inventory or is not in service"
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_interval,
        const=WATCH_S,
        metavar="TIME",
        help=f"look again this long after each look (default: {WATCH_S:g}s), until Ctrl-C",
    )
    parser.add_argument(
        "--within",
        type=options.some_seconds,
        metavar="TIME",
        help="end a watch after so long at the latest (default: 1h with --exit-code, else never)",
    )
    parser.set_defaults(run=run)


def _interval(text: str) -> float:
    try:
        return options.some_seconds(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; PATTERN goes before it: status {text} --watch") from None


def run(arguments: argparse.Namespace) -> int:
    """0, 2 when a host key was refused, 4 when a host cannot be known, 10 with ``--exit-code`` on drift."""
    from fleetdeploy.cli.binding.project import debts_of, new_run, read_status_targets
    from fleetdeploy.cli.showing.watched_status import watch
    from fleetdeploy.errors import InputError
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.looking import Looks, look_once

    if arguments.within and arguments.watch is None:
        raise InputError("--within ends a watch, and this is none", hint="add --watch, or leave it out")
    inventory, targets = read_status_targets(arguments, arguments.pattern)
    view = StatusView(arguments, inventory, targets, debts_of(arguments))
    clock, forks = SystemClock(), options.forks(arguments)
    fleet = SshFleet(hosts=inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        emit = Emitter(new_run(targets.stamp), clock, redactor=arguments.redactor)
        if arguments.watch is not None:
            looks = Looks(targets, fleet, emit, clock, forks=forks, patience_s=arguments.timeout)
            within_s = arguments.within or (CONVERGED_WITHIN_S if arguments.exit_code else math.inf)
            return watch(view, looks, clock, every_s=arguments.watch, within_s=within_s)
        look = look_once(targets, fleet, emit, forks=forks)
    finally:
        fleet.close()
    view.show(look)
    return view.exit_code(look)


class StatusView:
    """A look as the arguments want it shown, and the exit code that goes with it."""

    def __init__(self, arguments: argparse.Namespace, inventory: Inventory, targets: Targets, debts: Debts) -> None:
        from fleetdeploy.report import status, terminal

        self.out = terminal.console(stderr=False, no_color=arguments.no_color)
        self.json = bool(arguments.json)
        self.ends_when_converged = bool(arguments.exit_code)
        self._drift_matters = bool(arguments.exit_code)
        self._quiet = bool(arguments.quiet)
        few = len(targets.by_name) <= status.MOST_IN_BLOCKS and arguments.watch is None
        self._blocks = bool(arguments.verbose) or few
        self._every_version = bool(arguments.verbose)
        self._debts, self._inventory, self._meant = debts, inventory, targets.by_name

    def exit_code(self, look: Look) -> int:
        """What the command ends with after this look."""
        from fleetdeploy.errors import HostKeyRefused
        from fleetdeploy.report.fleet_state import FleetState

        if look.key_refused:
            return HostKeyRefused.exit_code
        return FleetState.of(look.plan, look.members).exit_code(drift_matters=self._drift_matters)

    def _owing(self) -> tuple[dict[str, Debt], list[str]]:
        return _owing(self._debts, self._inventory, self._meant)

    def values(self, look: Look) -> dict[str, object]:
        """The look as JSON values."""
        from fleetdeploy.report import status

        return status.as_json(look.plan, look.members, self._owing()[0])

    def lines(self, look: Look, *, most: int = 0) -> Iterator[Text]:
        """The look and its last line, in at most so many lines unless that is 0."""
        from rich.text import Text

        from fleetdeploy.report import status, terminal

        if not self._quiet:
            owed, strangers = self._owing()
            notes = [Text(line) for line in strangers]
            if self._blocks:
                blocks = status.lines(look.plan, look.members, owed, every_version=self._every_version)
                yield from _cut([*blocks, *notes], most - 1 if most else 0)
            else:
                room = max(most - 1 - len(notes), 4) if most else 0
                width = 0 if terminal.is_piped(self.out) else self.out.width
                yield from status.table(look.plan, look.members, owed, most=room, width=width)
                yield from notes
        yield Text(status.last_line(look.plan, look.members), style="bold")

    def show(self, look: Look) -> None:
        """Print it whole."""
        from fleetdeploy.cli.binding.project import print_json
        from fleetdeploy.report.terminal import put

        if self.json:
            print_json(self.values(look))
            return
        *lines, last = self.lines(look)
        for line in lines:
            put(self.out, line, hanging=True)
        put(self.out, last)


def _cut(lines: list[Text], most: int) -> list[Text]:
    return lines if not most or len(lines) <= most else lines[:most]


def _owing(debts: Debts, inventory: Inventory, meant: Collection[str]) -> tuple[dict[str, Debt], list[str]]:
    """What the ``meant`` hosts owe, and a line for each debt of a host that this inventory does not have."""
    from fleetdeploy.rollout.debt.ledger import address_of

    names = {address_of(host): name for name, host in inventory.hosts.items()}
    found, strangers = dict[str, "Debt"](), list[str]()
    for path, debt in debts.everybodys():
        name = names.get(debt.address)
        if name is None:
            strangers.append(f"note: {debt.host} owes since {debt.since} and is not in this inventory ({path})")
        elif name in meant:
            found[name] = debt
    return found, strangers
