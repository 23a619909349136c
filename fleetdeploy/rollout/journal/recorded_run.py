"""What a run's journal tells: how far the run came, and what it did on each host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from fleetdeploy.domain.events import Kind
from fleetdeploy.errors import InputError, Problem
from fleetdeploy.rollout.journal.reading import Records
from fleetdeploy.rollout.journal.record import JOURNAL, Record


class RunState(str, Enum):
    """How far a run came. ``unfinished`` is also one that goes on; its hosts are locked then.

    ``unknown`` is one whose journal is damaged before anything tells of its end.
    """

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RecordedStep:
    """One act on a host. ``n`` is the record that announced it; ``play`` and ``wave`` are those it was in, "" and 0
    where none was begun. Times are Unix time; ``ended_s`` is None while no record tells of its end. ``failed`` says why
    it failed.
    """

    n: int
    task: str
    summary: str
    service: str = ""
    play: str = ""
    wave: int = 0
    undo: bool = False
    started_s: float = 0.0
    ended_s: float | None = None
    failed: str = ""


@dataclass(frozen=True)
class RecordedHost:
    """One host's part. ``finished`` is the last step that went well, ``failed`` the last that did not, ``begun`` the
    one that no record tells the end of: it may have been done, in part or not at all. ``state`` is the last outcome's,
    as :class:`HostState` has it, "" without one; ``reason`` what was told about it. ``returning`` is whether it was
    being taken back.
    """

    name: str
    finished: RecordedStep | None = None
    begun: RecordedStep | None = None
    failed: RecordedStep | None = None
    state: str = ""
    reason: str = ""
    returning: bool = False
    first_s: float | None = None
    last_s: float | None = None


@dataclass(frozen=True)
class RecordedRun:
    """One run, by the records of its journal that are what was written: the first ``records`` of them.

    ``started`` is what the run told of itself when it began, ``command`` its command line. ``exit_code`` and
    ``last_line`` are those of its end, ``refusal`` all that was told where an error ended it, ``ended_s`` the time of
    the last record. ``torn`` says that its last line was cut off; ``damage`` tells the first record that is not what
    was written, or why there is none. ``plays`` are the names of the plays begun; ``kinds`` the kinds of event that
    only a newer version knows. ``changing`` are the hosts that it planned to change, None where it made no plan;
    ``releases`` those that it was to bring, the hash of their content by host and service; ``activated`` is whether it
    switched any host over.
    """

    id: str
    path: Path
    records: int = 0
    state: RunState = RunState.UNFINISHED
    exit_code: int | None = None
    last_line: str = ""
    refusal: str = ""
    command: str = ""
    started: Mapping[str, object] = field(default_factory=dict)
    started_s: float | None = None
    ended_s: float | None = None
    hosts: Mapping[str, RecordedHost] = field(default_factory=dict)
    plays: tuple[str, ...] = ()
    changing: tuple[str, ...] | None = None
    releases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    activated: bool = False
    kinds: frozenset[str] = frozenset()
    torn: bool = False
    damage: Problem | None = None

    @classmethod
    def read(cls, directory: Path) -> RecordedRun:
        """The run with this directory. Raises InputError where there is no journal that can be read."""
        records = Records(directory / JOURNAL, run=directory.name)
        story = _Story()
        for record in records:
            story.tell(record)
        lost = records.damage is not None and story.state is not RunState.FINISHED
        return cls(
            id=directory.name, path=records.path, records=records.count, torn=records.torn, damage=records.damage,
            state=RunState.UNKNOWN if lost else story.state, exit_code=story.exit_code, last_line=story.last_line,
            refusal=story.refusal, command=story.command, started=story.started, started_s=story.first_s,
            ended_s=story.last_s, hosts=story.hosts, plays=tuple(story.plays), changing=story.changing,
            releases=story.releases, activated=story.activated, kinds=frozenset(story.unknown),
        )  # fmt: skip

    @property
    def is_blank(self) -> bool:
        """Whether it has no record at all: it ended before it began anything, or has only just been called."""
        return not self.records and self.damage is None

    @property
    def resumes(self) -> tuple[str, ...]:
        """The runs that it carries on, newest first."""
        listed = self.started.get("resumes")
        return tuple(map(str, listed)) if isinstance(listed, list) else ()

    def check_whole(self) -> None:
        """Raises InputError where a record is damaged: what came behind it is not known."""
        if self.damage is not None:
            raise InputError(problems=[self.damage])


class _Story:
    """A run, record by record. Data of another type than ours is as if it were not there."""

    def __init__(self) -> None:
        self.state = RunState.UNFINISHED
        self.exit_code: int | None = None
        self.last_line, self.refusal, self.command = "", "", ""
        self.started: Mapping[str, object] = {}
        self.first_s: float | None = None
        self.last_s: float | None = None
        self.hosts: dict[str, RecordedHost] = {}
        self.plays: list[str] = []
        self.changing: tuple[str, ...] | None = None
        self.releases: Mapping[str, Mapping[str, str]] = {}
        self.activated = False
        self.wave = 0
        self.unknown: set[str] = set()

    def tell(self, record: Record) -> None:
        if self.first_s is None:
            self.first_s = record.time_s
        self.last_s = record.time_s
        if record.host:
            host = self.hosts.get(record.host) or RecordedHost(record.host, first_s=record.time_s)
            told = self._host(host, record)
            first_s = record.time_s if told.first_s is None else told.first_s
            self.hosts[record.host] = replace(told, first_s=first_s, last_s=record.time_s)
        else:
            self._run(record)
        if record.kind not in set(Kind):
            self.unknown.add(record.kind)

    def _run(self, record: Record) -> None:
        if record.kind == Kind.RUN_STARTED:
            self.command, self.started = record.message, record.data
            self.hosts = {name: RecordedHost(name) for name in _names(record.data.get("hosts")) or ()}
        elif record.kind == Kind.PLAN_MADE:
            self.changing = _names(record.data.get("changed"))
            self.releases = _releases(record.data.get("releases"))
        elif record.kind == Kind.PLAY_STARTED:
            self.plays.append(record.message)
            self.wave = 0
        elif record.kind == Kind.WAVE_STARTED:
            self.wave = _number(record.data.get("wave")) or 0
        elif record.kind == Kind.RUN_FINISHED:
            self.state = RunState.FINISHED
            self.exit_code, self.last_line = _number(record.data.get("exit_code")), record.message
            self.refusal = str(record.data.get("refusal", record.message))

    def _host(self, host: RecordedHost, record: Record) -> RecordedHost:
        if record.kind == Kind.STEP_STARTED:
            return replace(host, begun=self._step(record))
        if record.kind in {Kind.STEP_FINISHED, Kind.STEP_FAILED}:
            # One act at a time on a host; a failure between two acts is told without a step that was begun.
            begun = host.begun if host.begun and host.begun.task == record.task else None
            left = None if begun else host.begun
            step = begun or replace(self._step(record), summary="")
            if record.kind == Kind.STEP_FINISHED:
                self.activated = self.activated or (step.task == "activate" and not step.undo)
                return replace(host, finished=replace(step, ended_s=record.time_s), begun=left)
            return replace(host, failed=replace(step, ended_s=record.time_s, failed=record.message), begun=left)
        if record.kind == Kind.REVERT_STARTED:
            return replace(host, returning=True)
        if record.kind == Kind.HOST_FINISHED:
            state = record.data.get("state")
            return replace(host, state=state if isinstance(state, str) else "", reason=record.message, returning=False)
        return host

    def _step(self, record: Record) -> RecordedStep:
        service = record.data.get("service", "")
        return RecordedStep(
            n=record.n, task=record.task, summary=record.message, started_s=record.time_s,
            service=service if isinstance(service, str) else "", undo=record.data.get("undo") is True,
            play=self.plays[-1] if self.plays else "", wave=self.wave,
        )  # fmt: skip


def _releases(value: object) -> dict[str, dict[str, str]]:
    hosts = value if isinstance(value, dict) else {}
    return {
        host: {service: content for service, content in services.items() if isinstance(content, str)}
        for host, services in hosts.items()
        if isinstance(services, dict)
    }


def _names(value: object) -> tuple[str, ...] | None:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else None


def _number(value: object) -> int | None:
    return value if type(value) is int else None
