"""Options that several commands share, under the names that Ansible users know."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

FORKS = 20
HERE = Path()
"""The project's directory when none is named; ``--project .`` is another object."""


def positive(text: str) -> int:
    """An argparse type: a whole number from 1."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


def seconds(text: str) -> float:
    """An argparse type: a duration such as ``30s`` or ``2m``."""
    from fleetdeploy.config.fields.durations import parse_duration
    from fleetdeploy.config.syntax.refusal import Refused

    try:
        return parse_duration(int(text) if text.isdigit() else text)
    except Refused as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error.message}; {error.hint}") from error


def some_seconds(text: str) -> float:
    """An argparse type: a duration that is longer than nothing."""
    duration = seconds(text)
    if not duration:
        raise argparse.ArgumentTypeError(f"{text!r} leaves no time; write something like 10s")
    return duration


def add_inventory(parser: argparse.ArgumentParser) -> None:
    """Where the fleet is described, and which part of it is meant."""
    group = parser.add_argument_group("inventory")
    group.add_argument(
        "-i",
        "--inventory",
        action="append",
        metavar="SOURCE",
        help="a file (YAML, INI, a program), a directory of them, or a list h1,h2,; may be given several times; "
        "looked for from where you are (default: inventories/ of --project)",
    )
    group.add_argument("-l", "--limit", metavar="PATTERN", help="only these hosts of those that are meant")
    group.add_argument(
        "-e",
        "--extra-vars",
        action="append",
        default=[],
        metavar="VARS",
        help="key=value, a mapping, or @FILE; wins over all",
    )
    group.add_argument(
        "--vault-password-file",
        "--vault-pass-file",
        action="append",
        default=[],
        metavar="FILE",
        help="opens Ansible Vault's blocks and files: a file, a program that prints the password, or ID@FILE; "
        "may be given several times (default: $ANSIBLE_VAULT_PASSWORD_FILE)",
    )
    group.add_argument(
        "-J", "--ask-vault-pass", "--ask-vault-password", action="store_true", help="ask for the vault password"
    )
    group.add_argument(
        "--inventory-cache",
        type=seconds,
        default=0.0,
        metavar="TIME",
        help="take a program's last answer instead of running it, if it is younger than this; answers may hold "
        "passwords: they are kept below $XDG_CACHE_HOME, readable by you alone (default: run it)",
    )


def add_tasks(parser: argparse.ArgumentParser) -> None:
    """Which tasks of the playbook are meant, and lists of them that contact no host."""
    group = parser.add_argument_group("tasks")
    group.add_argument(
        "-t", "--tags", action="append", default=[], metavar="TAGS", help="only tasks with one of these tags (t1,t2)"
    )
    group.add_argument(
        "--skip-tags", action="append", default=[], metavar="TAGS", help="no tasks with one of these tags"
    )
    group.add_argument("--start-at-task", default="", metavar="NAME", help="begin at the task of this name")
    group.add_argument("--list-hosts", action="store_true", help="print the hosts of each play; contact none")
    group.add_argument("--list-tasks", action="store_true", help="print the tasks of each play; contact no host")
    group.add_argument("--list-tags", action="store_true", help="print the tags of each play; contact no host")
    group.add_argument("--syntax-check", action="store_true", help="read and check the playbook; contact no host")


def only_lists(arguments: argparse.Namespace) -> bool:
    """Whether the playbook is only to be read and shown, by the options of :func:`add_tasks`."""
    return bool(arguments.list_hosts or arguments.list_tasks or arguments.list_tags or arguments.syntax_check)


def add_connection(parser: argparse.ArgumentParser, *, forks: bool = True) -> None:
    """How hosts are reached; without ``forks`` all at the same time."""
    group = parser.add_argument_group("connection")
    if forks:
        group.add_argument("-f", "--forks", type=positive, metavar="N", help=f"hosts at a time (default: {FORKS})")
    group.add_argument("-u", "--user", metavar="NAME", help="SSH user where the inventory names none")
    group.add_argument("--private-key", type=Path, metavar="FILE", help="SSH key where the inventory names none")
    group.add_argument(
        "-T", "--timeout", type=some_seconds, default=10.0, metavar="TIME", help="for one SSH connection (default: 10s)"
    )


def add_fleet(parser: argparse.ArgumentParser) -> None:
    """Which hosts are meant, how they are reached, and where files are: for a command that takes a pattern of hosts."""
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="hosts (default: all)")
    add_inventory(parser)
    add_connection(parser)
    add_project(parser)


def add_output(
    parser: argparse.ArgumentParser,
    *,
    quiet: str = "nothing unless something fails",
    verbose: str,
) -> argparse._ArgumentGroup:
    """What is printed; ``quiet`` and ``verbose`` say what is with ``-q`` and ``-v``: an empty one is no option."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    group.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR is honoured as well)")
    if quiet:
        group.add_argument("-q", "--quiet", action="store_true", help=quiet)
    if verbose:
        group.add_argument("-v", "--verbose", action="count", default=0, help=verbose)
    return group


