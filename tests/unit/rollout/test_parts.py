"""The parts of a run one by one: capacity, verdict, journal, lock, signals, outcomes over several plays."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simulation.clock import VirtualClock
from simulation.controller import deploy, sim_host
from simulation.fleet import SimFleet
from simulation.seen import settled_host
from simulation.wire import Wire

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.plan import Activation, HostPlan, Refusal
from fleetdeploy.errors import HostKeyRefused, InputError, Interrupted, LockHeld, RolloutFailed
from fleetdeploy.planning.host import plan_host
from fleetdeploy.rollout.capacity.capacity import Capacity
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.interrupt import Interrupts
from fleetdeploy.rollout.journal import Journal, as_json, open_run
from fleetdeploy.rollout.locks import local as lock
from fleetdeploy.rollout.outcomes import closed, merge
from fleetdeploy.rollout.targets import Target, Targets
from fleetdeploy.rollout.verdict import judge

from .fleets import V1, V2, settled


def nothing() -> None:
    """For a wait that nobody ends."""


def test_capacity_counts_and_gives_back() -> None:
    """A host that is taken counts until it serves again; taking it twice costs nothing more."""
    capacity = Capacity(out=(), uncounted=(), max_unavailable=1)
    capacity.take("a", nothing)
    capacity.take("a", nothing)
    assert capacity.out == {"a"}
    capacity.settle("a", serves=True)
    capacity.take("b", nothing)
    assert capacity.out == {"b"}


def test_capacity_does_not_wait_for_what_will_not_come() -> None:
    """Where the hosts that stay out leave no room, the wait ends with an error instead of never."""
    capacity = Capacity(out=["down"], uncounted=(), max_unavailable=1)
    with pytest.raises(RolloutFailed, match="down out of service, and max_unavailable is 1"):
        capacity.take("a", nothing)
    later = Capacity(out=(), uncounted=(), max_unavailable=1)
    later.take("a", nothing)
    later.settle("a", serves=False)
    with pytest.raises(RolloutFailed):
        later.take("b", nothing)


def test_capacity_waits_for_a_host_that_comes_back() -> None:
    """A host waits while another one is out for a while, and gets its place when that one serves."""
    capacity = Capacity(out=["a"], uncounted=(), max_unavailable=1, coming_back=["a"])
    taken = threading.Event()

    def second() -> None:
        capacity.take("b", nothing)
        taken.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not taken.wait(0.02)
    capacity.settle("a", serves=True)
    assert taken.wait(60)
    thread.join(60)


def test_capacity_can_be_given_up() -> None:
    """While waiting, the check may raise."""
    capacity = Capacity(out=["a"], uncounted=(), max_unavailable=1, coming_back=["a"])

    def stop() -> None:
        raise Interrupted("stopped", signal_number=2)

    with pytest.raises(Interrupted):
        capacity.take("b", stop)


def test_a_part_that_changed_nothing_leaves_capacity_as_it_was() -> None:
    """A host that was down before and was not repaired stays out; one that served serves on."""
    capacity = Capacity(out=["down"], uncounted=["new"], max_unavailable=2, coming_back=["down"])
    capacity.take("up", nothing)
    for name in ("down", "up", "new"):
        capacity.settle(name, serves=None)
    assert capacity.out == {"down"}


def test_new_hosts_cost_no_capacity() -> None:
    """A host that never served is not missed."""
    capacity = Capacity(out=(), uncounted=["new"], max_unavailable=0)
    capacity.take("new", nothing)
    capacity.settle("new", serves=False)
    assert capacity.out == frozenset()


OK = HostOutcome("ok", HostState.OK)
CHANGED = HostOutcome("changed", HostState.CHANGED, activated=True)
PREPARED = HostOutcome("prepared", HostState.SKIPPED)
FILES = HostOutcome("files", HostState.CHANGED)
REVERTED = HostOutcome("reverted", HostState.REVERTED)
FAILED = HostOutcome("failed", HostState.FAILED)
LATE = HostOutcome("late", HostState.FAILED, activated=True)
MIXED = HostOutcome("mixed", HostState.FAILED, mixed=True)
GONE = HostOutcome("gone", HostState.UNREACHABLE)


@pytest.mark.parametrize(
    ("outcomes", "code", "line"),
    [
        ([OK], 0, "OK: 1 host, nothing to do"),
        ([OK, CHANGED], 0, "OK: 1 of 2 hosts changed"),
        ([REVERTED, OK], 3, "FAILED: reverted; reverted reverted, every host serves what it served before"),
        ([FAILED, PREPARED], 3, "FAILED: failed; every host serves what it served before"),
        ([GONE, PREPARED], 3, "FAILED: gone; every host that was touched serves what it served before"),
        ([REVERTED, CHANGED], 4, "FAILED: reverted; the fleet is mixed: changed changed; mend it, then: again"),
        ([LATE, CHANGED], 4, "FAILED: late, after every host was switched over; mend it, then: again"),
        ([LATE], 4, "FAILED: late, after every host was switched over; mend it, then: again"),
        (
            [MIXED, REVERTED],
            4,
            (
                "FAILED: mixed: not known to serve what it served before; look with `fleetdeploy status`, mend it, "
                "then: again"
            ),
        ),
    ],
)
def test_the_verdict(outcomes: list[HostOutcome], code: int, line: str) -> None:
    """Exit code and last line follow from the hosts' outcomes alone; one that leaves something to do says by what."""
    run = judge("run", {item.host: item for item in outcomes}, allowed=(), interrupted=0, again="again")
    assert (run.exit_code, run.last_line) == (code, line)
    assert run.again == ("again" if code else "")


