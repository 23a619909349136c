"""``fleetdeploy rollback``: hosts go back to a release that was proven on them, with what is still on them."""

from __future__ import annotations

import argparse
import shlex
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import aims, attempt, deploy, foresight, reached
from fleetdeploy.cli.changing.asking import Asking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetdeploy.cli.binding.project import Bound, Project
    from fleetdeploy.cli.changing.rollout import Rollout
    from fleetdeploy.domain.inventory import Inventory
    from fleetdeploy.domain.playbook import Play, TaskCall
    from fleetdeploy.domain.protocols import Fleet
    from fleetdeploy.domain.service import GoldenRequest, ModelWish
    from fleetdeploy.rollout.bound_play import BoundPlay
    from fleetdeploy.rollout.going_back import GoingBack
    from fleetdeploy.rollout.one_way_back import Request
    from fleetdeploy.rollout.targets import Free

TASKS = ("drain", "activate", "verify", "undrain")
"""What a host goes through on its way back: nothing is copied to it and nothing is pulled."""
DEED = "rolled back"
EPILOG = """\
examples:
  fleetdeploy rollback -i inventories/prod         # to the last good release
  fleetdeploy rollback -i inventories/prod -C      # only show what it would do
  fleetdeploy rollback 4f1c0ffee123 -i inventories/prod -l rack1
  fleetdeploy rollback ranker=7 -i inventories/prod

RELEASE is an id, a part of one that fits no other, the content hash at its end,
or MODEL=VERSION. Everything that is needed is still on the hosts: neither a
registry nor the models' sources are asked. That it can be done is checked on
every host before one is touched. A deploy that still wants the release that
was left is refused from then on, until the inventory changes or it is told
--again.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "rollback",
        help="go back to a release that was proven, with what is on the hosts",
        description="Put hosts back on a release that was proven on them: configuration, versions,\n"
        "container and image are all still there.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "release", nargs="?", default="", metavar="RELEASE", help="default: the last good one before the current one"
    )
    options.add_inventory(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_run_output(parser)
    group = parser.add_argument_group("rollback")
    reached.add_service(group)
    deploy.add_care(group)
    options.add_unreachable(group)
    options.add_lock(group)
    options.add_events(group)
    parser.set_defaults(run=run, exit_code=False)


def run(arguments: argparse.Namespace) -> int:
    """0 when every host is back; 3 and 4 as for a deploy, 5 where a host cannot go back: nothing was touched then."""
    from fleetdeploy.cli.changing.called import command_line
    from fleetdeploy.cli.changing.rollout import Rollout, carry_out

    arguments.forks = options.forks(arguments)
    asking = Asking(agreed=arguments.yes)
    if arguments.step:
        asking.check_somebody_is_here("--step asks before each wave")
    if arguments.check:
        return _check(_project(_bound(arguments), arguments), arguments)
    tried = attempt.begin(arguments, "rollback", freezes=False)
    bound = _bound(arguments)
    return carry_out(
        arguments,
        bound,
        lambda: Rollout(
            arguments,
            _project(bound, arguments),
            asking,
            command_line(arguments),
            lambda count: deploy.agree(count, arguments),
            deed=DEED,
            prepare=_prepared,
            attempt=tried,
            by_resume=aims.need_resume(arguments, aims.given(arguments)),
        ),
    )


def _bound(arguments: argparse.Namespace) -> Bound:
    """Which hosts, in which waves. Raises InputError."""
    from fleetdeploy.cli.binding.calls import check_environments
    from fleetdeploy.cli.binding.project import Bound, new_stamp, read_inventory, sources_of
    from fleetdeploy.domain.playbook import Playbook

    inventory = read_inventory(arguments)
    plays = _plays(arguments, inventory)
    check_environments(plays)
    playbook = Playbook("", tuple(play.play for play in plays))
    return Bound(inventory, sources_of(arguments), playbook, plays, new_stamp())


def _project(bound: Bound, arguments: argparse.Namespace) -> Project:
    """Everything that is known before any host is contacted. Raises InputError."""
    from fleetdeploy.cli.binding.calls import fact_refusals
    from fleetdeploy.cli.binding.play_hosts import beyond
    from fleetdeploy.cli.binding.project import debts_of
    from fleetdeploy.rollout.debt.drains import Drains
    from fleetdeploy.rollout.targets import Target, Targets

    plays = bound.plays
    meant = {name for play in plays for name in play.hosts}
    hosts = [host for name, host in bound.inventory.hosts.items() if name in meant and host.services]
    reached.check_services(arguments, [wish.name for host in hosts for wish in host.services])
    targets = Targets(
        {host.name: Target(host, ()) for host in hosts},
        stamp=bound.stamp,
        undecided=lambda plan: fact_refusals(plays, plan),
        drains=Drains(debts_of(arguments)),
        beyond=beyond(plays, [host.name for host in hosts]),
    )
    return bound.to(targets)


def _plays(arguments: argparse.Namespace, inventory: Inventory) -> tuple[BoundPlay, ...]:
    """The plays of the way back, each with the hosts that have a service. Raises PatternError where none has any."""
    from fleetdeploy.cli.binding import extra_vars
    from fleetdeploy.cli.binding.opening import store_of
    from fleetdeploy.cli.binding.play_hosts import outside
    from fleetdeploy.cli.binding.project import bind
    from fleetdeploy.errors import PatternError

    extra = extra_vars.by_name(arguments.extra_vars, secrets=store_of(arguments))
    bound = tuple(bind(play, inventory, arguments.limit, extra=extra) for play in _switching(arguments))
    if not any(play.hosts for play in bound):
        raise PatternError(problems=[outside(play, arguments.limit) for play in bound])
    served = {name for name, host in inventory.hosts.items() if host.services}
    plays = [replace(play, hosts=tuple(name for name in play.hosts if name in served)) for play in bound]
    if not any(play.hosts for play in plays):
        raise PatternError("none of these hosts has a service", hint="services are set by the variable `services`")
    if not getattr(arguments, "resumed_runs", ()):  # that is about the hosts that it had
        _check_nobody_is_left_out(arguments, inventory, plays)
    return tuple(play for play in plays if play.hosts)


def _check_nobody_is_left_out(arguments: argparse.Namespace, inventory: Inventory, plays: Sequence[BoundPlay]) -> None:
    """Whoever says nothing, or names a host, means it: it does not stay on a bad release behind an OK.

    Raises PatternError for hosts that no play takes back.
    """
    from fleetdeploy.cli.binding.project import DEFAULT_PLAYBOOK
    from fleetdeploy.config.inventory.patterns import select
    from fleetdeploy.errors import PatternError
    from fleetdeploy.rollout.naming import named

    covered, meant = {name for play in plays for name in play.hosts}, set(arguments.service)
    left = [
        name
        for name in select(inventory, "all", limit=arguments.limit)
        if name not in covered and any(not meant or wish.name in meant for wish in inventory.hosts[name].services)
    ]
    if left:
        raise PatternError(
            f"no play that activates is for {named(left)}: a rollback keeps to its plays' limits, and would pass over"
            f" {'it' if len(left) == 1 else 'them'}",
            where=str(arguments.project / DEFAULT_PLAYBOOK),
            hint="nothing was touched; give such a play these hosts, or leave them out with --limit, as in --limit "
            + shlex.quote(",".join(dict.fromkeys(play.play.hosts for play in plays))),
        )


def _switching(arguments: argparse.Namespace) -> tuple[Play, ...]:
    """The way back for the hosts of each play of the project's playbook that activates, within the same capacity.

    As many hosts at once as that allows, without canary and soak: what they go back to was proven on them.
    """
    from fleetdeploy.cli.binding.project import DEFAULT_PLAYBOOK, read_playbook
    from fleetdeploy.config.playbook.selection import Selection
    from fleetdeploy.domain.playbook import Play, TaskCall

    known: tuple[Play, ...] = ()
    if (arguments.project / DEFAULT_PLAYBOOK).exists():
        known = read_playbook(arguments, Selection()).plays
    found = tuple(play for play in known if any(call.name == "activate" for call in play.tasks))
    plays = found or (Play("", "all", (), always=(TaskCall("undrain"),)),)
    return tuple(way_back(play, number) for number, play in enumerate(plays, 1))


def way_back(play: Play, number: int) -> Play:
    """The play that takes back what ``play`` activates."""
    from fleetdeploy.domain.playbook import OnFailure

    return replace(
        play,
        name=f"Go back ({play.name})" if play.name else "Go back",
        tasks=tuple(_task(play, name) for name in TASKS),
        serial=(),
        soak_s=0.0,
        max_fail_percentage=0,
        on_failure=OnFailure.REVERT,
        rescue=(),
        number=number,
    )


def _task(play: Play, name: str) -> TaskCall:
    """The task as the play has it, with its timeouts, but for every host."""
    from fleetdeploy.domain import playbook

    own = next((call for call in play.tasks if call.name == name), None)
    return replace(own, when=()) if own else playbook.TaskCall(name, origin=play.origin)


def _request(arguments: argparse.Namespace) -> Request:
    from fleetdeploy.cli.changing.called import words_of
    from fleetdeploy.domain.secret import Secret
    from fleetdeploy.planning.resolve import Artefacts
    from fleetdeploy.rollout.one_way_back import Request

    artefacts = Artefacts()

    def golden(wish: ModelWish) -> tuple[GoldenRequest, ...]:
        return artefacts.golden(wish.golden) if wish.golden and wish.golden.is_file() else ()

    def secret(value: str) -> Secret:
        return Secret(lambda: value, note=arguments.redactor.add, where="a container on the host")

    def command(release: str) -> str:
        words = words_of(arguments)
        return shlex.join(["fleetdeploy", *_naming(words, release, instead_of=arguments.release)])

    given = aims.by_key(aims.given(arguments))
    return Request(arguments.release, arguments.forks, golden, secret, tuple(arguments.service), command, given)


def _naming(words: list[str], release: str, *, instead_of: str = "") -> list[str]:
    """The words of a rollback's command line with this release in it."""
    if "rollback" not in words:
        return ["rollback", release]
    place = words.index("rollback") + 1
    rest = list(words[place:])
    if instead_of in rest:
        rest.remove(instead_of)
    return [*words[:place], release, *rest]


