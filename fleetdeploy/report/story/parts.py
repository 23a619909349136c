"""What a story is made of. Times are Unix time in seconds; None is a time that no event has told yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class Told(Protocol):
    """What is told: an event of a run that goes on, or a record of one that was. ``kind`` may be of a newer version."""

    @property
    def kind(self) -> str: ...
    @property
    def time_s(self) -> float: ...
    @property
    def run(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def data(self) -> Mapping[str, object]: ...


class Phase(str, Enum):
    """What a host is about. ``at work`` is between the first and the last step of a play, ``done`` behind the last."""

    WAITING = "waiting"
    AT_WORK = "at work"
    RETURNING = "going back"
    DONE = "done"


@dataclass
class Span:
    """One act on a host, or its undo. ``failed`` says why it failed; ``stopped`` that the run's end stopped it."""

    task: str
    summary: str
    started_s: float
    ended_s: float | None = None
    service: str = ""
    play: str = ""
    wave: int = 0
    undo: bool = False
    failed: str = ""
    stopped: bool = False
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Copy:
    """How far the copy of one version is: bytes so far and in all, and the rate of the last second in bytes/s, 0 while
    that says nothing yet.
    """

    model: str
    version: int
    done_bytes: int
    total_bytes: int
    bytes_per_s: float = 0.0

    @property
    def left_s(self) -> float | None:
        """How long it goes on at this rate; None while nobody can tell."""
        return (self.total_bytes - self.done_bytes) / self.bytes_per_s if self.bytes_per_s > 0 else None


@dataclass(frozen=True)
class Trouble:
    """Something that failed on a host, between its steps or in one."""

    time_s: float
    task: str
    message: str
    hint: str = ""
    detail: str = ""
    undo: bool = False


@dataclass
class HostStory:
    """One host's part. ``state`` is its outcome so far, as :class:`HostState` has it, "" without one; ``reason`` and
    ``hint`` were told with it, at ``finished_s``. ``mixed`` hosts serve neither what they served nor what they shall,
    ``taken_back`` ones go back because another one failed; that and how many steps changed something, or did not, is
    told at the run's end. ``copy`` is what is being copied. ``looked_at`` is whether the run's look at it is over,
    ``unreachable`` that it could not be looked at.
    """

    name: str
    spans: list[Span] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    state: str = ""
    reason: str = ""
    hint: str = ""
    mixed: bool = False
    taken_back: bool = False
    steps_ok: int = 0
    steps_changed: int = 0
    finished_s: float | None = None
    phase: Phase = Phase.WAITING
    play: str = ""
    wave: int = 0
    copy: Copy | None = None
    looked_at: bool = False
    unreachable: bool = False

    @property
    def at(self) -> Span | None:
        """The act that is under way."""
        return self.spans[-1] if self.spans and self.spans[-1].ended_s is None else None

    @property
    def fails(self) -> bool:
        """Whether it goes back because an act of its own failed: its end will count as a failure."""
        own = (span for span in self.spans if span.play == self.play and not span.undo and not span.stopped)
        return self.phase is Phase.RETURNING and any(span.failed for span in own)

    @property
    def first_s(self) -> float | None:
        """When its first act began."""
        return self.spans[0].started_s if self.spans else None


@dataclass
class PlayStory:
    """One play. ``hosts`` are those with work; ``waves`` the hosts of each wave begun, ``of`` how many there are.
    ``may_be_out`` hosts may be out of service at once, ``may_fail`` may fail before it stops; None where not told.
    """

    name: str
    started_s: float
    hosts: tuple[str, ...] = ()
    waves: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    of: int = 0
    may_be_out: int | None = None
    may_fail: int | None = None
    ended_s: float | None = None
    soaks: list[tuple[float, float]] = field(default_factory=list)
    """When each soak began, and for how many seconds."""


@dataclass(frozen=True)
class CapacitySample:
    """From ``time_s`` on, ``out`` of a play's ``total`` hosts are out of service; ``floor`` have to be in service."""

    time_s: float
    play: str
    total: int
    out: tuple[str, ...]
    floor: int

    @property
    def in_service(self) -> int:
        return self.total - len(self.out)


@dataclass(frozen=True)
class TrafficSample:
    """What a balancer counted in a pool for ``seconds``, up to ``time_s``: ``requests``, ``errors`` among them, and the
    mean time of recent answers in seconds, None where it tells none. Without ``seconds`` it is since the sample before.

    With ``by_servers`` the pool is a service that has no balancer, and its servers have counted.
    """

    time_s: float
    pool: str
    requests: int
    errors: int
    answer_s: float | None = None
    seconds: float | None = None
    by_servers: bool = False


@dataclass(frozen=True)
class Note:
    """Something a reader has to know of: a debt, a watchdog that went back, a lease that was lost, a stop."""

    time_s: float
    kind: str
    host: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Planned:
    """What the plan told of ``hosts`` that change in the same way, line by line: why, and the differences."""

    hosts: tuple[str, ...]
    lines: tuple[str, ...]