def add_run_output(parser: argparse.ArgumentParser) -> None:
    """What a run prints while it goes on."""
    group = add_output(
        parser,
        verbose="each step as it begins, and every host in the recap of more than 60; -vv: what is run on hosts as "
        "well; -vvv: and what connections do",
    )
    group.add_argument(
        "--no-live",
        action="store_true",
        help="no board that is drawn anew, but one line a change: as in a pipe, with TERM=dumb, NO_COLOR or CI",
    )


def add_project(parser: argparse.ArgumentParser) -> None:
    """Where files are looked for and kept."""
    group = parser.add_argument_group("files")
    group.add_argument(
        "--project",
        type=Path,
        default=HERE,
        metavar="DIR",
        help="holds templates/, playbooks/deploy.yml and inventories/ (default: here)",
    )
    add_state(group)


def add_state(group: argparse._ActionsContainer) -> None:
    """Where it is kept what runs have done."""
    group.add_argument("--state-dir", type=Path, default=state_home(), metavar="DIR", help="runs and their journals")


def add_allowances(group: argparse._ActionsContainer) -> None:
    """What a plan refuses unless the user says that it is meant."""
    group.add_argument("--allow-remove", action="store_true", help="allow a model that is served to be unloaded")
    group.add_argument("--again", action="store_true", help="allow a release that `rollback` took back")
    group.add_argument(
        "--allow-signature-change",
        action="append",
        default=[],
        metavar="MODEL",
        help="allow new versions of this model that break callers of the served one; may be given several times",
    )


def add_unreachable(group: argparse._ActionsContainer) -> None:
    """What to do where hosts are down."""
    group.add_argument(
        "--allow-unreachable",
        action="store_true",
        help="go on without hosts that cannot be reached (exit 8); they count as out of service",
    )


def add_freeze(group: argparse._ActionsContainer) -> None:
    """What to do in a freeze window."""
    group.add_argument(
        "--during-freeze",
        type=_reason,
        metavar="REASON",
        help="go on in a freeze window of fleetdeploy.yml; the journal has the reason",
    )


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("say why it cannot wait")
    return text


def add_endings(group: argparse._ActionsContainer) -> None:
    """What is written while a run goes on, and when it has ended."""
    add_events(group)
    group.add_argument(
        "--textfile", type=_metrics, metavar="FILE", help="write metrics for Prometheus' node exporter, at the end"
    )


def _metrics(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("'' names no file; write something like /var/lib/node_exporter/fleet.prom")
    return Path(text)


def add_events(group: argparse._ActionsContainer) -> None:
    """Where what happens is told to programs."""
    group.add_argument("--events", type=Path, metavar="FILE", help="append every event as a line of JSON (docs events)")


def add_lock(group: argparse._ActionsContainer) -> None:
    """What to do where another run is at work."""
    group.add_argument(
        "--wait-lock", type=seconds, default=0.0, metavar="TIME", help="how long to wait for another run"
    )
    # How long a lease holds without being renewed; for tests, which cannot wait for a minute.
    group.add_argument("--lease-ttl", type=some_seconds, help=argparse.SUPPRESS)


def forks(arguments: argparse.Namespace) -> int:
    """How many hosts at a time; what was not given stays None in the arguments, so that it can be told."""
    return FORKS if arguments.forks is None else int(arguments.forks)


def cache_home() -> Path:
    """Fleetdeploy's folder in the XDG cache home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fleetdeploy"


def state_home() -> Path:
    """Fleetdeploy's folder in the XDG state home."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "fleetdeploy"