def test_an_interrupted_run_names_what_it_changed_and_what_failed() -> None:
    """128 plus the signal's number, unless a host's state is unknown, which matters more."""
    hosts = {item.host: item for item in (CHANGED, PREPARED, REVERTED)}
    run = judge("run", hosts, allowed=(), interrupted=15, again="again")
    assert (run.exit_code, run.last_line) == (
        143,
        "INTERRUPTED: changed switched over, failed reverted; continue with: again",
    )
    assert judge("run", {**hosts, "mixed": MIXED}, allowed=(), interrupted=15, again="again").exit_code == 4


def test_skipped_hosts_are_named_up_to_five() -> None:
    """Hosts that the run was told to go on without give exit code 8, and a long list is cut."""
    hosts = {f"h{n}": replace(GONE, host=f"h{n}") for n in range(7)}
    run = judge("run", {"changed": CHANGED, **hosts}, allowed=hosts, interrupted=0, again="again")
    assert run.exit_code == 8
    assert run.last_line.endswith("skipped as unreachable: h0, h1, h2, h3, h4 and 2 more")


@pytest.mark.parametrize(
    ("before", "now", "state", "activated"),
    [
        (None, CHANGED, HostState.CHANGED, True),
        (CHANGED, OK, HostState.CHANGED, True),
        (CHANGED, FAILED, HostState.FAILED, True),
        (replace(CHANGED, activated=False), PREPARED, HostState.SKIPPED, False),
        (CHANGED, PREPARED, HostState.CHANGED, True),
        (FAILED, OK, HostState.FAILED, False),
        (OK, REVERTED, HostState.REVERTED, False),
    ],
)
def test_outcomes_over_several_plays(
    before: HostOutcome | None, now: HostOutcome, state: HostState, activated: bool
) -> None:
    """A failure stays, a change is not hidden by a later play, and what was activated is not forgotten."""
    found = merge(before, now)
    assert (found.state, found.activated) == (state, activated)


@pytest.mark.parametrize(
    ("planned", "before", "put_back", "state"),
    [
        ({}, None, False, HostState.OK),
        ({}, OK, False, HostState.OK),
        ({"activation": Activation.VERIFY}, None, False, HostState.SKIPPED),
        ({"activation": Activation.VERIFY}, OK, False, HostState.SKIPPED),
        ({"activation": Activation.RELOAD}, FILES, False, HostState.SKIPPED),
        ({"activation": Activation.RELOAD}, CHANGED, True, HostState.CHANGED),
        ({"undrain": True}, None, False, HostState.SKIPPED),
        ({"undrain": True}, FILES, False, HostState.SKIPPED),
        ({"undrain": True}, FILES, True, HostState.CHANGED),
        ({"undrain": True}, PREPARED, True, HostState.CHANGED),
        ({"undrain": True}, PREPARED, False, HostState.SKIPPED),
        ({"undrain": True}, REVERTED, True, HostState.REVERTED),
        ({"pull_image": True}, FILES, False, HostState.CHANGED),
    ],
)
def test_a_run_that_ends_early_skipped_who_still_needs_something(
    planned: dict[str, Any], before: HostOutcome | None, put_back: bool, state: HostState
) -> None:
    """Who needed nothing is fine, and who needed only files or its balancer is done with them: neither is skipped."""
    seen = settled_host(V1)
    (service,) = plan_host(sim_host("gpu1"), [V1], seen, stamp="T").services
    assert not service.changed
    plan = HostPlan(sim_host("gpu1"), seen, (replace(service, **planned),))
    ended = closed(before, "gpu1", why="stopped", planned=plan, put_back=put_back)
    assert (ended.state, ended.as_wanted) == (state, False)
    assert closed(before, "gpu1", why="", planned=plan).state is (before.state if before else HostState.OK)


