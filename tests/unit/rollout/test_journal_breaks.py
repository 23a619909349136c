"""No rollout goes on without a journal: what one that cannot be written stops, and what it does not."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from simulation.clock import VirtualClock
from simulation.controller import Run, deploy, plays
from simulation.model_server import Quality
from simulation.world import World, converged

from fleetdeploy.domain.events import Event, Kind, Sink
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.errors import PreflightRefused, RolloutFailed
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.journal import OfEvents, OnReserve

from .fleets import NEW_IMAGE, V1, V2, new, settled, spoil, untrue

FULL = OSError(errno.ENOSPC, "No space left on device")
SAYS = "the journal cannot be written: No space left on device"


class Breaks:
    """A sink that cannot be written from its ``at``-th record on, and keeps the others."""

    def __init__(self, at: int, error: OSError = FULL, *, once: bool = False) -> None:
        self.at, self.error, self.once = at, error, once
        self.asked, self.kept = 0, list[Event]()

    def __call__(self, event: Event) -> None:
        self.asked += 1
        if self.asked == self.at or (self.asked > self.at and not self.once):
            raise self.error
        self.kept.append(event)


def emitter(*journals: Sink) -> Emitter:
    return Emitter("r1", VirtualClock(), journals=journals)


@pytest.mark.parametrize(
    "kind",
    [
        Kind.PLAY_STARTED,
        Kind.WAVE_STARTED,
        Kind.STEP_STARTED,
        Kind.WATCH_ARMING,
        Kind.SOAK_STARTED,
    ],
)
def test_what_is_announced_is_not_done_without_a_journal(kind: Kind) -> None:
    """Every announcement raises, on whatever host, and not only the first one."""
    emit = emitter(Breaks(1))
    for host in ("gpu1", "gpu2"):
        with pytest.raises(RolloutFailed, match=SAYS) as caught:
            emit(kind, host=host)
        assert caught.value.exit_code == 3
        assert "--state-dir" in caught.value.hint


@pytest.mark.parametrize("kind", [Kind.RUN_STARTED, Kind.PLAN_MADE, Kind.LEASES_TAKING])
def test_who_has_touched_nothing_is_refused(kind: Kind) -> None:
    """Before the first host is anybody's a journal that cannot be written is exit 5: no host is back on anything."""
    emit = emitter(Breaks(1))
    with pytest.raises(PreflightRefused, match=SAYS) as caught:
        emit(kind)
    assert caught.value.exit_code == 5


def test_the_file_of_events_is_called_by_its_option() -> None:
    """Nobody is told to look at the journal, or to move it, where it is the file of --events that is full."""
    error = OfEvents(errno.ENOSPC, "No space left on device", "/srv/e.jsonl")
    emit = emitter(Breaks(1, error))
    with pytest.raises(RolloutFailed) as caught:
        emit(Kind.PLAY_STARTED)
    assert str(caught.value) == "the file of --events cannot be written: No space left on device (/srv/e.jsonl)"
    assert caught.value.hint == "free space there, or name another file with --events; then run again"


def test_behind_a_runs_end_nothing_is_told() -> None:
    """The end is a journal's last record, whoever still looks at a host that nobody waits for any longer."""
    told = list[Event]()
    emit = emitter(told.append)
    for kind in (Kind.RUN_STARTED, Kind.RUN_FINISHED, Kind.HOST_UNREACHABLE, Kind.RUN_FINISHED):
        emit(kind, host="gpu1")
    assert [event.kind for event in told] == [Kind.RUN_STARTED, Kind.RUN_FINISHED]


@pytest.mark.parametrize("kind", [Kind.STEP_FINISHED, Kind.STEP_PROGRESS, Kind.HOST_FINISHED])
def test_what_has_happened_is_told_without_raising(kind: Kind) -> None:
    """The end of an act that cannot be recorded changes nothing about it; what comes next is stopped."""
    emit = emitter(Breaks(1))
    emit(kind, host="gpu1")
    assert emit.failure == SAYS
    with pytest.raises(RolloutFailed):
        emit(Kind.STEP_STARTED, host="gpu2")


