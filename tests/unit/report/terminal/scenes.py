"""Rollouts of any size as events: what hosts of the simulated fleet went through, told of many, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import zip_longest
from typing import Any

from rollout.fleets import new, settled, spoil
from simulation.controller import deploy, desired
from simulation.model_server import Quality

from fleetdeploy.domain.events import Event, Kind

RUN = "20260101T000000Z-ab12"
GIB = 1024**3
TICK_S = 0.4
"""Between two events."""
_STEPS_OF_A_COPY = 12


@cache
def _acts(scene: str) -> tuple[tuple[Event, ...], ...]:
    """What the first host of a simulated rollout goes through, play by play."""
    world = new("a", "b") if scene == "first" else settled("a", "b")
    if scene == "fails":
        spoil(world, 2, Quality.WRONG)
    plays: list[list[Event]] = []
    for event in deploy(world, desired(2)).events:
        if event.kind is Kind.PLAY_STARTED:
            plays.append([])
        if event.host == "a" and plays and event.kind is not Kind.ROLLOUT_STOPPED:
            plays[-1].extend(_slowly(event))
    return tuple(map(tuple, plays))


def _slowly(event: Event) -> Iterator[Event]:
    """The event, and the copy that it begins: 5 GiB."""
    if event.kind is not Kind.COPY_PROGRESSED:
        yield event
    if (event.kind, event.task) == (Kind.STEP_STARTED, "stage"):
        for part in range(_STEPS_OF_A_COPY):
            done, rate = 5 * GIB * part // _STEPS_OF_A_COPY, 0.0 if part == 0 else 412.0 * 1024**2
            copied = {"model": "ranker", "version": 2, "done_bytes": done, "total_bytes": 5 * GIB}
            yield replace(event, kind=Kind.COPY_PROGRESSED, message="", data={**copied, "bytes_per_s": rate})


@dataclass
class _Telling:
    """``out`` are the hosts that serve nobody at the moment."""

    names: tuple[str, ...]
    out: list[str]
    time_s: float = 1_767_225_600.0
    ended: dict[str, Event] = field(default_factory=dict)

    def event(self, kind: Kind, message: str = "", **data: Any) -> Event:
        return self._now(Event(kind, 0.0, RUN, message=message, data=data))

    def _now(self, event: Event) -> Event:
        self.time_s += TICK_S
        return replace(event, time_s=self.time_s, run=RUN)

    def side_by_side(self, hosts: Sequence[str], acts: Sequence[Event], *, at_once: int) -> Iterator[Event]:
        """Each host goes through the acts, ``at_once`` of them begun one after the other."""
        for start in range(0, len(hosts), at_once):
            batch = [[None] * late + [replace(act, host=name) for act in acts]
                     for late, name in enumerate(hosts[start : start + at_once])]  # fmt: skip
            for moment in zip_longest(*batch):
                for event in filter(None, moment):
                    yield from self._with_capacity(event)

    def _with_capacity(self, event: Event) -> Iterator[Event]:
        drains = event.task == "drain" and event.kind is Kind.STEP_STARTED
        serves = event.task == "undrain" and event.kind is Kind.STEP_FINISHED
        if drains and event.host not in self.out:
            self.out.append(event.host)
            yield self.capacity()
        yield self._now(event)
        if serves and event.host in self.out:
            self.out.remove(event.host)
            yield self.capacity()
        if event.kind is Kind.HOST_FINISHED:
            self.ended[event.host] = event

    def capacity(self) -> Event:
        return self.event(
            Kind.CAPACITY_CHANGED, hosts=len(self.names), out=list(self.out), floor=len(self.names) - _size(self.names)
        )


def _size(names: Sequence[str]) -> int:
    return max(1, len(names) // 8)


@cache
def scene(name: str, hosts: int, *, at_once: int = 20) -> tuple[Event, ...]:
    """A ``first`` deploy, an ``update``, or one that ``fails`` on a host of its second wave and is taken back there."""
    return tuple(_told(name, tuple(f"gpu{number:03}" for number in range(1, hosts + 1)), at_once))


def _told(name: str, names: tuple[str, ...], at_once: int) -> Iterator[Event]:
    telling = _Telling(names, list(names) if name == "first" else [])
    command = "fleetdeploy deploy -i inventories/prod"
    yield telling.event(Kind.RUN_STARTED, command, hosts=list(names))
    for host in names:
        yield replace(telling.event(Kind.HOST_OBSERVED), host=host)
    yield telling.event(Kind.PLAN_MADE, changed=list(names), expected_s=30.0 * len(names))
    good, bad = _acts("first" if name == "first" else "update"), _acts("fails")
    titles = ("Put every file in place", "Switch over, wave by wave", "Tidy up")
    for number, acts in enumerate(good):
        size = _size(names) if number == 1 else len(names)
        yield telling.event(
            Kind.PLAY_STARTED, titles[number], hosts=list(names), max_unavailable=_size(names), may_fail=0
        )
        if number == 1:
            yield telling.capacity()
        waves = [names[start : start + size] for start in range(0, len(names), size)]
        for at, wave in enumerate(waves, 1):
            yield telling.event(Kind.WAVE_STARTED, ", ".join(wave), wave=at, waves=len(waves), hosts=list(wave))
            if name == "fails" and (number, at) == (1, 2):
                yield from telling.side_by_side(wave[:1], bad[1], at_once=1)
                stop = telling.event(Kind.ROLLOUT_STOPPED, f"the rollout stopped after {wave[0]} failed")
                yield replace(stop, host=wave[0])
                yield _end(telling, failed=wave[0], switched=names[: names.index(wave[0])])
                return
            yield from telling.side_by_side(wave, acts, at_once=at_once)
    yield _end(telling, failed="", switched=names)


def _end(telling: _Telling, *, failed: str, switched: Sequence[str]) -> Event:
    stopped = f"the rollout stopped after {failed} failed"
    hosts = {
        name: {
            "state": "reverted" if name == failed else "changed" if name in switched else "skipped",
            "reason": telling.ended[name].message if name == failed else "" if name in switched else stopped,
            "hint": telling.ended[name].data.get("hint", "") if name == failed else "",
            "mixed": False,
            "taken_back": False,
            "steps_ok": 1,
            "steps_changed": 6 if name in switched else 2,
        }
        for name in telling.names
    }
    mixed = f"FAILED: {failed}; the fleet is mixed: {len(switched)} hosts changed; mend it, then: fleetdeploy deploy"
    last = mixed if failed else f"OK: {len(switched)} of {len(telling.names)} hosts changed"
    return telling.event(Kind.RUN_FINISHED, last, exit_code=4 if failed else 0, hosts=hosts)