def test_who_was_skipped_and_lacks_nothing_serves_as_wanted() -> None:
    """A host with nothing to be switched over or put back is skipped as it serves, and not behind the others; of one
    that is refused, or was not looked at, nobody says so.
    """
    seen = settled_host(V1)
    skipped = HostOutcome("gpu1", HostState.SKIPPED, "stopped")
    plan = plan_host(sim_host("gpu1"), [V1], seen, stamp="T")
    files = replace(plan, services=tuple(replace(item, pull_image=True) for item in plan.services))
    for before, planned in ((skipped, plan), (skipped, files), (None, files)):
        ended = closed(before, "gpu1", why="stopped", planned=planned)
        assert (ended.state, ended.as_wanted) == (HostState.SKIPPED, True)
    for other in (None, HostPlan(sim_host("gpu1"), seen, (), (Refusal("gpu1", "no"),))):
        assert not closed(skipped, "gpu1", why="stopped", planned=other).as_wanted


def test_the_journal_is_on_disk_before_the_step(tmp_path: Path) -> None:
    """When the first call of a step is made, the file already says that the step began."""
    world, path = settled("gpu1"), tmp_path / "events.jsonl"
    journal, told = Journal(path), list[bool]()

    def look(event: Event) -> None:
        if event.kind is Kind.STEP_STARTED:
            told.append(f'"task": "{event.task}"' in path.read_text().splitlines()[-1])

    assert deploy(world, V2, sinks=[journal, look]).code == 0
    journal.close()
    assert len(told) == 6
    assert all(told)


def test_a_journal_that_cannot_be_written_stops_the_run_before_the_act() -> None:
    """A full disk on the controller ends the run before a step that would not be recorded."""
    world = settled("gpu1")

    def full(event: Event) -> None:
        if event.kind is Kind.STEP_STARTED and event.task == "drain":
            raise OSError(28, "No space left on device")

    run = deploy(world, V2, sinks=[full])
    assert run.code == 3
    assert not any(act.endswith("balancer.drain") for act in run.acts), run.acts
    assert run.outcome is not None
    assert "journal" in run.outcome.hosts["gpu1"].reason
    assert world.in_service("gpu1")


def test_a_journal_that_fails_between_waves_stops_the_run_there() -> None:
    """Where no host is at work, a journal that cannot be written leaves the next hosts untouched."""
    world = settled("gpu1", "gpu2", "gpu3")

    def full(event: Event) -> None:
        if event.kind is Kind.WAVE_STARTED and event.data["wave"] == 2:
            raise OSError(28, "No space left on device")

    run = deploy(world, V2, sinks=[full])
    assert run.code == 4
    assert "gpu1" in run.last_line
    assert "journal" in run.last_line


def test_a_terminal_that_goes_away_stops_nothing() -> None:
    """A view that cannot be written to is dropped; the run goes on."""
    clock, got = VirtualClock(), list[Event]()

    def gone(_: Event) -> None:
        raise BrokenPipeError

    emit = Emitter("r1", clock, journals=[got.append], views=[gone])
    emit(Kind.SOAK_STARTED)
    emit(Kind.SOAK_STARTED)
    assert len(got) == 2


def test_events_of_an_emitter_carry_the_run_and_the_time() -> None:
    """Sinks get the same event in the order in which they were given."""
    clock, got = VirtualClock(), list[tuple[str, Event]]()
    emit = Emitter("r1", clock, journals=[lambda e: got.append(("a", e))], views=[lambda e: got.append(("b", e))])
    emit(Kind.SOAK_STARTED, "1 s", seconds=1)
    assert [name for name, _ in got] == ["a", "b"]
    assert got[0][1] == Event(Kind.SOAK_STARTED, clock.now_s(), "r1", message="1 s", data={"seconds": 1})
    assert json.loads(as_json(got[0][1]))["data"] == {"seconds": 1}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """The second run is told who holds the lock, waits no longer than it was told to, and exits 6."""
    clock, hosts = VirtualClock(), [Host(name, Connection(f"10.0.0.{name[-1]}")) for name in ("gpu1", "gpu2")]
    alias = Host("the same under another name", Connection("10.0.0.2"))
    with lock.hold(tmp_path / "locks", hosts, "run-1", clock):
        for wait_s in (0.0, 30.0):
            begun_s = clock.monotonic_s()
            with (
                pytest.raises(LockHeld) as caught,
                lock.hold(tmp_path / "locks", [alias], "run-2", clock, wait_s=wait_s),
            ):
                pass
            assert clock.monotonic_s() - begun_s == pytest.approx(wait_s, abs=0.3)
        assert "run run-1 of" in caught.value.message
        assert f"pid {os.getpid()}" in caught.value.message
        assert caught.value.exit_code == 6
        with lock.hold(tmp_path / "locks", [Host("gpu3", Connection("10.0.0.3"))], "run-3", clock):
            pass
    with lock.hold(tmp_path / "locks", hosts, "run-4", clock):
        pass


