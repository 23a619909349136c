"""``fleetdeploy rollback``: hosts go back to a release that was proven on them, with what is still on them."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import attempt, deploy
from fleetdeploy.cli.changing.asking import Asking

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project
    from fleetdeploy.cli.changing.rollout import Rollout
    from fleetdeploy.domain.inventory import Inventory
    from fleetdeploy.domain.playbook import Play, TaskCall
    from fleetdeploy.domain.protocols import Fleet
    from fleetdeploy.domain.service import GoldenRequest, ModelWish
    from fleetdeploy.rollout.bound_play import BoundPlay
    from fleetdeploy.rollout.going_back import GoingBack, Request
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
    group.add_argument(
        "--service", action="append", default=[], metavar="NAME", help="only this service; may be given several times"
    )
    group.add_argument("-C", "--check", action="store_true", help="only plan; change nothing anywhere")
    group.add_argument("-D", "--diff", action="store_true", help="show the plan with its differences first")
    group.add_argument("--step", action="store_true", help="ask before each wave of each play; needs a terminal")
    group.add_argument(
        "-y", "--yes", action="store_true", help=f"do not ask before changing more than {deploy.ASK_ABOVE} hosts"
    )
    group.add_argument(
        "--allow-unreachable", action="store_true", help="go on without hosts that cannot be reached (exit 8)"
    )
    options.add_lock(group)
    group.add_argument("--events", type=Path, metavar="FILE", help="append every event as a line of JSON")
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
        return _check(_project(arguments), arguments)
    tried = attempt.begin(arguments, "rollback", freezes=False)
    project = _project(arguments)
    return carry_out(
        Rollout(
            arguments,
            project,
            asking,
            command_line(arguments),
            lambda count: deploy.agree(count, arguments),
            deed=DEED,
            prepare=_prepared,
            attempt=tried,
        )
    )


def _project(arguments: argparse.Namespace) -> Project:
    """Everything that is known before any host is contacted: which hosts, in which waves. Raises InputError."""
    from fleetdeploy.cli.binding.calls import check_environments, fact_refusals
    from fleetdeploy.cli.binding.project import Project, debts_of, new_stamp, read_inventory, sources_of
    from fleetdeploy.domain.playbook import Playbook
    from fleetdeploy.rollout.targets import Target, Targets

    inventory = read_inventory(arguments)
    plays = _plays(arguments, inventory)
    check_environments(plays)
    meant = {name for play in plays for name in play.hosts}
    hosts = [host for name, host in inventory.hosts.items() if name in meant and host.services]
    _check_services(arguments, [wish.name for host in hosts for wish in host.services])
    targets = Targets(
        {host.name: Target(host, ()) for host in hosts},
        stamp=new_stamp(),
        undecided=lambda plan: fact_refusals(plays, plan),
        drained_by=debts_of(arguments).drained_by,
    )
    playbook = Playbook("", tuple(play.play for play in plays))
    return Project(inventory, sources_of(arguments), playbook, plays, targets)


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
    return tuple(play for play in plays if play.hosts)


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


def _check_services(arguments: argparse.Namespace, known: list[str]) -> None:
    from fleetdeploy.config.syntax.suggest import hint_for
    from fleetdeploy.errors import InputError, Problem

    problems = [
        Problem(f"--service {name}: none of these hosts has it", hint=hint_for(name, known, what="services"))
        for name in arguments.service
        if name not in known
    ]
    if problems:
        raise InputError(problems=problems)


def _request(arguments: argparse.Namespace) -> Request:
    from fleetdeploy.domain.secret import Secret
    from fleetdeploy.planning.resolve import Artefacts
    from fleetdeploy.rollout.going_back import Request

    artefacts = Artefacts()

    def golden(wish: ModelWish) -> tuple[GoldenRequest, ...]:
        return artefacts.golden(wish.golden) if wish.golden and wish.golden.is_file() else ()

    def secret(value: str) -> Secret:
        return Secret(lambda: value, note=arguments.redactor.add, where="a container on the host")

    return Request(arguments.release, arguments.forks, golden, secret, tuple(arguments.service))


def _went_back(
    project: Project, arguments: argparse.Namespace, fleet: Fleet, check: Free = lambda _host, _observed: None
) -> tuple[Project, GoingBack]:
    """The project with the targets that the hosts' own records give. Raises InputError for an unknown release."""
    from fleetdeploy.rollout.going_back import going_back

    going = going_back(project.targets, fleet, _request(arguments), check=check)
    for note in going.notes if not arguments.quiet else ():
        print(f"note: {note}", file=sys.stderr)
    return replace(project, targets=going.targets), going


def _prepared(rollout: Rollout, fleet: Fleet, check: Free) -> Rollout:
    """The rollout with its release named, so that doing it again goes no further back."""
    project, going = _went_back(rollout.project, rollout.arguments, fleet, check)
    words = shlex.split(rollout.again)
    if not rollout.arguments.release and len(going.releases) == 1 and "rollback" in words:
        place = words.index("rollback") + 1
        words[place:place] = going.releases
    return replace(rollout, project=project, again=shlex.join(words))


def _check(project: Project, arguments: argparse.Namespace) -> int:
    """What a rollback would do; 5 where it would be refused."""
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
        project, _ = _went_back(project, arguments, fleet)
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
        for line in text.lines(expected, diff=arguments.diff, every_name=bool(arguments.verbose)):
            out.print(line)
        out.print(text.last_line(expected), style="bold")
    code = expected.refusal_exit_code
    return code or (PreflightRefused.exit_code if plan.unreachable and not arguments.allow_unreachable else 0)
