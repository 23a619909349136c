"""A person's own command on many hosts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from simulation.clock import VirtualClock

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.reaching import STDERR, STDOUT, Hear
from fleetdeploy.errors import DeadlineExceeded, LeaseLost
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.reaching.commands import TOLD_LINES, Act, Commands, Done
from fleetdeploy.rollout.reaching.output import KEPT_BYTES, LINE_BYTES, Output
from fleetdeploy.rollout.reaching.verdict import judge

from .hosts import PATIENCE_S, FakeHost, FakeReach, host, lost


@dataclass
class Scene:
    """Some hosts, and what was told of a command on them."""

    hosts: Sequence[FakeHost]
    events: list[Event] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=VirtualClock)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, *services: str, forks: int = 5, **settings: Any) -> dict[str, HostOutcome]:
        emit = Emitter("r1", self.clock, views=[self.events.append])
        reach = FakeReach(*self.hosts)
        told = {"show": self.done.append, "line": lambda *said: self.lines.append(said), **settings}
        self.commands = Commands(reach, emit, self.clock, "command", "uptime", 60.0, self.stop.is_set, **told)
        acts = [
            Act(service, lambda opened, hear: opened.run(["uptime"], deadline_s=60, hear=hear))
            for service in services or ("",)
        ]
        found = self.commands.run([host(item.name) for item in self.hosts], lambda _: acts, forks=forks)
        return {item.host: item for item in found}

    def told(self, name: str) -> list[tuple[str, str]]:
        return [(event.kind.value, event.message) for event in self.events if event.host == name]


def says(status: int, *pieces: tuple[int, bytes]) -> Callable[[Sequence[str], Hear], int]:
    def act(_argv: Sequence[str], hear: Hear) -> int:
        for stream, data in pieces:
            hear(stream, data)
        return status

    return act


def test_every_host_is_told_from_its_beginning_to_its_end() -> None:
    """What is begun is told before it is done, what was printed before it has ended."""
    scene = Scene([FakeHost("gpu1", act=says(0, (STDOUT, b"up 3 d"), (STDOUT, b"ays\n")))])
    outcome = scene.run()["gpu1"]
    assert (outcome.state, outcome.steps_ok) == (HostState.OK, 1)
    assert scene.told("gpu1") == [
        ("step_started", "uptime"),
        ("step_progress", "up 3 days"),
        ("step_finished", "uptime"),
        ("host_finished", ""),
    ]
    assert scene.lines == [("gpu1", "", "up 3 days")]
    assert scene.done[0].lines == ("up 3 days",)


def test_a_status_is_a_failure_of_that_host_alone() -> None:
    """Its last lines stand in the journal beside it."""
    scene = Scene([FakeHost("gpu1", act=says(3, (STDERR, b"no\n"))), FakeHost("gpu2")])
    found = scene.run()
    assert [(item.state, item.reason) for item in found.values()] == [
        (HostState.FAILED, "ended with status 3"),
        (HostState.OK, ""),
    ]
    (event,) = (event for event in scene.events if event.kind is Kind.STEP_FAILED)
    assert (event.message, event.data["detail"]) == ("ended with status 3", "no")


def test_a_host_that_cannot_be_reached_is_no_step() -> None:
    """Nothing was begun there."""
    scene = Scene([FakeHost("gpu1", trouble=[lost("gpu1")])])
    assert scene.run()["gpu1"].state is HostState.UNREACHABLE
    assert [kind for kind, _ in scene.told("gpu1")] == ["host_unreachable", "host_finished"]
    assert scene.done[0].unreachable


def test_a_command_over_its_deadline_says_so_and_whether_it_may_go_on() -> None:
    """In a container nobody can end it."""
    scene = Scene([])

    def act(_argv: Sequence[str], _hear: Hear) -> int:
        scene.clock.wait(60)
        raise DeadlineExceeded("some words of another")

    scene.hosts = [FakeHost("gpu1", act=act)]
    outcome = scene.run()["gpu1"]
    assert (outcome.reason, outcome.hint) == ("it did not end within 60 s", "--deadline gives it longer")
    outcome = scene.run("ranking")["gpu1"]
    assert "may go on there" in outcome.hint


def test_a_deadline_of_something_else_keeps_its_own_words() -> None:
    """Docker that does not answer is not a command that takes too long."""

    def act(_argv: Sequence[str], _hear: Hear) -> int:
        raise DeadlineExceeded("Docker gave no answer")

    assert Scene([FakeHost("gpu1", act=act)]).run()["gpu1"].reason == "Docker gave no answer"


def test_who_asks_to_stop_ends_what_runs_and_begins_nothing_more() -> None:
    """The command hears of it at its next sign of life."""
    scene = Scene([FakeHost(f"gpu{number}") for number in (1, 2, 3)])

    def act(_argv: Sequence[str], hear: Hear) -> int:
        scene.stop.set()
        hear(STDOUT, b"")
        raise AssertionError("it went on")

    scene.hosts[0].act = act
    found = scene.run(forks=1)
    assert [item.state for item in found.values()] == [HostState.FAILED, HostState.SKIPPED, HostState.SKIPPED]
    assert found["gpu1"].reason == "a person asked to stop before it had ended"
    assert [event.host for event in scene.events if event.kind is Kind.STEP_STARTED] == ["gpu1"]


def test_when_nobody_reads_any_longer_no_further_host_is_begun() -> None:
    """As for any program in a pipe whose reader has gone."""
    scene = Scene([FakeHost("gpu1"), FakeHost("gpu2")])

    def show(_done: Done) -> None:
        raise BrokenPipeError

    found = scene.run(forks=1, show=show)
    assert [item.state for item in found.values()] == [HostState.OK, HostState.SKIPPED]
    assert isinstance(scene.commands.unread, BrokenPipeError)


def test_nothing_is_done_on_a_host_that_is_another_runs_by_now() -> None:
    """Where leases were asked for."""
    scene = Scene([FakeHost("gpu1", act=says(0))])

    def check(_host: str) -> None:
        raise LeaseLost("another run has it")

    outcome = scene.run(check=check)["gpu1"]
    assert (outcome.state, outcome.reason) == (HostState.FAILED, "another run has it")


def test_each_service_of_a_host_is_a_step_and_the_first_failure_is_the_hosts() -> None:
    """It names the service."""
    scene = Scene([FakeHost("gpu1", act=says(1))])
    outcome = scene.run("ranking", "search")["gpu1"]
    assert outcome.reason == "ranking: ended with status 1"
    assert [event.data["service"] for event in scene.events if event.kind is Kind.STEP_STARTED] == ["ranking", "search"]


def test_the_journal_keeps_the_last_lines_only() -> None:
    """It is synced with every record."""
    scene = Scene([FakeHost("gpu1", act=says(0, (STDOUT, b"".join(b"%d\n" % number for number in range(100)))))])
    scene.run()
    (event,) = (event for event in scene.events if event.kind is Kind.STEP_PROGRESS)
    assert event.message.splitlines() == [str(number) for number in range(100 - TOLD_LINES, 100)]


def test_output_is_kept_from_its_end_and_the_rest_is_counted() -> None:
    """A host that prints for ever does not fill the controller's memory, nor does a line without an end."""
    output = Output()
    for number in range(100_000):
        output.hear(STDOUT, b"%d\n" % number)
    output.hear(STDOUT, b"x" * (2 * LINE_BYTES))
    output.end()
    assert sum(len(line) + 1 for line in output.lines) <= KEPT_BYTES
    assert len(output.lines) + output.left_out == 100_001
    assert output.lines[-1] == "x" * LINE_BYTES
    assert output.lines[-2] == "99999"