def test_a_killed_run_is_not_named_as_the_owner(tmp_path: Path) -> None:
    """Whoever gets a lock removes the note of the run that was killed with it: its process number may be another's."""
    hosts = [Host("gpu1", Connection("gpu1"))]
    with lock.hold(tmp_path, hosts, "killed", VirtualClock()):
        note = (tmp_path / "killed.json").read_text()
    (tmp_path / "killed.json").write_text(note)  # as a kill leaves it; this process is alive
    with lock.hold(tmp_path, hosts, "present", VirtualClock()):
        assert not (tmp_path / "killed.json").exists()
        with pytest.raises(LockHeld, match="run present of"), lock.hold(tmp_path, hosts, "late", VirtualClock()):
            pass


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    """However a run ends, the next one can begin."""
    clock, hosts = VirtualClock(), [Host(name, Connection(f"10.0.0.{name[-1]}")) for name in ("gpu1", "gpu2")]
    with pytest.raises(RolloutFailed), lock.hold(tmp_path, hosts, "run-1", clock):
        raise RolloutFailed("no")
    with lock.hold(tmp_path, hosts, "run-2", clock):
        pass


def test_the_first_signal_only_asks() -> None:
    """SIGINT while entered sets the request and tells once; afterwards the old handlers are back."""
    told, before = list[str](), signal.getsignal(signal.SIGINT)
    interrupts = Interrupts(told.append)
    interrupts.check()
    with interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.getsignal(signal.SIGTERM)
        assert interrupts.requested == signal.SIGTERM
    assert told == ["SIGTERM"]
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(Interrupted) as caught:
        interrupts.check()
    assert caught.value.exit_code == 143


def test_the_second_signal_ends_the_process_whoever_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Last words that nobody can be told, and a first word neither, keep no process alive."""

    def nobody(*_: object) -> None:
        raise BrokenPipeError

    ended = list[int]()
    monkeypatch.setattr(os, "write", nobody)
    monkeypatch.setattr(os, "_exit", ended.append)
    with Interrupts(nobody, last_words="STOPPED \udc80"):
        os.kill(os.getpid(), signal.SIGINT)
        signal.getsignal(signal.SIGINT)
        with suppress(BrokenPipeError):
            os.kill(os.getpid(), signal.SIGINT)
            signal.getsignal(signal.SIGINT)
    assert ended == [128 + signal.SIGINT]


def test_a_host_with_another_key_is_refused_not_gone_without() -> None:
    """A changed host key is never "unreachable": ``--allow-unreachable`` must not pass over it."""
    world, clock = settled("gpu1", "gpu2"), VirtualClock()
    fleet = SimFleet(world, Wire(world))

    class Changed(SimFleet):
        def session(self, host):  # type: ignore[no-untyped-def]
            if host.name == "gpu2":
                raise HostKeyRefused("the host key changed", where="gpu2", hint="look at it")
            return fleet.session(host)

    targets = Targets({name: Target(sim_host(name), (V1,)) for name in world.hosts}, "T1")
    plan = targets.observe(Changed(world, Wire(world)), Emitter("r", clock), forks=2)
    assert plan.unreachable == {}
    assert [(item.host, item.exit_code) for item in plan.refusals] == [("gpu2", 2)]
    assert plan.refusal_exit_code == 2


def test_old_journals_are_forgotten(tmp_path: Path) -> None:
    """A cron job that runs for years keeps only its newest runs, and a new one is always among them."""
    for number in range(5):
        journal = open_run(tmp_path, f"2026010{number}T000000Z-aa", keep=3)
        journal(Event(Kind.RUN_FINISHED, 1.0, "r"))
        journal.close()
    assert sorted(path.name[:8] for path in tmp_path.iterdir()) == ["20260102", "20260103", "20260104"]


def test_a_journal_that_cannot_be_opened_is_bad_input(tmp_path: Path) -> None:
    """An --events file in a directory that does not exist, or a state directory that is a file, is said before all."""
    with pytest.raises(InputError, match="cannot be opened"):
        Journal(tmp_path / "nowhere" / "events.jsonl")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        open_run(tmp_path / "file", "run")
