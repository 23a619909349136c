"""``fleetdeploy resume``: carry a run that ended early to the end it would have had."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.rollout import MASKED
from fleetdeploy.errors import InputError

if TYPE_CHECKING:
    from fleetdeploy.rollout.journal.recorded_run import RecordedHost, RecordedRun

EPILOG = """\
examples:
  fleetdeploy resume                    # the newest run that did not end well
  fleetdeploy resume 20260131T2359      # the one whose id begins so
  fleetdeploy resume -e token=...       # values of -e are kept nowhere

The hosts are looked at, not remembered: what is done stays as it is, what was
begun is finished or taken back, and who was drained comes back. It is the same
command with the same inputs; when the inventory, models or playbook have
changed since, it is refused: `deploy` does what they say now.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "resume",
        help="carry a run that ended early to its end",
        description="Go on with a run that was killed, interrupted, stopped or lost hosts.",
        epilog=EPILOG,
    )
    parser.add_argument("run_id", nargs="?", default="", metavar="RUN", help="its id, or how that begins")
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS", help="what the run was given, once more"
    )
    options.add_state(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The exit code of the run that is carried on; 0 where there is none to carry on."""
    found = _chosen(arguments)
    if found is None:
        return 0
    resumed = _as_it_was_called(found, arguments)
    for line in told(found):
        print(line, file=sys.stderr)
    return int(resumed.run(resumed))


def _chosen(arguments: argparse.Namespace) -> RecordedRun | None:
    """The run that was named, or the newest that began to change something, unless that one ended well."""
    from fleetdeploy.rollout.journal.recorded_run import RecordedRuns

    runs = arguments.state_dir / "runs"
    if arguments.run_id:
        found = RecordedRuns.find(runs, arguments.run_id)
    else:
        begun = (item for item in RecordedRuns.list(runs) if item.plays or item.damage)
        newest = next(begun, None)
        if newest is None:
            print(f"nothing to resume: no run below {runs} has changed anything", file=sys.stderr)
            return None
        found = newest
    found.check_whole()
    if found.exit_code == 0:
        print(f"nothing to resume: run {found.id} ended well: {found.last_line}", file=sys.stderr)
        return None
    return found


def _as_it_was_called(found: RecordedRun, given: argparse.Namespace) -> argparse.Namespace:
    """The arguments of the run's own command line, in its directory. Raises InputError for what cannot be had again."""
    from fleetdeploy.cli.main import build_parser

    argv, directory = found.started.get("argv"), found.started.get("directory")
    if not (isinstance(argv, list) and isinstance(directory, str)):
        raise InputError(
            f"run {found.id} does not tell how it was called", where=str(found.path), hint="give its command again"
        )
    words, state = [str(word) for word in argv], given.state_dir.absolute()
    try:
        os.chdir(directory)
    except OSError as error:
        raise InputError(
            f"run {found.id} was started in {directory}: {error.strerror}", hint="give its command again from elsewhere"
        ) from error
    arguments = build_parser().parse_args(words)
    arguments.extra_vars = [*(text for text in arguments.extra_vars if MASKED not in text), *given.extra_vars]
    _check_extra_vars(found, arguments)
    arguments.argv, arguments.redactor, arguments.state_dir = words, given.redactor, state
    # Whoever started it has agreed to as many hosts, and to these.
    arguments.yes, arguments.resumes = True, found.id
    return arguments


def _check_extra_vars(found: RecordedRun, arguments: argparse.Namespace) -> None:
    from fleetdeploy.cli import extra_vars
    from fleetdeploy.cli.opening import store_of

    names = extra_vars.by_name(arguments.extra_vars, secrets=store_of(arguments))
    listed = found.started.get("extra_vars")
    had = [str(name) for name in listed] if isinstance(listed, list) else []
    if missing := [name for name in had if name not in names]:
        raise InputError(
            f"run {found.id} was given -e {', '.join(missing)}, and such values are kept nowhere",
            where="command line",
            hint="give it again: " + " ".join(f"-e {name}=..." for name in missing),
        )


def told(found: RecordedRun) -> Iterator[str]:
    """What is known of the run: how it ended, and how far each host came."""
    from fleetdeploy.rollout.naming import named

    yield f"resuming run {found.id}: {found.command}"
    yield f"  {found.last_line or 'it was killed: nothing tells of its end'}"
    stages: dict[str, list[str]] = {}
    for name, host in found.hosts.items():
        stages.setdefault(_stage(host), []).append(name)
    for stage, names in stages.items():
        yield f"  {stage}: {named(names)}"


def _stage(host: RecordedHost) -> str:
    if host.begun is not None:
        return f"in the middle of {'undoing ' if host.begun.undo else ''}{host.begun.task}"
    if host.state:
        return host.state
    return f"{host.finished.task} done" if host.finished is not None else "not begun"
