"""``fleetdeploy logs``: the model servers' logs of many hosts at once."""

from __future__ import annotations

import argparse
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import reached

if TYPE_CHECKING:
    from fleetdeploy.domain.inventory import Inventory
    from fleetdeploy.rollout.reaching.reading_logs import Item, Source, Wanted

TAIL = 100
SEARCHED = 4096
"""How much of a line an expression is held against, in characters: what it may cost grows with that."""
ALL = -1
HOST_KEY_REFUSED, CANNOT_BE_READ, INTERRUPTED = 2, 4, 130
EPILOG = """\
examples:
  fleetdeploy logs -i inventories/prod              # the last lines of each
  fleetdeploy logs rack1 -i inventories/prod -f     # and what comes
  fleetdeploy logs -i inventories/prod --since 30m --grep 'E0|OOM|fail'
  fleetdeploy logs gpu07 -i inventories/prod --tail all --no-prefix > gpu07.log

What there is comes in order of time; then, with -f, what is written, as it
comes, until Ctrl-C (exit 130, as for `status --watch`). A container that is
replaced is followed in its successor, and a host that was lost once it is
back: both are told on stderr. Exit code 4: a log could not be read. With
--json, a JSON object a line.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "logs",
        help="the model servers' logs of many hosts at once",
        description="Show what the model servers of many hosts write, in order of time.",
        epilog=EPILOG,
    )
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="hosts (default: all)")
    group = parser.add_argument_group("logs")
    group.add_argument("-f", "--follow", action="store_true", help="go on with what is written, until Ctrl-C")
    reached.add_service(group)
    group.add_argument(
        "--tail",
        type=_tail,
        metavar="N",
        help=f"the last lines of each log, or `all` (default: {TAIL}; all with --since or --grep)",
    )
    group.add_argument(
        "--since", type=_since, metavar="TIME", help="from then on: how long ago (30m), or 2026-01-31T23:59:00Z"
    )
    group.add_argument("--grep", type=_expression, metavar="REGEX", help="only lines in which this is found (Python's)")
    group.add_argument("--no-prefix", action="store_true", help="no host before each line")
    group.add_argument("--timestamps", action="store_true", help="when Docker got each line, before it")
    options.add_inventory(parser)
    options.add_connection(parser, forks=False)
    options.add_project(parser)
    options.add_output(parser, quiet="only lines, unless a log cannot be read", verbose="")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; 2 where a host key was refused, 4 where a log cannot be read; 130 when Ctrl-C ends it."""
    from fleetdeploy.cli.binding.project import read_inventory
    from fleetdeploy.remote import reaching
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.rollout.reaching.reading_logs import Logs

    inventory = read_inventory(arguments)
    sources = _sources(arguments, inventory)
    reached.know_secrets(source.host for source in sources)
    fleet = SshFleet(hosts=inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        with closing(Logs(reaching.SshReach(fleet), sources, _wanted(arguments))) as logs:
            return _shown(logs.read(), sources, arguments)
    except KeyboardInterrupt:
        if sys.stderr.isatty():  # which shows ^C where the cursor is
            sys.stderr.write("\n")
        return INTERRUPTED
    finally:
        fleet.close()


def _sources(arguments: argparse.Namespace, inventory: Inventory) -> list[Source]:
    from fleetdeploy.planning.container import container_name
    from fleetdeploy.rollout.reaching.reading_logs import Source

    meant = reached.services_of(arguments, inventory)
    return [
        Source(inventory.hosts[host], service, container_name(service))
        for host, services in meant.items()
        for service in services
    ]


def _wanted(arguments: argparse.Namespace) -> Wanted:
    from fleetdeploy.rollout.reaching.reading_logs import Wanted

    every = bool(arguments.since or arguments.grep)
    tail = arguments.tail if arguments.tail is not None else ALL if every else TAIL
    since = arguments.since
    if isinstance(since, float):
        from fleetdeploy.remote import clock

        since = _utc(datetime.fromtimestamp(clock.SystemClock().now_s() - since, tz=timezone.utc))
    return Wanted(None if tail == ALL else tail, since or "", arguments.follow, arguments.grep or (lambda _: True))


def _shown(items: Iterator[Item], sources: list[Source], arguments: argparse.Namespace) -> int:
    """Print them, and return the exit code; of a log that was read again later nothing is held against it."""
    from rich.text import Text

    from fleetdeploy.report import host_lines, terminal
    from fleetdeploy.report.terminal.console import put
    from fleetdeploy.report.wording import counted
    from fleetdeploy.rollout.reaching.reading_logs import Told

    places: dict[str, tuple[str, ...]] = {}
    for source in sources:
        places[source.host.name] = (*places.get(source.host.name, ()), source.service)
    prefixes = host_lines.Prefixes(places, shown=not arguments.no_prefix)
    out = terminal.console(stderr=False, no_color=arguments.no_color)
    notes = terminal.console(stderr=True, no_color=arguments.no_color)
    codes: dict[tuple[str, str], int] = {}
    said = False
    for item in items:
        said = said or not isinstance(item, Told)
        if isinstance(item, Told):
            codes[item.source.host.name, item.source.service] = item.exit_code
            if item.exit_code or not arguments.quiet:
                put(notes, host_lines.told(item))
        elif arguments.json:
            sys.stdout.write(json.dumps(host_lines.log_json(item), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            before = item.line.time if arguments.timestamps else ""
            host, service = item.source.host.name, item.source.service
            out.print(prefixes.line(host, service, item.line.text, before=before), soft_wrap=True)
    read = len(sources) - len(codes)
    if read and not said and not arguments.quiet:
        which = " that --grep asks for" if arguments.grep else ""
        since = " since then" if arguments.since else ""
        put(notes, Text(f"{counted(read, 'log')} read: no line{which}{since}"))
    failed = set(codes.values()) - {0}
    return HOST_KEY_REFUSED if HOST_KEY_REFUSED in failed else CANNOT_BE_READ if failed else 0


def _tail(text: str) -> int:
    """An argparse type: a whole number, or ALL."""
    if text == "all":
        return ALL
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor `all`")
    return int(text)


def _since(text: str) -> str | float:
    """An argparse type: RFC 3339 in UTC, or how many seconds ago. A time without a zone is this machine's."""
    if "-" not in text:
        return float(options.seconds(text))
    try:
        return _utc(datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text)).astimezone(timezone.utc))
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a duration such as 30m nor a time such as 2026-01-31T23:59:00Z"
        ) from error


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def _expression(text: str) -> Callable[[str], bool]:
    """An argparse type: what tells whether an expression is found in a line."""
    from fleetdeploy.config.inventory.regex_cost import Costly, check_regex

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(text)
        check_regex(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from error
    except Costly as error:
        raise argparse.ArgumentTypeError(f"{text!r} might never come to an end: {error}") from error
    return lambda line: compiled.search(line[:SEARCHED]) is not None
