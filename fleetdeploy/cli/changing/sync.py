"""``fleetdeploy sync``: what ``deploy`` does, for cron and timers: nobody is asked, and only news is told."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import attempt, units
from fleetdeploy.cli.changing.asking import Asking
from fleetdeploy.errors import Held, PreflightRefused

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Bound
    from fleetdeploy.domain.outcome import RunOutcome
    from fleetdeploy.domain.settings import SyncSettings
    from fleetdeploy.errors import FleetdeployError
    from fleetdeploy.report.story.parts import HostStory
    from fleetdeploy.report.story.run_story import RunStory
    from fleetdeploy.rollout.journal.recorded_run import RecordedRun

_HELD_BACK = frozenset({PreflightRefused.exit_code, Held.exit_code, attempt.PENDING})
"""The exit codes of what is told once, until it says something else."""
EPILOG = """\
examples:
  fleetdeploy sync -i inventories/prod --splay 30s
  fleetdeploy sync -i inventories/prod --max-hosts 20 --textfile sync.prom
  fleetdeploy sync -i inventories/prod --print-unit service

What is printed is news, so that cron mails only news: a change, a failure,
hosts that cannot be reached any more. Without news there is no output (-v shows
the run all the same). Hosts that cannot be reached do not hold the others back,
count as out of service and owe the release (exit 8; with --require-all 5).
A refusal (exit 5, or 9) is told once, until it says something else. While
another run is at work: one line, exit 6. In a freeze window of
fleetdeploy.yml nothing new is rolled out: exit 0 with nothing to do, else 10,
both silent but for hosts that cannot be reached any more; a host that only has
to be put back into its balancer is put back.
A release that failed is left alone for a while in the same way (--retry-after),
and twice as long each time it fails again, up to 6 hours.

`notify` of fleetdeploy.yml tells people of the same news: of a freeze, a wait,
a refusal or hosts that are away once, and again when it says something else.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "sync",
        help="make the fleet match the inventory, quietly: for cron and timers",
        description="Make the fleet match the inventory, as `deploy` does. Never asks; prints only\nnews.",
        epilog=EPILOG,
    )
    parser.add_argument("playbook", nargs="?", metavar="PLAYBOOK", help="default: playbooks/deploy.yml")
    options.add_inventory(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser, quiet="only what fails, of the news", verbose="show the run, with news or without")
    group = parser.add_argument_group("sync")
    group.add_argument(
        "--splay", type=options.seconds, metavar="TIME", help="begin up to so much later, always as late on one machine"
    )
    group.add_argument(
        "--max-hosts", type=options.positive, metavar="N", help="change nothing where more hosts would change (exit 9)"
    )
    group.add_argument(
        "--require-all", action="store_true", help="change nothing unless every host can be reached (exit 5)"
    )
    group.add_argument(
        "--retry-after",
        type=options.seconds,
        metavar="TIME",
        help="leave a release that failed alone for so long at first; 0: try it every time (default: 10m)",
    )
    options.add_allowances(group)
    options.add_freeze(group)
    options.add_lock(group)
    options.add_endings(group)
    units.add_options(parser)
    never = {"step": False, "diff": False, "exit_code": False, "no_live": True, "news_only": True}
    parser.set_defaults(run=run, yes=True, allow_unreachable=True, **never)


def run(arguments: argparse.Namespace) -> int:
    """As `deploy`; 10 where something to do is held back for now, 9 where more hosts would change than may."""
    if arguments.print_unit:
        return units.run(arguments)
    from fleetdeploy.cli.binding.project import read_targets
    from fleetdeploy.cli.changing.called import command_line
    from fleetdeploy.cli.changing.rollout import Rollout, carry_out
    from fleetdeploy.errors import FleetdeployError, Frozen, TriedLately

    tried = attempt.begin(arguments, "sync", unattended=True)
    settings = tried.settings.sync
    arguments.forks, arguments.allow_unreachable = options.forks(arguments), not arguments.require_all
    if not getattr(arguments, "resumed_runs", ()):  # a person carries on what a timer began, and waits
        _add_settings(arguments, settings)
        tried.clock.wait(_delay_s(arguments, settings))
        tried.retry_after_s = settings.retry_after_s if arguments.retry_after is None else arguments.retry_after
    bound = _read(arguments)

    def read() -> Rollout:
        return Rollout(
            arguments,
            read_targets(bound, arguments),
            Asking(agreed=True),
            command_line(arguments),
            lambda count: _agree(count, arguments, settings),
            attempt=tried,
            is_news=lambda outcome, story: _is_news(outcome, story, tried),
        )

    try:
        return carry_out(arguments, bound, read)
    except FleetdeployError as error:
        tried.repeats, waits = _was_told(error, tried), isinstance(error, (Frozen, TriedLately))
        if arguments.json or arguments.verbose:
            raise
        if not (waits or tried.repeats):
            _tell_who_is_away(error, tried)
            raise
        arguments.refusal = str(error)
        _tell_who_is_away(error, tried, known=_away_before(tried))
        return error.exit_code


def _add_settings(arguments: argparse.Namespace, settings: SyncSettings) -> None:
    """What the settings say of playbook and hosts, as if it had been typed: whoever carries the run on reads its words,
    and not the settings of that day.
    """
    typed, added = list(getattr(arguments, "argv", sys.argv[1:])), list[str]()
    if settings.playbook and not arguments.playbook:
        arguments.playbook = settings.playbook
        added.append(str(settings.playbook))
    if settings.limit and not arguments.limit:
        arguments.limit = settings.limit
        added += ["--limit", settings.limit]
    arguments.argv = [*typed[:1], *added, *typed[1:]]


