"""``fleetdeploy prune``: what the playbook task ``prune`` does, as a run of its own."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import deploy, foresight
from fleetdeploy.cli.changing.asking import Asking

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Bound, Project

KEEP = 3
DEED = "pruned"
EPILOG = """\
examples:
  fleetdeploy prune -i inventories/prod -C               # show what would go
  fleetdeploy prune -i inventories/prod --keep 5
  fleetdeploy prune rack1 -i inventories/prod

Versions go that none of the newest proven releases of their model has; what a
rollback took back goes first. What is served, wanted or pinned stays, as does
the last good release before the current one, and whatever fleetdeploy did not
put there. Images are never removed. What went can be staged again from its
source.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "prune",
        help="remove old versions that nothing needs any longer",
        description="Remove versions from hosts that neither serving nor going back needs.",
        epilog=EPILOG,
    )
    options.add_fleet(parser)
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
    deploy.add_yes(group)
    options.add_unreachable(group)
    options.add_lock(group)
    options.add_events(group)
    parser.set_defaults(run=run, step=False, diff=False)


def run(arguments: argparse.Namespace) -> int:
    """See the table of exit codes in ``fleetdeploy --help``."""
    from fleetdeploy.cli.changing.called import command_line
    from fleetdeploy.cli.changing.rollout import Rollout, carry_out

    arguments.forks = options.forks(arguments)
    bound = _bound(arguments)
    if arguments.check:
        found = foresight.foreseen(_project(bound, arguments), arguments)
        foresight.show(found, arguments, diff=not arguments.quiet)
        return foresight.refusal_exit_code(found, allow_unreachable=arguments.allow_unreachable)
    return carry_out(
        arguments,
        bound,
        lambda: Rollout(
            arguments,
            _project(bound, arguments),
            Asking(agreed=arguments.yes),
            command_line(arguments),
            lambda count: deploy.agree(count, arguments),
            deed=DEED,
            # What goes is found out on the hosts; `resume` is the same command again.
            prepare=lambda rollout, _fleet, _check: rollout,
        ),
    )


def _bound(arguments: argparse.Namespace) -> Bound:
    """One play of one task, on all its hosts at once: no traffic is touched. Raises InputError."""
    from fleetdeploy.cli.binding.project import Bound, bind, new_stamp, read_inventory, sources_of
    from fleetdeploy.domain.playbook import OnFailure, Play, Playbook, TaskCall
    from fleetdeploy.errors import PatternError

    inventory = read_inventory(arguments)
    play = Play(
        "Remove what nothing needs",
        arguments.pattern,
        (TaskCall("prune", {"keep": arguments.keep}),),
        on_failure=OnFailure.STOP,
        number=1,
    )
    meant = bind(play, inventory, arguments.limit)
    names = tuple(name for name in meant.hosts if inventory.hosts[name].services)
    if not names:
        message = f"no host of {arguments.pattern!r} has a service"
        raise PatternError(message, hint="services are set by the variable `services`")
    plays = (replace(meant, hosts=names),)
    return Bound(inventory, sources_of(arguments), Playbook("", (play,)), plays, new_stamp())


def _project(bound: Bound, arguments: argparse.Namespace) -> Project:
    """With what is to stay. Raises InputError."""
    from fleetdeploy.cli.binding.desired import resolve
    from fleetdeploy.cli.binding.project import debts_of
    from fleetdeploy.rollout.debt.drains import Drains
    from fleetdeploy.rollout.targets import Targets

    by_name = resolve([bound.inventory.hosts[name] for name in bound.plays[0].hosts], arguments.project)
    models = {model.name for target in by_name.values() for service in target.desired for model in service.models}
    targets = Targets(
        by_name,
        stamp=bound.stamp,
        # Nothing is activated here, so nothing is to be refused that only matters where something is.
        allow_remove=True,
        allow_signature_change=frozenset(models),
        again=True,
        drains=Drains(debts_of(arguments)),
    )
    return bound.to(targets)
