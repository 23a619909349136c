"""``fleetdeploy plan``: what a deploy would change, where and why. Changes nothing anywhere."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.errors import PreflightRefused

if TYPE_CHECKING:
    from fleetdeploy.cli.project import Project
    from fleetdeploy.domain.plan import Plan

PENDING = 10


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan",
        help="show what would change on which host and why",
        description="Show what a deploy would change on which host and why. Changes nothing.",
        epilog="examples:\n  fleetdeploy plan -i inventories/prod\n"
        "  fleetdeploy plan -i inventories/prod -l 'rack1:!gpu07' --exit-code",
    )
    parser.add_argument("playbook", nargs="?", metavar="PLAYBOOK", help="default: playbooks/deploy.yml")
    options.add_inventory(parser)
    options.add_tasks(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser, quiet="without the differences of files and containers")
    parser.add_argument("--exit-code", action="store_true", help="exit 10 when something would change")
    options.add_allowances(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, or 10 with ``--exit-code`` when something would change; 5 or 7 when a host refuses, 5 when one is down."""
    if options.only_lists(arguments):
        from fleetdeploy.cli import selection

        return selection.run(arguments)
    from fleetdeploy.cli.project import new_run, print_json, read_project
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report import as_json, plan_text, terminal
    from fleetdeploy.rollout.emitter import Emitter

    project = read_project(arguments)
    fleet = SshFleet(hosts=project.inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        emit = Emitter(new_run(project.targets.stamp), SystemClock(), redactor=arguments.redactor)
        plan = project.targets.observe(fleet, emit, forks=arguments.forks)
    finally:
        fleet.close()
    extra = further_work(plan, project)
    if arguments.json:
        print_json(as_json.plan(plan, extra))
    else:
        out = terminal.console(stderr=False, no_color=arguments.no_color)
        for line in plan_text.lines(plan, extra, diff=not arguments.quiet):
            out.print(line)
        out.print(plan_text.last_line(plan, extra), style="bold")
    return _exit_code(plan, extra, pending=arguments.exit_code)


def further_work(plan: Plan, project: Project) -> Mapping[str, Sequence[str]]:
    """Work that the playbook finds on a host beyond what its services need: versions to prune, commands, messages.

    What leaves a host as it is, such as a command that only looks, is no work on a host that needs nothing else.
    """
    from fleetdeploy.rollout.host_run import work_of

    found: dict[str, list[str]] = {}
    for bound in project.plays:
        for name in bound.hosts:
            host = plan.hosts.get(name)
            if host is None:
                continue
            due = [work for work in work_of(host, bound.calls) if work.further(host)]
            found.setdefault(name, []).extend(f"{work.name}: {work.summary}" for work in due)
    return {name: work for name, work in found.items() if work}


def _exit_code(plan: Plan, extra: Mapping[str, Sequence[str]], *, pending: bool) -> int:
    if plan.refusals or plan.unreachable:
        return plan.refusal_exit_code or PreflightRefused.exit_code
    return PENDING if pending and (plan.changed_hosts or extra) else 0
