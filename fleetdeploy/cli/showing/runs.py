"""``fleetdeploy runs``: what was done before, told from the journals of runs."""

from __future__ import annotations

import argparse
import errno
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.cli import options

if TYPE_CHECKING:
    from fleetdeploy.report.story.run_story import RunStory
    from fleetdeploy.rollout.journal.reading import Records
    from fleetdeploy.rollout.journal.recorded_run import RecordedRun

LISTED = 20
_FIRST = {
    errno.ENOENT: "make its directory, or ",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room there, or "),
}
"""What may be done about a file that cannot be written, before another one is taken."""
_EPILOG = """\
examples:
  fleetdeploy runs list                         the newest, how each ended
  fleetdeploy runs list --changed               without those that did nothing
  fleetdeploy runs show                         the lines of the newest of these
  fleetdeploy runs show 20260131T2359 -v        the one whose id begins so
  fleetdeploy runs report                       it as a page: RUN.html
  fleetdeploy runs report 20260131 -o - | gzip  or on standard output

Runs are kept in the state directory of whoever started them, on this machine.
A journal that is damaged is believed up to the damage, and that is said.
`fleetdeploy schema runs` and `schema past-run` say what --json prints.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its three verbs."""
    parser = commands.add_parser(
        "runs",
        help="runs of the past: list them, show one again, draw its report",
        description="What was done from this machine before, told from the journals of runs.",
        epilog=_EPILOG,
    )
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    _add_list(verbs)
    _add_show(verbs)
    _add_report(verbs)


def _add_list(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "list",
        help="the newest runs, and how each ended",
        description="The newest runs first: when, for how long, how it ended, on how many hosts, the\ncommand.",
        epilog="examples:\n  fleetdeploy runs list --changed\n  fleetdeploy runs list --limit 100 --json",
    )
    parser.add_argument(
        "-n", "--limit", type=options.positive, default=LISTED, metavar="N", help=f"so many (default: {LISTED})"
    )
    parser.add_argument("--changed", action="store_true", help="only runs that began something on a host, or failed")
    options.add_state(parser)
    options.add_output(parser, quiet="", verbose="the whole command line of each")
    parser.set_defaults(run=run_list)


def _add_show(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "show",
        help="a run's lines and recap, once more",
        description="Print which run it was, what it printed, each line with its time in UTC, and\nhow it ended.",
        epilog="examples:\n  fleetdeploy runs show\n  fleetdeploy runs show 20260131T2359 -v\n"
        "  fleetdeploy runs show --json | jq '.hosts[] | select(.state != \"changed\")'",
    )
    _add_run(parser)
    options.add_output(
        parser, quiet="only failures and how it ended", verbose="each step as it began, and every host in the recap"
    )
    parser.set_defaults(run=run_show)


def _add_report(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "report",
        help="a run as one HTML file",
        description="Draw a run as one HTML file that needs nothing else: what happened when,\n"
        "what stayed in service, what clients noticed, and every host's steps and\n"
        "errors. It is readable by you alone until you share it.",
        epilog="examples:\n  fleetdeploy runs report\n  fleetdeploy runs report 20260131T2359 -o rollout.html",
    )
    _add_run(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write it there; - is standard output (default: RUN.html, here)"
    )
    parser.add_argument("--force", action="store_true", help="also over a file that is no report of ours")
    parser.set_defaults(run=run_report)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_id",
        nargs="?",
        default="",
        metavar="RUN",
        help="its id, or how that begins (default: the newest that did something)",
    )
    options.add_state(parser)


def run_list(arguments: argparse.Namespace) -> int:
    """0, also where there is none; 2 where runs cannot be read."""
    from fleetdeploy.cli.binding.project import print_json
    from fleetdeploy.cli.changing.resume import check_readable
    from fleetdeploy.report import runs_table, terminal
    from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns

    runs = arguments.state_dir / "runs"
    check_readable(runs)
    eventful = (run for run, _ in RecordedRuns.eventful(runs))
    found = eventful if arguments.changed else RecordedRuns.list(runs)
    rows = [runs_table.row(run, _told(run)) for run in islice(found, arguments.limit)]
    if arguments.json:
        print_json({"format": runs_table.FORMAT, "runs": [item.as_json() for item in rows]})
        return 0
    if not rows:
        none = "no run that did something" if arguments.changed else "no run"
        print(f"{none} has been recorded below {runs}", file=sys.stderr)
        return 0
    out = terminal.console(stderr=False, no_color=arguments.no_color)
    whole = arguments.verbose or terminal.is_piped(out)
    for line in runs_table.lines(rows, width=None if whole else out.width):
        out.print(line, soft_wrap=True)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """0; 2 where there is no such run. A damaged journal is shown up to the damage."""
    from fleetdeploy.cli.binding.project import print_json
    from fleetdeploy.report import runs_table, terminal
    from fleetdeploy.report.story.run_story import RunStory

    found = _chosen(arguments)
    records = _records(found)
    if arguments.json:
        story = RunStory.of(records)
        print_json(runs_table.result(found, story))
    else:
        out = terminal.console(stderr=False, no_color=arguments.no_color)
        for line in runs_table.heading(found) if not arguments.quiet else ():
            terminal.put(out, line, hanging=True)
        story = terminal.show(records, out, quiet=arguments.quiet, verbose=arguments.verbose)
    _warn(records, story)
    return 0


