"""Runs on the simulated fleet as a real one would have taken: their events with the times of a busy afternoon."""

from __future__ import annotations

import heapq
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from rollout.fleets import V1, V2, new, settled
from simulation.contract import hold_events
from simulation.controller import Run, deploy, plays
from simulation.model_server import Quality

from fleetdeploy.domain.events import FORMAT, Event, Kind
from fleetdeploy.domain.playbook import OnFailure, Quantity
from fleetdeploy.report import as_json

TOOK_S = {"preflight": 2.2, "stage": 41.0, "pull_image": 25.0, "drain": 4.0, "activate": 18.0, "verify": 6.5}
PLAN = [
    "  service ranking: reload, only the model configuration changed",
    "    stage ranker/2: 1.9 GiB to copy, 211 MiB linked from version 1",
    "    config/model.config",
    "      -      versions: 1",
    "      +      versions: 2",
    "    ranker: 2 is loaded next to 1 and answers, then 1 leaves",
]
COPY_BYTES = 1900 * 1024**2
COMMAND = "fleetdeploy deploy -i inventories/prod playbooks/deploy.yml"
RUN = "20260101T000020Z-5c1e"


def names(count: int) -> tuple[str, ...]:
    return tuple(f"gpu{number}" for number in range(1, count + 1))


def paced(run: Run, *, side_by_side: int = 1, traffic: bool = False) -> list[Event]:
    """The events with times: as many hosts of a wave at once as may be out, each step as long as such a step takes."""
    events = [replace(event, run=RUN) for event in run.events]
    begun_s = now_s = events[0].time_s + 4.2
    told: list[tuple[float, int, Event]] = []
    clocks: dict[str, float] = {}
    slots: list[float] = []
    out: dict[int, tuple[set[str], set[str]]] = {}
    before: set[str] = set()
    for number, event in enumerate(events):
        if event.kind in {Kind.WAVE_STARTED, Kind.PLAY_STARTED, Kind.ROLLOUT_STOPPED, Kind.LEASES_RELEASING}:
            now_s = max([now_s, *clocks.values()])
            clocks, slots = {}, [now_s] * (side_by_side if event.data.get("waves") != 1 else 10)
        if event.kind is Kind.CAPACITY_CHANGED:
            listed = set(event.data["out"])  # type: ignore[call-overload]
            out[number] = (listed - before, before - listed)
            before = listed
            moved = next(iter(sorted(out[number][0] | out[number][1])), "")
            at_s = clocks.get(moved) or (slots[0] if slots and moved else now_s)
        elif event.host:
            if event.host not in clocks:
                clocks[event.host] = max(heapq.heappop(slots), now_s) if slots else now_s
            if event.kind in {Kind.STEP_FINISHED, Kind.STEP_FAILED}:
                clocks[event.host] += TOOK_S.get(event.task, 3.0) * (1 + 0.3 * math.sin(number))
            at_s = clocks[event.host]
            if event.kind is Kind.HOST_FINISHED and slots is not None:
                heapq.heappush(slots, at_s)
        else:
            at_s = now_s
        told.append((at_s, number, event))
    found = _ended(run, _in_order(told, out), begun_s, traffic=traffic)
    hold_events(found)
    return found


def _in_order(told: list[tuple[float, int, Event]], out: dict[int, tuple[set[str], set[str]]]) -> list[Event]:
    found, now = [], set[str]()
    for time_s, number, event in sorted(told, key=lambda item: item[:2]):
        data = event.data
        if event.kind is Kind.CAPACITY_CHANGED:
            now = (now | out[number][0]) - out[number][1]
            data = {**data, "out": sorted(now)}
        found.append(replace(event, time_s=time_s, data=data))
    return found


def _ended(run: Run, events: list[Event], begun_s: float, *, traffic: bool) -> list[Event]:
    """With what the command line tells around them."""
    hosts = sorted({event.host for event in events if event.host}, key=lambda text: (len(text), text))

    def told(kind: Kind, time_s: float, message: str = "", **data: Any) -> Event:
        return Event(kind, time_s, RUN, message=message, data=data)

    end_s = events[-1].time_s + 1.5
    around = [
        told(
            Kind.RUN_STARTED, begun_s - 4.2, COMMAND, format=FORMAT, argv=shlex.split(COMMAND)[1:], hosts=hosts,
            by="ada@deploy1", directory="/srv/models",
        ),
        *(replace(event, time_s=begun_s) for event in events if event.kind is Kind.HOST_OBSERVED),
        told(
            Kind.PLAN_MADE, begun_s, changed=hosts, expected_s=round((end_s - begun_s) * 0.9),
            plan=[{"hosts": hosts, "lines": PLAN}],
        ),
    ]  # fmt: skip
    rest = [event for event in events if event.kind is not Kind.HOST_OBSERVED]
    if traffic:
        rest = sorted([*rest, *_traffic(told, begun_s, end_s)], key=lambda event: event.time_s)
    if run.outcome:
        outcome = run.outcome
        last, again = re.sub("fleetdeploy deploy$", COMMAND, outcome.last_line), COMMAND if outcome.exit_code else ""
        hosts_said = as_json.hosts(outcome)
        rest.append(told(Kind.RUN_FINISHED, end_s, last, exit_code=outcome.exit_code, hosts=hosts_said, again=again))
    return [*around, *rest]