@pytest.mark.parametrize("way", [Kind.STEP_FAILED, Kind.REVERT_STARTED])
def test_a_host_on_its_way_back_is_not_stopped(way: Kind) -> None:
    """What failed or is taken back goes on without a journal, another host does not."""
    emit = emitter(Breaks(1))
    emit(way, host="gpu1")
    emit(Kind.STEP_STARTED, host="gpu1")
    with pytest.raises(RolloutFailed):
        emit(Kind.STEP_STARTED, host="gpu2")


def test_the_first_failure_is_the_one_that_is_told() -> None:
    """It names the file, so that somebody knows where to free space; secrets stay out of it."""
    error = OSError(errno.ENOSPC, "No space left on device", "/state/events.jsonl")
    emit = emitter(Breaks(1, error), Breaks(2, OSError(errno.EIO, "Input/output error")))
    for _ in range(3):
        emit(Kind.STEP_PROGRESS)
    assert emit.failure == "the journal cannot be written: No space left on device (/state/events.jsonl)"


@pytest.mark.parametrize("order", [1, -1])
def test_one_of_two_journals_goes_on(order: int) -> None:
    """Where the journal fails and ``--events`` does not, or the other way round, the one that works tells it all."""
    broken, works = Breaks(2), Breaks(99)
    emit = emitter(*[broken, works][::order])
    emit(Kind.RUN_STARTED)
    emit(Kind.STEP_FINISHED, host="gpu1")
    with pytest.raises(RolloutFailed):
        emit(Kind.STEP_STARTED, host="gpu1")
    emit(Kind.REVERT_STARTED, host="gpu1")
    assert [event.kind for event in works.kept] == [
        Kind.RUN_STARTED, Kind.STEP_FINISHED, Kind.STEP_STARTED, Kind.REVERT_STARTED
    ]  # fmt: skip
    assert broken.asked == 2, "nothing is put behind a hole"


def test_on_its_reserve_a_journal_goes_on() -> None:
    """One that wrote the record all the same gets those behind it, while the rollout stops."""
    journal = Breaks(1, OnReserve(errno.ENOSPC, "No space left on device"), once=True)
    emit = emitter(journal)
    emit(Kind.STEP_FINISHED, host="gpu1")
    with pytest.raises(RolloutFailed):
        emit(Kind.STEP_STARTED, host="gpu1")
    assert [event.kind for event in journal.kept] == [Kind.STEP_STARTED]


THREE = ("gpu1", "gpu2", "gpu3")


def broken_version(*names: str) -> World:
    world = settled(*names)
    spoil(world, 2, Quality.NO_VARIABLES)
    return world


SCENES: dict[str, tuple[Callable[..., World], DesiredService, dict[str, Any]]] = {
    "first deploy": (new, V1, {}),
    "reload": (settled, V2, {}),
    "replacement": (settled, NEW_IMAGE, {}),
    "a version that is taken back": (broken_version, V2, {}),
    "failures that may be many": (settled, V2, {"max_fail_percentage": 100}),
    "everything is taken back": (settled, V2, {"on_failure": OnFailure.REVERT_ALL}),
    "what is there stays": (settled, V2, {"on_failure": OnFailure.STOP}),
}


def begun_after(events: Sequence[Event], at: int) -> set[str]:
    """Hosts whose first step of a play was done behind the ``at``-th event; one that was announced may be refused."""
    begun, late = set[str](), set[str]()
    for number, event in enumerate(events, 1):
        if event.kind is Kind.PLAY_STARTED:
            begun = set()
        if event.kind is Kind.STEP_FINISHED and number > at and event.host not in begun:
            late.add(event.host)
        if event.kind is Kind.REVERT_STARTED or (event.kind is Kind.STEP_STARTED and number <= at):
            begun.add(event.host)
    return late


