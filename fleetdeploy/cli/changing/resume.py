"""``fleetdeploy resume``: carry a run that ended early to the end it would have had."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import aims, resumable, wishes
from fleetdeploy.domain.redaction import MASKED
from fleetdeploy.errors import InputError

if TYPE_CHECKING:
    from fleetdeploy.rollout.journal.recorded_run import RecordedHost, RecordedRun

COMMANDS = ("deploy", "sync", "rollback", "prune")
"""Those that make runs which can be carried on."""
EPILOG = """\
examples:
  fleetdeploy resume                    # the newest run that is not done with
  fleetdeploy resume 20260131T2359      # the one whose id begins so
  fleetdeploy resume -e token=...       # values of -e are kept nowhere

The hosts are looked at, not remembered: what is done stays as it is, what was
begun is finished or taken back, and who was drained comes back. It is the same
command with the same inputs, in the directory where it was given; when the
inventory, models or playbook have changed since, it is refused (exit 5):
`deploy` does what they say now. A `prune` is carried on with what is needed
now. What `run` or `exec` began is yours to give again: it is refused (exit 2).
Nothing to resume is no failure: exit 0.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "resume",
        help="carry a run that ended early to its end",
        description="Go on with a run that was killed, interrupted, held, stopped, or lost hosts.",
        epilog=EPILOG,
    )
    parser.add_argument("run_id", nargs="?", default="", metavar="RUN", help="its id, or how that begins")
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS", help="what the run was given, once more"
    )
    parser.add_argument(
        "--allow-unreachable",
        action="store_true",
        help="go on without hosts that cannot be reached (exit 8); they count as out of service",
    )
    options.add_freeze(parser)
    options.add_lock(parser)
    options.add_state(parser)
    options.add_run_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The exit code of the run that is carried on; 0 where there is none to carry on."""
    runs = arguments.state_dir / "runs"
    check_readable(runs)
    found = _chosen(runs, arguments)
    if found is None:
        return 0
    here = Path.cwd()
    resumed = _as_it_was_called(found, arguments)
    for line in told(found, here=here) if not arguments.quiet else ():
        print(line, file=sys.stderr)
    return int(resumed.run(resumed))


def check_readable(runs: Path) -> None:
    """That there is none is not to be said of runs that cannot be seen. Raises InputError."""
    state, hint = runs.parent, "name the one that the run was given with --state-dir"
    if not state.exists() and state != options.state_home():
        raise InputError("there is no such state directory", where=str(state), hint=hint)
    try:
        next(runs.iterdir(), None)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"the runs cannot be read: {error.strerror}", where=str(runs), hint=hint) from error


def _chosen(runs: Path, arguments: argparse.Namespace) -> RecordedRun | None:
    """The run that was named, or the newest that is not done with. Raises InputError for a damaged journal."""
    from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns

    if not arguments.run_id:
        found, why = resumable.newest(runs)
    else:
        found = RecordedRuns.find(runs, arguments.run_id)
        why = f"run {found.id} ended well: {found.last_line}" if found.exit_code == 0 else ""
        why = f"run {found.id} has no record: it began nothing" if found.is_blank else why
    if found is None or why:
        if not arguments.quiet:
            print(f"nothing to resume: {why}", file=sys.stderr)
        return None
    if found.damage is not None:
        again = f"give its command again: {found.command}" if found.command else "give its command again"
        raise InputError(
            f"run {found.id}: its journal is {found.damage.message}",
            where=found.damage.where,
            hint=f"how it ended is not known; name another run, or {again}",
        )
    return found


def _as_it_was_called(found: RecordedRun, given: argparse.Namespace) -> argparse.Namespace:
    """The arguments of the run's own command line, in its directory. Raises InputError for what cannot be had again."""
    words, state = _words(found), given.state_dir.absolute()
    again = [
        f"@{Path(text[1:]).expanduser().absolute()}" if text.startswith("@") else text for text in given.extra_vars
    ]
    directory = str(found.started.get("directory", ""))
    try:
        os.chdir(directory)
    except OSError as error:
        raise InputError(
            f"run {found.id} was started in {directory}: {error.strerror}",
            where=str(found.path),
            hint=f"where the project is now, give its command again: {found.command}",
        ) from error
    arguments = _parsed(found, words)
    arguments.argv, arguments.redactor, arguments.state_dir = words, given.redactor, state
    # A reason of then is none of now.
    arguments.afterwards, arguments.during_freeze = given.afterwards, given.during_freeze
    _give_extra_vars(found, arguments, again)
    for name in ("json", "quiet", "verbose", "no_color", "no_live"):
        setattr(arguments, name, getattr(given, name))
    arguments.allow_unreachable = arguments.allow_unreachable or given.allow_unreachable
    arguments.wait_lock = given.wait_lock or arguments.wait_lock
    # Whoever started it has agreed to as many hosts, and to these; what a pause asks is still to be answered.
    arguments.agreed = bool(found.plays)
    arguments.resumed_runs = (found.id, *found.resumes)
    arguments.aims = aims.of_runs(state / "runs", arguments.resumed_runs)
    return arguments


