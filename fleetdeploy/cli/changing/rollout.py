"""One rollout, from its plays to its exit code: locks, journal, fleet, executor and verdict."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import foresight, resumable, run_end, wishes
from fleetdeploy.cli.changing.asking import Asking
from fleetdeploy.cli.changing.called import command_line, how_called, resume_line

if TYPE_CHECKING:
    from rich.console import Console

    from fleetdeploy.cli.binding.project import Bound, Project
    from fleetdeploy.cli.changing.aims import Aims
    from fleetdeploy.cli.changing.attempt import Attempt
    from fleetdeploy.cli.changing.plan_file import Planned
    from fleetdeploy.domain.forecast import Forecast
    from fleetdeploy.domain.inventory import Host
    from fleetdeploy.domain.outcome import RunOutcome
    from fleetdeploy.domain.plan import Plan
    from fleetdeploy.domain.protocols import Fleet
    from fleetdeploy.report.story.run_story import RunStory
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.interrupt import Interrupts
    from fleetdeploy.rollout.locks.local import Held
    from fleetdeploy.rollout.targets import Free

NOT_BEGUN = "STOPPED at once: nothing was touched"
STOPPED_NOW = "STOPPED at once: hosts that were being worked on may be unproven and out of their balancer"


@dataclass(frozen=True)
class Rollout:
    """What a command wants done.

    ``again`` is the command line that continues it. ``agree`` is told how many hosts would change, and raises where
    nobody agrees to that. ``deed`` is what it does to a host, in one word. ``prepare`` makes of this rollout the one
    that is done, by what it reads on the hosts; it raises LockHeld where one of them is another run's.
    ``attempt`` may hold it back, and is told of its end. With ``is_news`` nothing is shown but news. ``aims`` are where
    ``prepare`` found that hosts go back to; with ``by_resume`` no command line says that, and `resume` continues it.
    """

    arguments: argparse.Namespace
    project: Project
    asking: Asking
    again: str
    agree: Callable[[int], None] = lambda _: None
    planned: Planned | None = None
    deed: str = "changed"
    prepare: Callable[[Rollout, Fleet, Free], Rollout] | None = None
    attempt: Attempt | None = None
    is_news: Callable[[RunOutcome, RunStory], bool] | None = None
    aims: Aims = field(default_factory=dict)
    by_resume: bool = False

    def continued(self, run: str) -> str:
        """The command line that continues it as ``run``."""
        return resume_line(self.arguments, run) if self.by_resume else self.again


def carry_out(arguments: argparse.Namespace, bound: Bound, read: Callable[[], Rollout]) -> int:
    """Do it, tell how it ended, and return the exit code. Raises FleetdeployError where nothing was begun.

    ``read`` makes the rollout of these plays, once no other run of this machine has their hosts: reading models takes
    its time, and whoever comes second shall not wait for an exit code 6 that long.
    """
    from fleetdeploy.cli.binding.project import new_run, print_json
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.report import as_json, terminal
    from fleetdeploy.report.redacted_output import OutputLost
    from fleetdeploy.report.story.run_story import RunStory
    from fleetdeploy.rollout.interrupt import Interrupts
    from fleetdeploy.rollout.locks import local

    run_id, clock, wait_s = new_run(bound.stamp), SystemClock(), arguments.wait_lock
    directory = options.state_home() / "locks"  # in one place, whatever --state-dir says
    out = terminal.console(stderr=True, no_color=arguments.no_color)
    interrupts = Interrupts(
        lambda name: out.print(f"{name}: stopping at the next safe point; once more to stop now"),
        last_words=f"\n{NOT_BEGUN}\n",
    )
    end_s, locked = clock.monotonic_s() + wait_s, _locked_hosts(bound)
    with ExitStack() as until_told:  # what answers signals stays until it is out how the run ended
        until_told.enter_context(interrupts)
        with local.hold(directory, locked, run_id, clock, wait_s=wait_s, check=interrupts.check) as held:
            left_s = end_s - clock.monotonic_s()
            with interrupts.at_once():
                rollout = read()
                if rollout.prepare is None:
                    wishes.check(arguments, rollout.project)
            story = rollout.attempt.ending.story if rollout.attempt else RunStory()
            outcome = _carried_out(rollout, held, interrupts, until_told, story, out, wait_s=left_s)
        # What is lost has been told of, and is nothing that the run did; who went away is met once more by `main`.
        with suppress(OutputLost, BrokenPipeError):
            if arguments.json:
                print_json(as_json.outcome(outcome))
            sys.stdout.flush()
        if rollout.is_news(outcome, story) if rollout.is_news else not arguments.quiet or outcome.exit_code:
            with suppress(OSError):  # the exit code is true, whoever reads
                terminal.recap(out, story, quiet=arguments.quiet, every_host=bool(arguments.verbose))
        if rollout.attempt:
            sys.stdout.flush()
            rollout.attempt.over(outcome.exit_code, outcome=outcome)
        return outcome.exit_code


def _locked_hosts(bound: Bound) -> Collection[Host]:
    """Of the whole plays, whatever --limit leaves: capacity is theirs together."""
    hosts = {name: host for play in bound.plays for name, host in play.everyone.items()}
    calls = [call for play in bound.plays for call in (*play.calls, *play.always, *play.rescue)]
    return (hosts | {call.delegate.name: call.delegate for call in calls if call.delegate}).values()


def _carried_out(
    rollout: Rollout,
    held: Held,
    interrupts: Interrupts,
    until_told: ExitStack,
    story: RunStory,
    out: Console,
    *,
    wait_s: float,
) -> RunOutcome:
    """``out`` is where a signal is answered as well: what another console prints, a board would write over."""
    from fleetdeploy.cli.binding.opening import environment_for_commands
    from fleetdeploy.cli.changing import run_view
    from fleetdeploy.domain.events import FORMAT, Kind
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.locks.leases import patiently

    arguments, project, clock, run_id = rollout.arguments, rollout.project, SystemClock(), held.run
    journals = run_end.journals(arguments, run_id, until_told)
    view = run_view.chosen(out, arguments, clock)
    rollout.asking.meanwhile = view.paused
    emit = Emitter(run_id, clock, journals=journals, views=[story.tell, view], redactor=arguments.redactor)
    if rollout.attempt:
        rollout.attempt.emit = emit
    fleet = SshFleet(
        hosts=project.inventory.hosts,
        connect_timeout_s=arguments.timeout,
        environment=environment_for_commands(arguments),
        trace=run_view.trace(view, arguments),
    )
    again = run_end.Again(rollout.continued(run_id) if rollout.by_resume else "")
    interrupts.last_words = _at_once(rollout, run_id)
    try:
        judged = partial(_judged, rollout, fleet, emit, interrupts, held, again)
        called, names = how_called(arguments, project), list(project.targets.by_name)
        with run_end.told_where_it_fails(emit, again):
            emit(Kind.RUN_STARTED, command_line(arguments), format=FORMAT, hosts=names, **called)
            outcome = patiently(judged, clock=clock, wait_s=wait_s, check=interrupts.check)
        run_end.tell(outcome, emit, interrupts, arguments.redactor)
        return outcome
    finally:
        view.close()
        fleet.close()


def _at_once(rollout: Rollout, run: str) -> str:
    """The last words of a run that is ended at once."""
    return str(rollout.arguments.redactor.text(f"\n{STOPPED_NOW}; run again: {rollout.continued(run)}\n"))


def _judged(
    rollout: Rollout, fleet: Fleet, emit: Emitter, interrupts: Interrupts, held: Held, again: run_end.Again
) -> RunOutcome:
    """Look, refuse or go on, and say how it ended. ``again`` is filled in once what was typed would go elsewhere."""
    from fleetdeploy.cli.binding.project import debts_of
    from fleetdeploy.cli.changing import run_view
    from fleetdeploy.cli.changing.attempt import narrowed
    from fleetdeploy.domain.events import Kind
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.rollout.debt.drains import Drains
    from fleetdeploy.rollout.debt.owing import Owing
    from fleetdeploy.rollout.executor import Executor
    from fleetdeploy.rollout.foresight.forecast import without_capacity
    from fleetdeploy.rollout.foresight.setbacks import new_releases
    from fleetdeploy.rollout.locks.leases import LeaseKeeper, check_free
    from fleetdeploy.rollout.traffic.sampling import sampling
    from fleetdeploy.rollout.verdict import judge

    free = partial(check_free, holder_of=held.holder_of)
    rollout = rollout.prepare(rollout, fleet, free) if rollout.prepare else rollout
    arguments, project, asking, planned = rollout.arguments, rollout.project, rollout.asking, rollout.planned
    plan = project.targets.observe(fleet, emit, forks=arguments.forks, check=free)
    if planned:
        planned = planned.check_fleet(project, foresight.expected(plan, project, arguments, fleet))
    refuse_plan(plan, arguments, every_name=bool(arguments.verbose or arguments.json))
    if arguments.diff:
        with asking.meanwhile():
            run_view.show_plan(foresight.expected(plan, project, arguments, fleet), arguments)
    due = without_capacity(plan, project.plays, forks=arguments.forks, durations=foresight.past(arguments))
    if rollout.attempt and (only := rollout.attempt.check(plan, due.changing)) is not None:
        project, plan = narrowed(project, plan, only)
        due = without_capacity(plan, project.plays, forks=arguments.forks, durations=foresight.past(arguments))
    expected = due.expected if due.changing else None
    told = _told(due, arguments)
    releases = {name: new for name in due.changing if (new := new_releases(plan.hosts[name]))}
    emit(
        Kind.PLAN_MADE,
        changed=list(due.changing),
        expected_s=expected and expected.seconds,
        at_least=bool(expected and expected.at_least),
        plan=told,
        releases=releases,
    )
    if not planned:
        with asking.meanwhile():
            rollout.agree(len(due.changing))
    if due.changing and rollout.prepare is None:
        wishes.keep(arguments, project, emit.run)
    elif due.changing:
        wishes.keep_command(arguments, rollout.again, emit.run, rollout.aims)
        interrupts.last_words = _at_once(rollout, emit.run)
        again.line = rollout.continued(emit.run) if rollout.aims else ""
    _check_prompts(plan, project, asking)
    interrupts.check()
    executor = Executor(project.targets, plan, fleet, emit, SystemClock(), interrupts, arguments.forks)
    executor.approve, executor.ask = (asking.before_wave if arguments.step else None), asking.prompt
    if planned:
        executor.recheck = planned.look(project)
    executor.leases = leases = LeaseKeeper(
        project.targets, fleet, emit, executor.clock, held.holder_of, arguments.forks, arguments.lease_ttl
    )
    drains = project.targets.drains or Drains(debts_of(arguments))
    left = partial(resumable.left_behind, arguments.state_dir / "runs", now=emit.run)
    executor.owing = Owing(drains, fleet, emit, executor.clock, leases.check, left)
    # A run that changes nothing has no traffic to watch, and asks neither balancer nor server.
    watched = due.changing if any(bound.touches_traffic for bound in project.plays) else ()
    with leases.renewing(), sampling([plan.hosts[name] for name in watched], fleet, emit, executor.clock):
        hosts = executor.run(project.plays)
    outcome = judge(
        emit.run,
        hosts,
        allowed=plan.unreachable,
        interrupted=interrupts.requested,
        again=rollout.continued(emit.run),
        stopped=executor.stopped,
        held=executor.held,
        pending=tuple(due.pending),
        deed=rollout.deed,
        exposed=executor.exposed,
    )
    return rollout.attempt.judged(outcome) if rollout.attempt else outcome


def refuse_plan(plan: Plan, arguments: argparse.Namespace, *, every_name: bool = False) -> None:
    """Before anything is touched: every refusal of every host, and hosts that cannot be reached."""
    from fleetdeploy.errors import PreflightRefused
    from fleetdeploy.report.plan.refusal_text import refusal_lines, unreachable_lines

    lines = [line.plain for line in refusal_lines(plan, word="", every_name=every_name)]
    if not arguments.allow_unreachable:
        lines += [line.plain for line in unreachable_lines(plan, word="unreachable: ", every_name=every_name)]
    if not lines:
        return
    hint = (
        "nothing was touched; mend this, or go on without hosts that are away: --allow-unreachable, where "
        "max_unavailable and min_available leave room, as they count as out of service"
    )
    refusal = PreflightRefused("\n".join(lines), hint=hint if plan.unreachable else "nothing was touched")
    refusal.exit_code = plan.refusal_exit_code or PreflightRefused.exit_code
    raise refusal


def _told(due: Forecast, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What would be done, as a run's events tell it: without values of ``-e``, which may be secret."""
    from fleetdeploy.report.plan import text

    hidden = wishes.of_values(arguments)
    return [{**part, "lines": hidden.value(part["lines"])} for part in text.told(due)]


def _check_prompts(plan: Plan, project: Project, asking: Asking) -> None:
    """Before anything is touched: a pause that will ask needs somebody who can answer. Raises Held."""
    from fleetdeploy.rollout.work import work_of

    for bound in project.plays:
        for name in bound.hosts:
            host = plan.hosts.get(name)
            for work in work_of(host, (*bound.calls, *bound.always)) if host else ():
                if text := getattr(work.call.arguments, "prompt", ""):
                    asking.check_can_answer(text)