def judged(run: Run, world: World, before: Any, wanted: DesiredService, at: int) -> list[str]:
    """What is wrong with a run whose journal broke at its ``at``-th record."""
    found = untrue(world, before, wanted, run)
    if late := begun_after(run.events, at):
        found.append(f"begun after the failure: {late}")
    early = not any(event.kind is Kind.PLAY_STARTED for event in run.events)
    if run.code not in ({0, 5} if early else {0, 3, 4}):
        found.append(f"exit {run.code}")
    own = any(event.kind is Kind.ROLLOUT_STOPPED for event in run.events)
    if run.code and not own and SAYS not in run.last_line:
        found.append("the last line does not say what is the matter")
    return found


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("scene", "which"),
    [
        *((scene, "the journal") for scene in SCENES), ("reload", "--events"),
        *((scene, "both") for scene in ("a version that is taken back", "everything is taken back")),
        *((scene, "on its reserve") for scene in ("replacement", "a version that is taken back")),
    ],
)  # fmt: skip
def test_a_journal_that_breaks_at_any_record_stops_the_run_safely(scene: str, which: str) -> None:
    """Whichever record cannot be written: no host is begun after it, all end safe and truly told, and it converges."""
    start, wanted, keys = SCENES[scene]
    spoiled = scene == "a version that is taken back"
    count = len(deploy(start(*THREE), wanted, run_plays=plays(THREE, **keys)).events)
    assert count > (20 if spoiled else 60)
    wrong = []
    for at in range(1, count + 1):
        world = start(*THREE)
        before = world.serves_all()
        works = Breaks(999)
        sinks = {
            "the journal": [Breaks(at), works],
            "--events": [works, Breaks(at)],
            "both": [Breaks(at), Breaks(at + 3)],
            "on its reserve": [Breaks(at, OnReserve(errno.ENOSPC, "No space left on device"), once=True), works],
        }[which]
        run = deploy(world, wanted, sinks=sinks, run_plays=plays(THREE, **keys))
        found = judged(run, world, before, wanted, at)
        if which != "both" and works.kept != run.events:
            found.append("the sink that works was not told everything")
        again = deploy(world, wanted)
        found += converged(world, V1 if spoiled else wanted)
        if found or again.code != (3 if spoiled else 0):
            wrong.append((at, run.events[at - 1].kind.value, run.code, run.last_line, again.last_line, found))
    assert wrong == []


@pytest.mark.simulation
def test_a_journal_that_breaks_between_waves_takes_everything_back_where_that_is_wished() -> None:
    """With ``revert_all`` the hosts that were switched over go back, also where no host was at work: exit 3."""
    world = settled(*THREE)
    before = world.serves_all()

    def full(event: Event) -> None:
        if event.kind is Kind.WAVE_STARTED and event.data["wave"] == 2:
            raise FULL

    run = deploy(world, V2, sinks=[full], run_plays=plays(THREE, on_failure=OnFailure.REVERT_ALL))
    assert run.outcome is not None
    assert [item.state.value for item in run.outcome.hosts.values()] == ["reverted", "skipped", "skipped"]
    assert (run.code, world.serves_all() == before) == (3, True)
    assert SAYS in run.last_line
    assert untrue(world, before, V2, run) == []


@pytest.mark.simulation
@pytest.mark.parametrize("task", ["drain", "activate", "verify", "undrain"])
def test_the_last_host_of_all_says_what_is_the_matter(task: str) -> None:
    """Where nothing is left to do behind it, the last line still says that it was the journal."""
    world = settled("gpu1")
    before = world.serves_all()

    def full(event: Event) -> None:
        if event.kind is Kind.STEP_STARTED and event.task == task:
            raise FULL

    run = deploy(world, V2, sinks=[full], run_plays=plays(("gpu1",))[:-1])
    assert run.code == 3
    assert run.last_line.startswith(f"FAILED: {SAYS}; every host")
    assert untrue(world, before, V2, run) == []


@pytest.mark.simulation
def test_threads_that_wait_for_the_journal_do_not_begin_without_it() -> None:
    """Hosts that were about to begin side by side when it broke begin nothing either."""
    names = tuple(f"gpu{number}" for number in range(1, 9))
    for at in range(20, 40, 3):
        world = settled(*names)
        before = world.serves_all()
        journal = Breaks(at)
        run = deploy(world, V2, sinks=[journal], threads=True)
        done = {(event.host, event.task) for event in run.events if event.kind is Kind.STEP_FINISHED}
        known = {(event.host, event.task) for event in journal.kept if event.kind is Kind.STEP_STARTED}
        unknown = {step for step in done - known if step not in returned(run)}
        assert unknown == set()
        assert untrue(world, before, V2, run) == []
        assert run.code == 3


def returned(run: Run) -> set[tuple[str, str]]:
    """Steps of hosts on their way back."""
    back, found = set[str](), set[tuple[str, str]]()
    for event in run.events:
        if event.kind is Kind.REVERT_STARTED:
            back.add(event.host)
        if event.host in back:
            found.add((event.host, event.task))
    return found