def _traffic(told: Any, begun_s: float, end_s: float) -> list[Event]:
    samples = []
    for number in range(1, int((end_s - begun_s) / 5)):
        requests = int(5 * (900 + 200 * math.sin(number / 9)))
        seen = {
            "requests": requests,
            "errors": 3 if number == 14 else 0,
            "seconds": 5.0,
            "answer_s": 0.011 + 0.004 * (number % 7) / 7,
        }
        pools = {"ranking_rest": seen, "ranking_grpc": {"requests": requests * 2, "errors": 0, "seconds": 5.0}}
        samples.append(told(Kind.TRAFFIC_SAMPLED, begun_s + 5 * number, pools=pools))
    return samples


def _rolled(count: int, *, serial: Sequence[Quantity], out: int, **changes: Any) -> Any:
    return plays(names(count), serial=tuple(serial), max_unavailable=Quantity(out), **changes)


@cache
def first_deploy() -> tuple[Event, ...]:
    """Three new hosts."""
    return tuple(paced(deploy(new(*names(3)), V1), side_by_side=3))


@cache
def rolling(count: int = 20, out: int = 2) -> tuple[Event, ...]:
    """An update, one host first and then ever more of them, under traffic."""
    serial = (Quantity(1), Quantity(25, percent=True), Quantity(50, percent=True))
    run = deploy(settled(*names(count)), V2, run_plays=_rolled(count, serial=serial, out=out))
    return tuple(paced(run, side_by_side=out, traffic=True))


@cache
def many(copies: int = 5) -> tuple[Event, ...]:
    """The same on so many times 20 hosts: simulating them takes minutes. Each host has its twins a little later."""
    found = []
    for event in rolling():
        data = {
            key: [twin for name in value for twin in _twins(name, copies)]
            if key in {"hosts", "out", "changed"}
            else value
            for key, value in event.data.items()
            if not isinstance(value, (int, dict)) or key != "hosts"
        }
        if event.kind is Kind.CAPACITY_CHANGED:
            data |= {key: event.data[key] * copies for key in ("hosts", "floor")}  # type: ignore[operator]
        if event.kind is Kind.RUN_FINISHED:
            ended = event.data["hosts"]
            data["hosts"] = {twin: said for name, said in ended.items() for twin in _twins(name, copies)}  # type: ignore[attr-defined]
        if event.kind is Kind.PLAN_MADE:
            data["plan"] = [{"hosts": data["changed"], "lines": PLAN}]
        for number, twin in enumerate(_twins(event.host, copies) if event.host else [""]):
            found.append(replace(event, host=twin, time_s=event.time_s + 0.7 * number, data=data))
    return tuple(sorted(found, key=lambda event: (event.kind is Kind.RUN_FINISHED, event.time_s)))


def _twins(name: str, copies: int) -> list[str]:
    return [f"gpu{int(name.removeprefix('gpu')) + 20 * number}" for number in range(copies)]


@cache
def hundred() -> tuple[Event, ...]:
    """A hundred hosts, one of which answers wrongly and goes back; more may fail, and so the others go on. Simulating
    it takes a minute or two.
    """
    serial = (Quantity(1), Quantity(10, percent=True), Quantity(50, percent=True))
    world = settled(*names(100))
    world.hosts["gpu42"].quality[("ranker", 2)] = Quality.WRONG
    run = deploy(world, V2, run_plays=_rolled(100, serial=serial, out=10, max_fail_percentage=5))
    return tuple(with_copies(paced(run, side_by_side=10)))


def with_copies(events: Sequence[Event]) -> list[Event]:
    """The events, and how far each copy is, once in two seconds."""
    found, begun = list(events), dict[str, float]()
    for event in events:
        if (event.kind, event.task) == (Kind.STEP_STARTED, "stage"):
            begun[event.host] = event.time_s
        elif (event.kind, event.task) == (Kind.STEP_FINISHED, "stage"):
            start_s, took_s = begun[event.host], event.time_s - begun[event.host]
            rate = COPY_BYTES / took_s
            for past_s in range(1, int(took_s), 2):
                data = {"model": "ranker", "version": 2, "done_bytes": int(rate * past_s), "total_bytes": COPY_BYTES}
                told = Event(Kind.COPY_PROGRESSED, start_s + past_s, event.run, host=event.host, task="stage")
                found.append(replace(told, data={"service": "ranking", **data, "bytes_per_s": rate}))
    return sorted(found, key=lambda event: (event.kind is Kind.RUN_FINISHED, event.time_s))


@cache
def failing() -> tuple[Event, ...]:
    """The second of six hosts answers wrongly and goes back; the rest is not touched."""
    world = settled(*names(6))
    world.hosts["gpu2"].quality[("ranker", 2)] = Quality.WRONG
    return tuple(paced(deploy(world, V2, run_plays=_rolled(6, serial=[Quantity(1)], out=1))))


@cache
def all_back() -> tuple[Event, ...]:
    """The fourth of five hosts fails, and ``revert_all`` takes the three before it back."""
    world = settled(*names(5))
    world.hosts["gpu4"].quality[("ranker", 2)] = Quality.UNLOADABLE
    bound = _rolled(5, serial=[Quantity(1)], out=1, on_failure=OnFailure.REVERT_ALL)
    return tuple(paced(deploy(world, V2, run_plays=bound)))


@cache
def unfinished() -> tuple[Event, ...]:
    """An update of six hosts whose controller was killed while it was at the third."""
    events = rolling(6, 1)
    at = next(
        number
        for number, event in enumerate(events)
        if event.kind is Kind.STEP_STARTED and (event.host, event.task) == ("gpu3", "activate")
    )
    return events[: at + 1]
