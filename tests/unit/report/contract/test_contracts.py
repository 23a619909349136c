"""What is printed for programs is what its schemas say: every line of a run, its result, the status."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rollout.fleets import NEW_IMAGE, V1, V2, killed, new, settled, spoil
from simulation import contract
from simulation.contract import SCHEMAS, hold_events
from simulation.controller import Run, deploy, plays
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble

from fleetdeploy.domain.events import FORMAT, Event, Kind
from fleetdeploy.domain.playbook import OnFailure, Quantity
from fleetdeploy.report.contract.event_schema import event_schema
from fleetdeploy.report.contract.kinds import KINDS, announces, is_written
from fleetdeploy.report.contract.shape import NEVER
from fleetdeploy.rollout.debt.ledger import Debts
from fleetdeploy.rollout.emitter import ANNOUNCING
from fleetdeploy.rollout.journal.record import line_of

THREE = ("gpu1", "gpu2", "gpu3")
DRAFTS = (jsonschema.Draft7Validator, jsonschema.Draft202012Validator)
Scene = Callable[[Path], Iterator[Run]]


def first_and_again(_: Path) -> Iterator[Run]:
    world = new(*THREE)
    yield deploy(world, V1)
    yield deploy(world, V1)


def updates(_: Path) -> Iterator[Run]:
    yield deploy(settled(*THREE), V2)
    yield deploy(settled(*THREE), NEW_IMAGE)
    yield deploy(settled(*THREE), V2, run_plays=plays(THREE, soak_s=60.0, serial=(Quantity(1),)))


def failures(_: Path) -> Iterator[Run]:
    for quality in set(Quality) - {Quality.GOOD}:
        for on_failure in OnFailure:
            world = settled(*THREE)
            spoil(world, 2, quality)
            yield deploy(world, V2, run_plays=plays(THREE, on_failure=on_failure))


def failures_late(_: Path) -> Iterator[Run]:
    """The last host fails, so that the finished ones go back."""
    for wanted in (V2, NEW_IMAGE):
        for at in range(1, len(deploy(settled(*THREE), wanted).calls), 7):
            trouble, bound = Trouble("refuse", at), plays(THREE, on_failure=OnFailure.REVERT_ALL)
            yield deploy(settled(*THREE), wanted, trouble=trouble, run_plays=bound)


def watchdogs(_: Path) -> Iterator[Run]:
    watched = partial(plays, THREE, confirm_timeout_s=30.0)
    yield deploy(settled(*THREE), V2, run_plays=watched())
    world = settled(*THREE)
    spoil(world, 2, Quality.WRONG)
    yield deploy(world, V2, run_plays=watched())
    for at in (40, 50, 60):
        world = settled(*THREE)
        try:
            deploy(world, V2, trouble=Trouble("kill", at), run_plays=watched())
        except Killed:
            world.clock.skip(1000)
            world.tick()
            yield deploy(world, V2, run_plays=watched())


def debts(place: Path) -> Iterator[Run]:
    world, owed = settled(*THREE), Debts(place / "debts")
    world.hosts["gpu2"].reachable = False
    bound = plays(THREE, max_unavailable=Quantity(2))
    yield deploy(world, V2, debts=owed, allow_unreachable=True, run_plays=bound)
    world.hosts["gpu2"].reachable = True
    yield deploy(world, V2, debts=owed)


def leases(_: Path) -> Iterator[Run]:
    for at in range(1, 60, 4):
        yield deploy(settled(*THREE), V2, trouble=Trouble("takeover", at))
    world = settled(*THREE)
    killed(world, V2, at=30)
    yield deploy(world, V2, owner="you@there")


def interrupted(_: Path) -> Iterator[Run]:
    for kind in ("signal", "bug", "drop", "lose"):
        for at in range(1, 22, 4):
            yield deploy(settled(*THREE), V2, trouble=Trouble(kind, at, count="acts"))


SCENES = (first_and_again, updates, failures, failures_late, watchdogs, debts, leases, interrupted)
ELSEWHERE = {
    Kind.RUN_STARTED,
    Kind.PLAN_MADE,
    Kind.RUN_FINISHED,
    Kind.TRAFFIC_SAMPLED,
    Kind.NOTIFIED,
    Kind.COPY_PROGRESSED,
}
"""Told by commands, whose tests hold their journals; by the sampler; and only shown."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Run]]:
    """Every run of every scene; none of them comes about whose events the schema does not know."""
    return {scene.__name__: list(scene(tmp_path_factory.mktemp("scene"))) for scene in SCENES}


@pytest.mark.simulation
@pytest.mark.parametrize("scene", [scene.__name__ for scene in SCENES])
def test_every_line_is_as_the_schema_says(scene: str, runs: dict[str, list[Run]]) -> None:
    """Whatever happens in a run, its events have what their kinds tell and nothing else, and so has its journal."""
    assert runs[scene]
    for run in runs[scene]:
        hold_events(run.events)
    prev = ""
    for number, event in enumerate((event for event in runs[scene][-1].events if is_written(event.kind)), 1):
        line, prev = line_of(event, n=number, prev=prev)
        assert contract.wrong("event", json.loads(line)) == [], line