def test_the_two_streams_do_not_mix_in_a_line() -> None:
    """Each has its own beginning of a line; bytes that are no text are replaced."""
    output = Output()
    for stream, data in ((STDOUT, b"out "), (STDERR, b"err\r\n"), (STDOUT, b"\xffput\n"), (STDERR, b"rest")):
        output.hear(stream, data)
    output.end()
    assert list(output.lines) == ["err", "out \ufffdput", "rest"]


@pytest.mark.parametrize(
    ("states", "interrupted", "unread", "code", "end"),
    [
        ("ok ok", 0, False, 0, "OK: done on 2 hosts"),
        ("ok", 0, False, 0, "OK: done on 1 host"),
        ("ok failed", 0, False, 4, "FAILED: h1; done on 1 of 2 hosts; mend it, then: again h1"),
        ("unreachable", 0, False, 4, "FAILED: h0; done on 0 of 1 host; mend it, then: again h0"),
        ("failed skipped", 2, False, 130, "done on 0 of 2 hosts, not well on h0; continue with: again h0,h1"),
        ("ok ok", 15, False, 143, "INTERRUPTED: done on 2 hosts"),
        ("ok skipped", 0, True, 141, "INTERRUPTED: done on 1 of 2 hosts; continue with: again h1"),
        ("failed " * 6, 0, False, 4, "h3, h4 and 1 more; done on 0 of 6 hosts; mend it, then: again "),
    ],
)  # fmt: skip
def test_the_last_line_is_true(states: str, interrupted: int, unread: bool, code: int, end: str) -> None:
    """It counts where it was done, names where not, and what to type for those."""
    outcomes = [HostOutcome(f"h{number}", HostState(state)) for number, state in enumerate(states.split())]
    again = lambda names: f"again {','.join(names)}"  # noqa: E731
    found = judge("r1", outcomes, interrupted=interrupted, unread=unread, again=again)
    assert found.exit_code == code
    assert found.last_line.endswith(end)
    assert found.last_line.partition(":")[0] == ("OK", "FAILED", "INTERRUPTED")[(code > 0) + (code > 100)]


def test_hosts_are_worked_on_at_the_same_time() -> None:
    """As many as --forks says: each waits here for the other."""
    both = threading.Barrier(2, timeout=PATIENCE_S)
    found = Scene([FakeHost(name, act=lambda _argv, _hear: both.wait() * 0) for name in ("gpu1", "gpu2")]).run(forks=2)
    assert {item.state for item in found.values()} == {HostState.OK}
