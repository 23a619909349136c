"""``fleetdeploy prune``: what the playbook task ``prune`` does, as a run of its own."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import deploy
from fleetdeploy.cli.changing.asking import Asking

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project

KEEP = 3
DEED = "pruned"
EPILOG = """\
examples:
  fleetdeploy prune -i inventories/prod -C               # show what would go
  fleetdeploy prune -i inventories/prod --keep 5
  fleetdeploy prune rack1 -i inventories/prod

Versions go that none of the newest proven releases of their model has. What
is served, wanted or pinned stays, as does the last good release before the
current one, and whatever fleetdeploy did not put there. Images are never
removed. What went can be staged again from its source.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "prune",
        help="remove old versions that nothing needs any longer",
        description="Remove versions from hosts that neither serving nor going back needs.",
        epilog=EPILOG,
    )
    parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN", help="hosts (default: all)")
    options.add_inventory(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_run_output(parser)
    group = parser.add_argument_group("prune")
    group.add_argument(
        "--keep",
        type=options.positive,
        default=KEEP,
        metavar="N",
        help=f"proven releases of each model whose versions stay (default: {KEEP})",
    )
    group.add_argument("-C", "--check", action="store_true", help="only show what would go; change nothing anywhere")
    group.add_argument(
        "-y", "--yes", action="store_true", help=f"do not ask before changing more than {deploy.ASK_ABOVE} hosts"
    )
    group.add_argument(
        "--allow-unreachable", action="store_true", help="go on without hosts that cannot be reached (exit 8)"
    )
    options.add_lock(group)
    group.add_argument("--events", type=Path, metavar="FILE", help="append every event as a line of JSON")
    parser.set_defaults(run=run, step=False, diff=False)


def run(arguments: argparse.Namespace) -> int:
    """See the table of exit codes in ``fleetdeploy --help``."""
    from fleetdeploy.cli.changing.called import command_line
    from fleetdeploy.cli.changing.rollout import Rollout, carry_out

    arguments.forks = options.forks(arguments)
    project = _project(arguments)
    if arguments.check:
        return _check(project, arguments)
    return carry_out(
        Rollout(
            arguments,
            project,
            Asking(agreed=arguments.yes),
            command_line(arguments),
            lambda count: deploy.agree(count, arguments),
            deed=DEED,
            # What goes is found out on the hosts; `resume` is the same command again.
            prepare=lambda rollout, _fleet, _check: rollout,
        )
    )


def _project(arguments: argparse.Namespace) -> Project:
    """One play of one task, on all its hosts at once: no traffic is touched. Raises InputError."""
    from fleetdeploy.cli.binding.project import Project, bind, debts_of, new_stamp, read_inventory, resolve, sources_of
    from fleetdeploy.domain.playbook import OnFailure, Play, Playbook, TaskCall
    from fleetdeploy.errors import PatternError
    from fleetdeploy.rollout.targets import Targets

    inventory = read_inventory(arguments)
    play = Play(
        "Remove what nothing needs",
        arguments.pattern,
        (TaskCall("prune", {"keep": arguments.keep}),),
        on_failure=OnFailure.STOP,
        number=1,
    )
    bound = bind(play, inventory, arguments.limit)
    hosts = [inventory.hosts[name] for name in bound.hosts if inventory.hosts[name].services]
    if not hosts:
        message = f"no host of {arguments.pattern!r} has a service"
        raise PatternError(message, hint="services are set by the variable `services`")
    bound = replace(bound, hosts=tuple(host.name for host in hosts))
    by_name = resolve(hosts, arguments.project)
    models = {model.name for target in by_name.values() for service in target.desired for model in service.models}
    targets = Targets(
        by_name,
        stamp=new_stamp(),
        # Nothing is activated here, so nothing is to be refused that only matters where something is.
        allow_remove=True,
        allow_signature_change=frozenset(models),
        again=True,
        drained_by=debts_of(arguments).drained_by,
    )
    return Project(inventory, sources_of(arguments), Playbook("", (play,)), (bound,), targets)


def _check(project: Project, arguments: argparse.Namespace) -> int:
    """What would go; 2, 5 or 7 where it would be refused."""
    from fleetdeploy.cli.binding.project import new_run, print_json
    from fleetdeploy.errors import PreflightRefused
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report import terminal
    from fleetdeploy.report.plan import as_json, text
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.foresight.forecast import forecast
    from fleetdeploy.rollout.foresight.past_runs import durations_of

    fleet = SshFleet(hosts=project.inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        emit = Emitter(new_run(project.targets.stamp), SystemClock(), redactor=arguments.redactor)
        plan = project.targets.observe(fleet, emit, forks=arguments.forks)
        known = durations_of(arguments.state_dir / "runs")
        expected = forecast(plan, project.plays, fleet, forks=arguments.forks, durations=known)
    finally:
        fleet.close()
    if arguments.json:
        print_json(as_json.plan(expected))
    else:
        out = terminal.console(stderr=False, no_color=arguments.no_color)
        for line in text.lines(expected, diff=not arguments.quiet, every_name=bool(arguments.verbose)):
            out.print(line)
        out.print(text.last_line(expected), style="bold")
    down = plan.unreachable and not arguments.allow_unreachable
    return expected.refusal_exit_code or (PreflightRefused.exit_code if down else 0)
