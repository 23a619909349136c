"""``fleetdeploy deploy``: make the fleet match the inventory, host by host."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli import plan as plan_command
from fleetdeploy.cli.asking import Asking
from fleetdeploy.errors import FleetdeployError

if TYPE_CHECKING:
    from fleetdeploy.cli.plan_file import Planned
    from fleetdeploy.cli.project import Project
    from fleetdeploy.domain.forecast import Forecast
    from fleetdeploy.domain.outcome import RunOutcome
    from fleetdeploy.domain.plan import Plan
    from fleetdeploy.domain.protocols import Fleet

ASK_ABOVE = 20
"""More hosts than this are not changed without --limit, --yes or a person who agrees."""

STOPPED_NOW = "STOPPED at once: hosts that were being worked on may be unproven and out of their balancer"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "deploy",
        help="make the fleet match the inventory, host by host",
        description="Make the fleet match the inventory: stage, switch over wave by wave, prove,\nrevert what fails.",
        epilog="examples:\n  fleetdeploy deploy -i inventories/prod\n"
        "  fleetdeploy deploy -i inventories/prod playbooks/deploy.yml -l gpu01 --check\n"
        "  fleetdeploy deploy next.plan                   # as planned, or not at all\n"
        "  fleetdeploy deploy -i inventories/prod -y -q   # cron: silent unless it fails",
    )
    parser.add_argument(
        "playbook", nargs="?", metavar="PLAYBOOK", help="default: playbooks/deploy.yml; or what `plan --out` wrote"
    )
    options.add_inventory(parser)
    options.add_tasks(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser)
    group = parser.add_argument_group("rollout")
    group.add_argument("-C", "--check", action="store_true", help="only plan; change nothing anywhere")
    group.add_argument("-D", "--diff", action="store_true", help="show the plan with its differences first")
    group.add_argument("--step", action="store_true", help="ask before each wave of each play; needs a terminal")
    group.add_argument(
        "-y", "--yes", action="store_true", help=f"do not ask before changing more than {ASK_ABOVE} hosts"
    )
    options.add_allowances(group)
    group.add_argument(
        "--allow-unreachable", action="store_true", help="go on without hosts that cannot be reached (exit 8)"
    )
    group.add_argument(
        "--wait-lock", type=options.seconds, default=0.0, metavar="TIME", help="how long to wait for another run"
    )
    group.add_argument("--events", type=Path, metavar="FILE", help="append every event as a line of JSON")
    parser.set_defaults(run=run, exit_code=False)


def run(arguments: argparse.Namespace) -> int:
    """See the table of exit codes in ``fleetdeploy --help``."""
    if arguments.check or options.only_lists(arguments):
        return plan_command.run(arguments)
    from fleetdeploy.cli import plan_file
    from fleetdeploy.cli.project import new_run, print_json, read_project
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.report import as_json, terminal
    from fleetdeploy.rollout import lock

    planned = plan_file.opened(arguments)
    asking = Asking(agreed=arguments.yes)
    if arguments.step:
        asking.check_somebody_is_here("--step asks before each wave")
    project = read_project(arguments)
    if planned:
        planned.check_inputs(project)
    run_id, clock = new_run(project.targets.stamp), SystemClock()
    # Of the whole plays, whatever --limit leaves: capacity is theirs together. In one place, whatever --state-dir says.
    hosts = {name: host for bound in project.plays for name, host in bound.everyone.items()}
    calls = [call for bound in project.plays for call in (*bound.calls, *bound.always, *bound.rescue)]
    hosts |= {call.delegate.name: call.delegate for call in calls if call.delegate}
    with lock.hold(options.state_home() / "locks", hosts.values(), run_id, clock, wait_s=arguments.wait_lock):
        outcome = _rollout(arguments, project, run_id, asking, planned)
    if arguments.json:
        print_json(as_json.outcome(outcome))
    if not arguments.quiet or outcome.exit_code:
        with suppress(OSError):  # the exit code is true, whoever reads
            terminal.recap(terminal.console(stderr=True, no_color=arguments.no_color), outcome, quiet=arguments.quiet)
    return outcome.exit_code


def _rollout(
    arguments: argparse.Namespace, project: Project, run_id: str, asking: Asking, planned: Planned | None
) -> RunOutcome:
    from fleetdeploy.cli.opening import environment_for_commands
    from fleetdeploy.domain.events import Kind
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report.terminal import Terminal, console
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.executor import Executor
    from fleetdeploy.rollout.foresight.forecast import without_capacity
    from fleetdeploy.rollout.interrupt import Interrupts
    from fleetdeploy.rollout.journal import Journal, open_run
    from fleetdeploy.rollout.verdict import judge

    clock = SystemClock()
    out = console(stderr=True, no_color=arguments.no_color)
    journals = [open_run(arguments.state_dir / "runs", run_id)]
    if arguments.events:
        journals.append(Journal(arguments.events))
    view = Terminal(out, quiet=arguments.quiet, verbose=bool(arguments.verbose))
    emit = Emitter(run_id, clock, journals=journals, views=[view], redactor=arguments.redactor)
    fleet = SshFleet(
        hosts=project.inventory.hosts,
        connect_timeout_s=arguments.timeout,
        environment=environment_for_commands(arguments),
    )
    again = planned.again(deploy=True) if planned else _command_line(arguments)
    interrupts = Interrupts(
        lambda name: out.print(f"{name}: stopping at the next safe point; once more to stop now"),
        last_words=arguments.redactor.text(f"\n{STOPPED_NOW}; run again: {again}\n"),
    )
    try:
        with interrupts:
            emit(Kind.RUN_STARTED, _command_line(arguments), hosts=list(project.targets.by_name))
            plan = project.targets.observe(fleet, emit, forks=arguments.forks)
            if planned:
                planned = planned.check_fleet(project, _expected(plan, project, arguments, fleet))
            _refuse(plan, arguments, every_name=bool(arguments.verbose or arguments.json))
            if arguments.diff:
                _show(_expected(plan, project, arguments, fleet), arguments)
            due = without_capacity(plan, project.plays, forks=arguments.forks)
            emit(Kind.PLAN_MADE, changed=list(due.changing))
            if not planned:
                _ask(len(due.changing), arguments)
            _check_prompts(plan, project, asking)
            interrupts.check()
            approve = asking.before_wave if arguments.step else None
            executor = Executor(
                project.targets, plan, fleet, emit, clock, interrupts, arguments.forks, approve, asking.prompt
            )
            if planned:
                executor.recheck = planned.look(project)
            hosts = executor.run(project.plays)
            outcome = judge(
                run_id,
                hosts,
                allowed=plan.unreachable,
                interrupted=interrupts.requested,
                again=again,
                stopped=executor.stopped,
                held=executor.held,
                pending=tuple(due.pending),
            )
            with suppress(FleetdeployError):  # a journal that is full by now must not hide how the run ended
                emit(Kind.RUN_FINISHED, outcome.last_line, exit_code=outcome.exit_code)
            return outcome
    finally:
        fleet.close()
        for journal in journals:
            journal.close()


def _command_line(arguments: argparse.Namespace) -> str:
    """The command as typed, for the journal and for doing it again; values of ``-e`` may be secret and stay out."""
    secret = [value for value in arguments.extra_vars if not value.startswith("@")]
    words = ["fleetdeploy", *sys.argv[1:]]
    for value in sorted(filter(None, secret), key=len, reverse=True):
        words = [word.replace(value, "***") for word in words]
    return shlex.join(words)


def _refuse(plan: Plan, arguments: argparse.Namespace, *, every_name: bool = False) -> None:
    """Before anything is touched: every refusal of every host, and hosts that cannot be reached."""
    from fleetdeploy.errors import PreflightRefused
    from fleetdeploy.report.plan.refusal_text import refusal_lines, unreachable_lines

    lines = [line.plain for line in refusal_lines(plan, word="", every_name=every_name)]
    if not arguments.allow_unreachable:
        lines += [line.plain for line in unreachable_lines(plan, word="unreachable: ", every_name=every_name)]
    if not lines:
        return
    hint = "nothing was touched; mend this, --limit the run, or pass --allow-unreachable to go on without hosts"
    refusal = PreflightRefused("\n".join(lines), hint=hint if plan.unreachable else "nothing was touched")
    refusal.exit_code = plan.refusal_exit_code or PreflightRefused.exit_code
    raise refusal


def _expected(plan: Plan, project: Project, arguments: argparse.Namespace, fleet: Fleet) -> Forecast:
    from fleetdeploy.rollout.foresight.forecast import forecast
    from fleetdeploy.rollout.foresight.past_runs import durations_of

    known = durations_of(arguments.state_dir / "runs")
    return forecast(plan, project.plays, fleet, forks=arguments.forks, durations=known)


def _show(expected: Forecast, arguments: argparse.Namespace) -> None:
    from fleetdeploy.report.plan import text
    from fleetdeploy.report.terminal import console

    out = console(stderr=True, no_color=arguments.no_color)
    for line in text.lines(expected, every_name=bool(arguments.verbose)):
        out.print(line)


def _ask(count: int, arguments: argparse.Namespace) -> None:
    from fleetdeploy.errors import InputError

    if count <= ASK_ABOVE or arguments.yes or arguments.limit:
        return
    if not sys.stdin.isatty():
        raise InputError(
            f"{count} hosts would change, and nobody is here to agree",
            hint="pass --yes, or --limit the run; nothing was touched",
        )
    sys.stderr.write(f"{count} hosts would change. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise InputError("not agreed to; nothing was touched")


def _check_prompts(plan: Plan, project: Project, asking: Asking) -> None:
    """Before anything is touched: a pause that will ask needs somebody who can answer. Raises Held."""
    from fleetdeploy.rollout.work import work_of

    for bound in project.plays:
        for name in bound.hosts:
            host = plan.hosts.get(name)
            for work in work_of(host, (*bound.calls, *bound.always)) if host else ():
                if text := getattr(work.call.arguments, "prompt", ""):
                    asking.check_can_answer(text)