def _words(found: RecordedRun) -> list[str]:
    """The command line, with the release of a rollback that was given none."""
    argv = found.started.get("argv")
    words = wishes.command_of(found.path.parent) or ([str(word) for word in argv] if isinstance(argv, list) else [])
    if not (words and words[0] in COMMANDS and isinstance(found.started.get("directory"), str)):
        why = "does not tell how it was called: another version of fleetdeploy made it"
        raise InputError(
            f"run {found.id} {resumable.OWN if resumable.is_own(found) else why}",
            where=str(found.path),
            hint=f"give its command again: {found.command}" if found.command else "give its command again",
        )
    return words


def _parsed(found: RecordedRun, words: list[str]) -> argparse.Namespace:
    from fleetdeploy.cli.main import build_parser

    try:
        arguments = build_parser().parse_args(words)
    except SystemExit as error:
        raise InputError(
            f"run {found.id} was called in a way that this version of fleetdeploy does not know: {found.command}",
            where=str(found.path),
            hint="give the command as it is written now",
        ) from error
    masked = sum(text == MASKED for text in arguments.extra_vars)
    if sum(MASKED in word for word in words) != masked:
        raise InputError(
            f"run {found.id} repeats a value of -e elsewhere on its command line, and such values are kept nowhere",
            where=str(found.path),
            hint=f"give its command again: {found.command}",
        )
    return arguments


def _give_extra_vars(found: RecordedRun, arguments: argparse.Namespace, again: list[str]) -> None:
    """Put what is given once more where the values that are kept nowhere stood. Raises InputError for what lacks."""
    from fleetdeploy.cli.binding import extra_vars
    from fleetdeploy.cli.binding.opening import store_of

    def names(key: str) -> list[str]:
        listed = found.started.get(key)
        return [str(name) for name in listed] if isinstance(listed, list) else []

    place = next((at for at, text in enumerate(arguments.extra_vars) if text == MASKED), len(arguments.extra_vars))
    kept = [text for text in arguments.extra_vars if text != MASKED]
    arguments.extra_vars = [*kept[:place], *again, *kept[place:]]
    given = extra_vars.by_name(again, secrets=store_of(arguments))
    if missing := [name for name in names("masked") if name not in given]:
        raise InputError(
            f"run {found.id} was given -e {', '.join(missing)}, and such values are kept nowhere",
            where="command line",
            hint="give it again: " + " ".join(f"-e {name}=..." for name in missing),
        )
    if more := [name for name in given if name not in names("extra_vars")]:
        raise InputError(
            f"-e {', '.join(more)}: run {found.id} was started without it",
            where="command line",
            hint="leave it out; what shall be otherwise than then is done by `deploy`",
        )


def told(found: RecordedRun, *, here: Path) -> Iterator[str]:
    """What is known of the run: how it ended, and how far each host came."""
    from fleetdeploy.rollout.naming import named

    yield f"resuming run {found.id}: {found.command}"
    if found.started["directory"] != str(here):
        yield f"  in {found.started['directory']}, where it was started"
    yield f"  {found.last_line or 'nothing tells of its end: it was stopped at once, killed, or still goes on'}"
    stages: dict[str, list[str]] = {}
    for name in resumable.hosts_of(found):
        idle = found.changing is not None and name not in found.changing
        stages.setdefault(_stage(found.hosts[name], idle=idle), []).append(name)
    for stage, names in stages.items():
        yield f"  {stage}: {named(names)}"


def _stage(host: RecordedHost, *, idle: bool) -> str:
    """How far it came. The outcome of one play tells nothing of the plays behind, but that of a failure. ``idle`` is
    one that the plan had nothing to do on.
    """
    from fleetdeploy.domain.outcome import FAILURES, HostState

    if host.begun is not None:
        return f"in the middle of {'undoing ' if host.begun.undo else ''}{host.begun.task}"
    if host.state in set(FAILURES):
        return host.state
    if host.finished is not None:
        return f"{'undoing ' if host.finished.undo else ''}{host.finished.task} done"
    return "nothing to do there" if idle or host.state == HostState.OK else "not begun"