@pytest.mark.simulation
def test_the_scenes_have_every_kind_of_event(runs: dict[str, list[Run]]) -> None:
    """No kind goes unseen: what is said of it in the schema is held by a run that tells it."""
    seen = {event.kind for scene in runs.values() for run in scene for event in run.events}
    assert set(Kind) - seen == ELSEWHERE


@pytest.mark.parametrize(
    "event",
    [
        Event(Kind.TRAFFIC_SAMPLED, 1.0, "r", data={"pools": {"a": {"requests": 1, "errors": 0, "seconds": 5.0}}}),
        Event(Kind.TRAFFIC_SAMPLED, 1.0, "r",
              data={"pools": {"a": {"requests": 1, "errors": 0, "seconds": 5.0, "answer_s": 0.1}}}),
        Event(Kind.TRAFFIC_SAMPLED, 1.0, "r",
              data={"pools": {}, "services": {"a": {"requests": 1, "errors": 0, "seconds": 5.0, "answer_s": 0.1}}}),
        Event(Kind.PLAN_MADE, 1.0, "r", data={"changed": [], "expected_s": None}),
        Event(Kind.RUN_FINISHED, 1.0, "r", message="REFUSED", data={"exit_code": 5}),
    ],
)  # fmt: skip
def test_events_of_commands(event: Event) -> None:
    """Lines that no simulated run tells are as the schema says too."""
    hold_events([event])


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"hosts": 3, "out": []}},
        {"data": {"hosts": "3", "out": [], "floor": 2}},
        {"data": {"hosts": 3, "out": [], "floor": 2, "more": 1}},
        {"host": "gpu1"},
        {"message": "something"},
        {"kind": "capacity_change"},
        {"n": 0},
        {"prev": "x"},
    ],
    ids=str,
)
def test_what_is_not_said_is_wrong_to_write(change: dict[str, object]) -> None:
    """For writers a key that is missing, of another type, or not known is an error."""
    event = Event(Kind.CAPACITY_CHANGED, 1.0, "r", data={"hosts": 3, "out": [], "floor": 2})
    line = json.loads(line_of(event, n=1, prev="")[0])
    assert contract.wrong("event", line) == []
    assert contract.wrong("event", {**line, **change})


@pytest.mark.parametrize("name", SCHEMAS)
def test_readers_are_ready_for_more(name: str) -> None:
    """The shipped schema refuses no key that it does not know, anywhere; a later version may add some."""

    def refusals(value: object) -> list[object]:
        if isinstance(value, dict):
            here = [value] if any(item is False for item in value.values()) else []
            return here + [found for item in value.values() for found in refusals(item)]
        return [found for item in value for found in refusals(item)] if isinstance(value, list) else []

    assert refusals(SCHEMAS[name]()) == []
    assert refusals(SCHEMAS[name](closed=True)) != []


@cache
def shipped() -> tuple[Any, ...]:
    return tuple(draft(event_schema()) for draft in DRAFTS)


def test_a_line_of_tomorrow_is_read() -> None:
    """A kind that is not known, and more keys in one that is, are valid to a reader; what misses a key is not."""
    line = json.loads(
        line_of(Event(Kind.SOAK_STARTED, 1.0, "r", message="5 s", data={"seconds": 5.0}), n=1, prev="")[0]
    )
    for validator in shipped():
        assert validator.is_valid(line)
        assert validator.is_valid({**line, "data": {"seconds": 5.0, "since": 1}, "host": "gpu1", "zone": "a"})
        assert validator.is_valid({**line, "kind": "from_tomorrow", "data": {}})
        assert not validator.is_valid({**line, "data": {}})
        assert not validator.is_valid({key: value for key, value in line.items() if key != "run"})


def test_every_kind_is_in_the_table() -> None:
    """A kind that is added is described; those that stop the act when they cannot be written come before it."""
    assert list(KINDS) == list(Kind)
    assert all(shape.when.endswith(".") for shape in KINDS.values())
    assert {kind for kind in Kind if announces(kind)} == ANNOUNCING
    assert all(KINDS[kind].before for kind in ANNOUNCING)
    assert all(KINDS[kind].host != NEVER for kind in Kind if KINDS[kind].task != NEVER)


def test_the_format_is_that_of_every_run() -> None:
    """The version stands in the first event of a run, and the schema knows that one alone."""
    event = Event(Kind.RUN_STARTED, 1.0, "r", message="x", data={"format": FORMAT, "hosts": []})
    line = json.loads(line_of(event, n=1, prev="")[0])
    assert contract.wrong("event", line) == []
    assert contract.wrong("event", {**line, "data": {"format": FORMAT + 1, "hosts": []}})