def _delay_s(arguments: argparse.Namespace, settings: SyncSettings) -> float:
    """A part of --splay that is this machine's and this project's: two controllers do not begin together."""
    splay_s = settings.splay_s if arguments.splay is None else arguments.splay
    name = f"{os.uname().nodename}\0{arguments.project.resolve()}"
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return float(splay_s) * drawn / 2**64


def _read(arguments: argparse.Namespace) -> Bound:
    """The plays, without a word about plays that have no hosts: it would be said every five minutes."""
    from fleetdeploy.cli.binding.project import read_bound

    quiet, arguments.quiet = arguments.quiet, not arguments.verbose
    try:
        return read_bound(arguments)
    finally:
        arguments.quiet = quiet


def _agree(count: int, arguments: argparse.Namespace, settings: SyncSettings) -> None:
    """Raises Held where more hosts would change than may without a person."""
    most = arguments.max_hosts or settings.max_hosts
    if most and count > most and not getattr(arguments, "agreed", False):
        raise Held(
            f"{count} hosts would change, and at most {most} may without a person",
            hint="nothing was touched; look at it with `fleetdeploy plan`, and do it with `fleetdeploy deploy`",
        )


def _is_news(outcome: RunOutcome, story: RunStory, tried: attempt.Attempt) -> bool:
    """Whether anybody wants to read how it ended. Who could not be reached is told once, and when that changes."""
    from fleetdeploy.domain.outcome import HostState
    from fleetdeploy.rollout.verdict import OK, SOME_SKIPPED

    arguments = tried.arguments
    changed = bool(story.notes) or any(item.state is HostState.CHANGED for item in outcome.hosts.values())
    if outcome.exit_code == SOME_SKIPPED and not changed:
        # Not by its last line: the one of a run that changed something names the same hosts in other words.
        before = _before(outcome.run, arguments)
        known = {name: host.reason for name, host in _told_of(before).items() if host.state not in {"ok", "changed"}}
        away = {
            name: arguments.redactor.text(item.reason)
            for name, item in outcome.hosts.items()
            if item.state is not HostState.OK
        }
        tried.repeats = before is not None and (before.exit_code, known) == (outcome.exit_code, away)
    if arguments.verbose or outcome.exit_code not in {OK, SOME_SKIPPED}:
        return True
    if outcome.exit_code == OK or changed:
        return changed and not arguments.quiet
    return not tried.repeats


def _was_told(error: FleetdeployError, tried: attempt.Attempt) -> bool:
    """Whether the run before was refused by the same words. What is wrong with the input is said every time, and so is
    what kept the run from having a journal: nothing is known of the one before.
    """
    from fleetdeploy.cli.changing.run_end import said

    if tried.emit is None or error.exit_code not in _HELD_BACK:
        return False
    before = _before(tried.emit.run, tried.arguments)
    words = tried.arguments.redactor.text(said(error))
    return before is not None and (before.exit_code, before.refusal) == (error.exit_code, words)


def _tell_who_is_away(error: FleetdeployError, tried: attempt.Attempt, *, known: Collection[str] | None = None) -> None:
    """Why hosts could not be reached: they count as out of service, and that may be what the run was refused for.

    ``known`` are those that the run before told of. What else this one is about was told then, or waits, and is no
    news: only where other hosts are away it is told as well.
    """
    from rich.text import Text

    from fleetdeploy.domain.plan import Plan
    from fleetdeploy.report.plan.refusal_text import unreachable_lines
    from fleetdeploy.report.terminal import console, put

    arguments = tried.arguments
    if error.exit_code not in _HELD_BACK or arguments.require_all:  # a refusal for hosts that are away names them
        return
    away = {name: host.troubles[0].message for name, host in tried.ending.story.hosts.items() if host.unreachable}
    new = {name: why for name, why in away.items() if name not in (known or ())}
    if new:
        out = console(stderr=True, no_color=arguments.no_color)
        with suppress(OSError):  # the exit code is true, whoever reads
            for line in unreachable_lines(Plan({}, unreachable=new), word="unreachable: "):
                put(out, line)
            if known is not None:
                put(out, Text(error.message, style="bold"))


def _away_before(tried: attempt.Attempt) -> set[str]:
    """The hosts that the run before found away, and told so."""
    from fleetdeploy.errors import FleetMixed, RolloutFailed
    from fleetdeploy.rollout.verdict import SOME_SKIPPED

    before = _before(tried.emit.run, tried.arguments) if tried.emit else None
    telling = {*_HELD_BACK, SOME_SKIPPED, RolloutFailed.exit_code, FleetMixed.exit_code}
    if before is None or before.exit_code not in telling:
        return set()
    return {name for name, host in _told_of(before).items() if host.unreachable}


def _told_of(run: RecordedRun | None) -> Mapping[str, HostStory]:
    """What its journal tells of its hosts."""
    from fleetdeploy.errors import InputError
    from fleetdeploy.report.story.run_story import RunStory
    from fleetdeploy.rollout.journal.reading import Records

    with suppress(InputError):
        return RunStory.of(Records(run.path, run=run.id)).hosts if run else {}
    return {}


def _before(run: str, arguments: argparse.Namespace) -> RecordedRun | None:
    """The run of the same command before this one."""
    from fleetdeploy.cli.changing.called import command_line
    from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns

    command = arguments.redactor.text(command_line(arguments))
    for found in RecordedRuns.list(arguments.state_dir / "runs"):
        if found.id != run and found.command == command:
            return found
    return None
