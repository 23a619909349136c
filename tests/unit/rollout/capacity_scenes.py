"""Plays on hosts that fail in every way, with threads that take turns, and what is true of service meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.errors import FleetdeployError, RolloutFailed
from fleetdeploy.planning.waves import Floor
from fleetdeploy.rollout.capacity.capacity import Capacity

from .turns import Condition, Turns


class End(Enum):
    """How a host's part goes."""

    SERVES = "taken out, changed, back in service"
    STAYS_OUT = "taken out, and does not serve afterwards"
    LOST = "not reached when its turn comes"
    UNTOUCHED = "nothing is done that changes what it serves"


class StoppedError(FleetdeployError):
    """The rollout was stopped while a host waited."""


@dataclass(frozen=True)
class Scene:
    """A play: its hosts and what they are before it, its rules, and how each busy host's part will go."""

    domains: Mapping[str, str]
    down: frozenset[str]
    new: frozenset[str]
    waves: tuple[tuple[str, ...], ...]
    ends: Mapping[str, End]
    most: int
    least: Quantity
    forks: int
    stop_after: int = 99

    @property
    def busy(self) -> tuple[str, ...]:
        return tuple(name for wave in self.waves for name in wave)


@dataclass
class Truth:
    """Who serves, by what happens to hosts and not by what :class:`Capacity` counts."""

    scene: Scene
    away: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    given_up: list[str] = field(default_factory=list)
    gave_up: bool = False
    settled: int = 0

    def broken_by(self, host: str) -> str:
        """What taking ``host`` out now would break."""
        if host in self.away | self.new:
            return ""
        away = self.away | {host}
        if len(away - self.new) > self.scene.most:
            return f"{sorted(away - self.new)} are out at once, {self.scene.most} may be"
        members = {name for name, domain in self.scene.domains.items() if domain == self.scene.domains[host]}
        left, least = len(members - away - self.new), self.scene.least
        if least.amount and left * 100 < least.amount * (len(members) if least.percent else 100):
            return f"{left} of {len(members)} are left in {self.scene.domains[host]!r}, {least} have to be"
        return ""


def played(scene: Scene, choose: Callable[[list[int]], int]) -> tuple[Truth, Capacity]:
    """The play from its first wave to its last, with ``forks`` threads in a wave; no step of it may break a rule."""
    truth = Truth(scene, set(scene.down), set(scene.new))
    capacity = Capacity(
        out=scene.down,
        uncounted=scene.new,
        max_unavailable=scene.most,
        coming_back=scene.busy,
        floor=Floor(tuple(scene.domains), scene.least, {name: d for name, d in scene.domains.items() if d}),
    )
    for wave in scene.waves:
        turns = Turns(choose)  # type: ignore[arg-type]
        capacity._changed = nullcontext()  # type: ignore[assignment]
        capacity.begin(wave)
        capacity._changed = Condition(turns)  # type: ignore[assignment]
        hosts = iter(wave)
        turns.run([partial(work, hosts, scene, truth, capacity, turns)] * min(scene.forks, len(wave)))
        for host in truth.given_up:
            assert truth.broken_by(host), f"{host} was given up, and could have been taken out after all"
        truth.given_up.clear()
    capacity._changed = nullcontext()  # type: ignore[assignment]
    return truth, capacity


def work(hosts: Iterator[str], scene: Scene, truth: Truth, capacity: Capacity, turns: Turns) -> None:
    """One thread of a wave: host after host."""
    for host in hosts:
        part(host, scene.ends[host], truth, capacity, turns)
        truth.settled += 1


def part(host: str, end: End, truth: Truth, capacity: Capacity, turns: Turns) -> None:
    if end is End.LOST:
        capacity.settle(host, serves=False)
        truth.away.add(host)
        return
    if end is End.UNTOUCHED or not taken(host, truth, capacity):
        capacity.settle(host, serves=None)
        return
    broken = truth.broken_by(host)
    assert not broken, broken
    truth.away.add(host)
    # A second task of the same host asks again, and gets what it has already.
    capacity.take(host, never)
    turns.switch()
    if end is End.SERVES:
        truth.away.discard(host)
        truth.new.discard(host)
    capacity.settle(host, serves=end is End.SERVES)


def taken(host: str, truth: Truth, capacity: Capacity) -> bool:
    def check() -> None:
        if truth.settled >= truth.scene.stop_after:
            raise StoppedError("stopped")

    try:
        capacity.take(host, check)
    except RolloutFailed:
        truth.given_up.append(host)
        truth.gave_up = True
        return False
    except StoppedError:
        return False
    return True


def never() -> None:
    raise AssertionError("a host that is out has to wait to be taken out")
