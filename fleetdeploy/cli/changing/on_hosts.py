"""A person's own command on many hosts, from the question whether so many are meant to its exit code."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetdeploy.cli import options
from fleetdeploy.cli.changing import deploy, reached, run_end
from fleetdeploy.errors import InputError

if TYPE_CHECKING:
    from fleetdeploy.domain.inventory import Host, Inventory
    from fleetdeploy.domain.outcome import RunOutcome
    from fleetdeploy.domain.protocols import Clock, Fleet
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.report.story.run_story import RunStory
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.interrupt import Interrupts
    from fleetdeploy.rollout.reaching.commands import Act, Commands, Done

DEADLINE_S = 60.0
STOPPING = "no further host is begun, what runs is ended; once more to stop now"
STOPPED_NOW = "STOPPED at once: commands may still run on hosts"
DASHES = "--"
_NAMES_INVENTORY = ("-i", "--inventory")


@dataclass(frozen=True)
class Order:
    """What is to be done where. ``task`` is what the journal calls it, ``shown`` the command as a person reads it;
    ``places`` are the hosts, each with the services that are meant on it.
    """

    arguments: argparse.Namespace
    inventory: Inventory
    places: Mapping[str, Sequence[str]]
    acts: Callable[[Host], Sequence[Act]]
    task: str
    shown: str

    @property
    def hosts(self) -> list[Host]:
        return [self.inventory.hosts[name] for name in self.places]


def add_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What such commands have in common. Everything behind ``--`` is the command's own."""
    options.add_inventory(parser)
    options.add_connection(parser)
    options.add_project(parser)
    options.add_output(parser, quiet="only what fails", verbose="every host in a recap of more than 60")
    group = parser.add_argument_group("command")
    group.add_argument(
        "--deadline",
        type=options.some_seconds,
        default=DEADLINE_S,
        metavar="TIME",
        help="how long it may take on each host (default: 60s)",
    )
    group.add_argument("--stream", action="store_true", help="each line as it comes, with its host before it")
    group.add_argument("-y", "--yes", action="store_true", help=f"do not ask before more than {deploy.ASK_ABOVE} hosts")
    options.add_events(group)
    _split_at_dashes(parser)
    return group


def _split_at_dashes(parser: argparse.ArgumentParser) -> None:
    """Leave what is behind the first ``--`` to the command: argparse would take words of it for its own."""
    parse: Callable[..., tuple[Any, list[str]]] = parser.parse_known_args

    def split(args: Sequence[str], namespace: Any = None) -> tuple[Any, list[str]]:
        words = list(args)
        at = words.index(DASHES) if DASHES in words else len(words)
        found, left = parse(words[:at], namespace)
        found.words, found.has_dashes = words[at + 1 :], at < len(words)
        return found, left

    parser.parse_known_args = split  # type: ignore[method-assign, assignment]


def check(arguments: argparse.Namespace, *, example: str) -> None:
    """Raises InputError for a command line that leaves open what is to be done, or how it is to be shown."""
    if not arguments.words and not getattr(arguments, "shell", None):
        lacks = "nothing stands behind --" if arguments.has_dashes else "there is no command"
        raise InputError(lacks, where="command line", hint=f"write it behind --: {example}")
    if arguments.stream and arguments.json:
        raise InputError(
            "--stream and --json together", where="command line", hint="leave one out: --json is at the end"
        )


def read_inventory(arguments: argparse.Namespace) -> Inventory:
    """The inventory. Raises InputError; where what names it stands among the command's words, with that for a hint."""
    from fleetdeploy.cli.binding import project

    try:
        return project.read_inventory(arguments)
    except InputError as error:
        words = (word.partition("=")[0] for word in arguments.words)
        if arguments.inventory or (astray := next((word for word in words if word in _NAMES_INVENTORY), "")) == "":
            raise
        hint = f"{astray} stands behind --, where everything belongs to the command: write it before the --"
        raise InputError(problems=[replace(item, hint=hint) for item in error.problems]) from None


def carry_out(order: Order) -> int:
    """Do it, tell how it ended, and return the exit code. Raises FleetdeployError where nothing was begun."""
    from fleetdeploy.cli.binding.project import print_json
    from fleetdeploy.report import as_json, host_lines, terminal
    from fleetdeploy.report.redacted_output import OutputLost
    from fleetdeploy.report.story.run_story import RunStory

    arguments, story, done = order.arguments, RunStory(), list["Done"]()
    deploy.agree(len(order.places), arguments, does=f"would be told to {shorter(order.shown)!r}")
    reached.know_secrets(order.hosts)
    with ExitStack() as until_told:  # what answers signals stays until it is out how the run ended
        outcome = _carried_out(order, until_told, story, done)
        # What is lost has been told of, and is nothing that the run did; who went away is met once more by `main`.
        with suppress(OutputLost, BrokenPipeError):
            if arguments.json:
                print_json({**as_json.outcome(outcome), "commands": host_lines.commands_json(done)})
            sys.stdout.flush()
        if not arguments.quiet or outcome.exit_code:
            with suppress(OSError):  # the exit code is true, whoever reads
                out = terminal.console(stderr=True, no_color=arguments.no_color)
                terminal.recap(out, story, quiet=arguments.quiet, every_host=bool(arguments.verbose))
        return outcome.exit_code