def run_report(arguments: argparse.Namespace) -> int:
    """0; 2 where there is no such run, or the file cannot be written."""
    from fleetdeploy.report.html.page import page
    from fleetdeploy.report.story.run_story import RunStory

    found = _chosen(arguments)
    path = None if arguments.output == "-" else Path(arguments.output or f"{found.id}.html")
    if path is not None:
        _check_target(path, force=arguments.force)
    records = _records(found)
    story = RunStory.of(records)
    damage, hint = (records.damage.message, records.damage.hint) if records.damage else ("", "")
    text = page(story, damage=damage, hint=hint, torn=records.torn)
    if path is None:
        sys.stdout.write(text)
    else:
        _write(path, text)
        print(path)
    _warn(records, story)
    return 0


def _chosen(arguments: argparse.Namespace) -> RecordedRun:
    """The run that was named, or the newest that did something; that others are newer is told. Raises InputError where
    there is none.
    """
    from fleetdeploy.cli.changing.resume import check_readable
    from fleetdeploy.errors import InputError
    from fleetdeploy.report.terminal import aside
    from fleetdeploy.report.wording import counted
    from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns

    runs = arguments.state_dir / "runs"
    check_readable(runs)
    if arguments.run_id:
        named = RecordedRuns.find(runs, arguments.run_id)
        if named.is_blank:
            why, hint = "has no record: it began nothing", "`fleetdeploy runs list` names those that did"
            raise InputError(f"run {named.id} {why}", where=str(named.path), hint=hint)
        return named
    # Where none did anything the newest of all is shown.
    found, quiet = next(RecordedRuns.eventful(runs), None) or (next(RecordedRuns.list(runs), None), 0)
    if found is None:
        raise InputError("no run has been recorded", where=str(runs), hint="name another --state-dir")
    if quiet:
        aside(f"this is {found.id}, the newest run that did something; {counted(quiet, 'newer one')} did nothing")
    return found


def _records(found: RecordedRun) -> Records:
    from fleetdeploy.rollout.journal.reading import Records

    return Records(found.path, run=found.id)


def _told(found: RecordedRun) -> RunStory:
    """The run's story; an empty one where its journal cannot be read, which the run itself tells."""
    from fleetdeploy.errors import InputError
    from fleetdeploy.report.story.run_story import RunStory

    try:
        return RunStory.of(_records(found))
    except InputError:
        return RunStory()


def _warn(records: Records, story: RunStory) -> None:
    """Tell on stderr why the run's end is not shown, if it is not."""
    from rich.text import Text

    from fleetdeploy.report.story.verdict import what_next
    from fleetdeploy.report.terminal import console, put

    told = list[str]()
    if records.damage is not None:
        told = [f"{records.damage.where}: {records.damage.message}", f"    {records.damage.hint}"]
    elif story.ended_s is None:
        told = ["nothing tells of its end: it was stopped at once, killed, or still goes on"]
        for item in what_next(story)[:1]:
            told += [f"next: {item.command}", f"    {item.why}"]
    out = console(stderr=True, no_color=True)
    for line in told:
        put(out, Text(line), hanging=True)


def _check_target(path: Path, *, force: bool) -> None:
    """Refuse, before any work is done, what is not to be written over. Raises InputError."""
    from fleetdeploy.errors import InputError
    from fleetdeploy.report.html.page import is_report
    from fleetdeploy.rollout.journal.reading import open_regular

    where, hint = str(path), "name another file with -o"
    if path.is_dir():
        raise InputError("is a directory", where=where, hint=hint)
    if force or not (path.exists() or path.is_symlink()):
        return
    try:
        with open_regular(path) as file:
            ours = is_report(file.read(4096))
    except OSError as error:
        raise InputError(f"is there and cannot be read: {error.strerror}", where=where, hint=hint) from error
    if not ours:
        raise InputError("is there already and is no report", where=where, hint=f"{hint}, or pass --force")


def _write(path: Path, text: str) -> None:
    from fleetdeploy.errors import InputError
    from fleetdeploy.report.whole_file import write_whole

    try:
        write_whole(path, text)
    except OSError as error:
        hint = f"{_FIRST.get(error.errno or 0, '')}name another file with -o"
        raise InputError(f"cannot be written: {error.strerror}", where=str(path), hint=hint) from error