def _went_back(
    project: Project, arguments: argparse.Namespace, fleet: Fleet, check: Free = lambda _host, _observed: None
) -> tuple[Project, GoingBack]:
    """The project with the targets that the hosts' own records give. Raises InputError for an unknown release."""
    from rich.text import Text

    from fleetdeploy.report.terminal import console, put
    from fleetdeploy.rollout.going_back import going_back

    hosts = {name: [wish.name for wish in target.host.services] for name, target in project.targets.by_name.items()}
    aims.check_hosts(arguments, hosts)
    going = going_back(project.targets, fleet, _request(arguments), check=check)
    out = console(stderr=True, no_color=arguments.no_color)
    with suppress(OSError):  # nobody reads
        for note in going.notes if not arguments.quiet else ():
            put(out, Text(f"note: {note}"), hanging=True)
    return replace(project, targets=going.targets), going


def _prepared(rollout: Rollout, fleet: Fleet, check: Free) -> Rollout:
    """The rollout with its aims, and its release named where all have one: doing it again goes no further back."""
    arguments = rollout.arguments
    project, going = _went_back(rollout.project, arguments, fleet, check)
    found = aims.joined(aims.given(arguments), project.targets.by_name, going.aims)
    words, contents = shlex.split(rollout.again), aims.contents(found)
    by_resume = aims.need_resume(arguments, found)
    if not (arguments.release or by_resume) and contents and "rollback" in words:
        words = _naming(words, *contents)
    again = shlex.join(words)
    return replace(rollout, project=project, again=again, aims=found, by_resume=by_resume)


def _check(project: Project, arguments: argparse.Namespace) -> int:
    """What a rollback would do; 5 where it would be refused."""
    found = foresight.foreseen(project, arguments, settle=lambda asked, fleet: _went_back(asked, arguments, fleet)[0])
    foresight.show(found, arguments, diff=not arguments.quiet)
    return foresight.refusal_exit_code(found, allow_unreachable=arguments.allow_unreachable)