def shorter(text: str, most: int = 40) -> str:
    """A command in a sentence."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _carried_out(order: Order, until_told: ExitStack, story: RunStory, done: list[Done]) -> RunOutcome:
    from fleetdeploy.cli.binding.project import new_run, new_stamp
    from fleetdeploy.cli.changing.called import command_line, words_of
    from fleetdeploy.domain.events import FORMAT, Kind
    from fleetdeploy.remote import clock as clocks
    from fleetdeploy.remote import fleet as fleets
    from fleetdeploy.report.redacted_output import OutputLost
    from fleetdeploy.report.terminal import console
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.interrupt import Interrupts
    from fleetdeploy.rollout.locks.local import this_owner

    arguments, clock, run_id = order.arguments, clocks.SystemClock(), new_run(new_stamp())
    out = console(stderr=True, no_color=arguments.no_color)
    journals = run_end.journals(arguments, run_id, until_told)
    emit = Emitter(run_id, clock, journals=journals, views=[story.tell], redactor=arguments.redactor)
    fleet = fleets.SshFleet(hosts=order.inventory.hosts, connect_timeout_s=arguments.timeout)
    stopped_now = arguments.redactor.text(f"\n{STOPPED_NOW}; to give it again: {command_line(arguments)}\n")
    interrupts = Interrupts(lambda name: out.print(f"{name}: {STOPPING}"), last_words=stopped_now)
    try:
        until_told.enter_context(interrupts)
        called: dict[str, Any] = {
            "argv": words_of(arguments),
            "directory": str(Path.cwd()),
            "by": this_owner(),
            "own": True,
        }
        with run_end.told_where_it_fails(emit, run_end.Again()):
            emit(Kind.RUN_STARTED, command_line(arguments), format=FORMAT, hosts=list(order.places), **called)
            outcome, unread = _done(order, emit, fleet, clock, interrupts, done)
        run_end.tell(outcome, emit, interrupts, arguments.redactor)
        if unread is not None and not isinstance(unread, OutputLost):
            raise unread
        return outcome
    finally:
        fleet.close()


def _done(
    order: Order, emit: Emitter, fleet: SshFleet, clock: Clock, interrupts: Interrupts, done: list[Done]
) -> tuple[RunOutcome, OSError | None]:
    """The outcome, and the error of a reader of the output that went away."""
    from fleetdeploy.remote import reaching
    from fleetdeploy.rollout.reaching.commands import Commands
    from fleetdeploy.rollout.reaching.verdict import judge

    commands = Commands(
        reaching.SshReach(fleet),
        emit,
        clock,
        order.task,
        order.shown,
        order.arguments.deadline,
        lambda: bool(interrupts.requested),
    )
    _show_on(commands, order, done)
    forks = options.forks(order.arguments)
    with _leases(order, emit, fleet, clock, interrupts, commands):
        outcomes = commands.run(order.hosts, order.acts, forks=forks)
    unread, again = commands.unread is not None, partial(_again, order.arguments)
    return judge(emit.run, outcomes, interrupted=interrupts.requested, unread=unread, again=again), commands.unread


def _show_on(commands: Commands, order: Order, done: list[Done]) -> None:
    from fleetdeploy.report import host_lines, terminal

    arguments = order.arguments
    out = terminal.console(stderr=False, no_color=arguments.no_color)
    prefixes = host_lines.Prefixes(order.places)

    def block(item: Done) -> None:
        for line in host_lines.block(item) if item.failure or not arguments.quiet else ():
            out.print(line, soft_wrap=True)

    def line(host: str, service: str, text: str) -> None:
        out.print(prefixes.line(host, service, text), soft_wrap=True)

    def end(item: Done) -> None:
        head, *_ = host_lines.block(item)
        out.print(head, soft_wrap=True)

    if arguments.json:
        commands.show = done.append
    elif arguments.stream:
        commands.line, commands.show = line, end
    else:
        commands.show = block


@contextmanager
def _leases(
    order: Order, emit: Emitter, fleet: Fleet, clock: Clock, interrupts: Interrupts, commands: Commands
) -> Iterator[None]:
    """With --lock, the leases of all services of the hosts, so that no other run works there meanwhile."""
    arguments = order.arguments
    if not arguments.lock:
        yield
        return
    from fleetdeploy.domain.service import DesiredService
    from fleetdeploy.rollout.locks import local
    from fleetdeploy.rollout.locks.leases import LeaseKeeper, patiently
    from fleetdeploy.rollout.targets import Target, Targets

    targets = Targets(
        {
            host.name: Target(host, tuple(DesiredService(wish, (), "") for wish in host.services))
            for host in order.hosts
            if host.services
        },
        stamp="",
    )
    directory, end_s = options.state_home() / "locks", clock.monotonic_s() + arguments.wait_lock
    wait_s, check = arguments.wait_lock, interrupts.check
    with local.hold(directory, order.hosts, emit.run, clock, wait_s=wait_s, check=check) as held:
        keeper = LeaseKeeper(targets, fleet, emit, clock, held.holder_of, options.forks(arguments), arguments.lease_ttl)
        names, left_s = list(targets.by_name), end_s - clock.monotonic_s()
        patiently(lambda: keeper.take(names), clock=clock, wait_s=left_s, check=check)
        commands.check = keeper.check
        with keeper.renewing():
            yield


def _again(arguments: argparse.Namespace, hosts: Sequence[str]) -> str:
    """The same command line, for these hosts alone where there are any."""
    from fleetdeploy.cli.changing.called import words_of

    words = words_of(arguments)
    at = words.index(DASHES) if DASHES in words else len(words)
    limit = ["-l", ",".join(hosts)] if hosts else []
    return shlex.join(["fleetdeploy", *words[:at], *limit, *words[at:]])
