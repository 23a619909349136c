"""A run, event by event. It may be asked at any time; an old run is told again from its journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.outcome import FAILURES, HostState
from fleetdeploy.report.story.parts import (
    CapacitySample,
    Copy,
    HostStory,
    Note,
    Phase,
    Planned,
    PlayStory,
    Span,
    Told,
    TrafficSample,
    Trouble,
)

_NOTES = frozenset(
    {Kind.DEBT_MADE, Kind.DEBT_SETTLED, Kind.LEASE_LOST, Kind.WATCH_ARMED, Kind.WATCH_ENDED, Kind.ROLLOUT_STOPPED}
)
_TELLING_BYTES = 1024**2
"""Of a copy, before its rate is told."""


@dataclass
class RunStory:
    """``command`` is the command line, given ``by`` user@machine in ``directory``, ``argv`` its words, ``masked`` the
    variables whose values they do not have. ``changing`` are the hosts that need something, ``expected_s`` is how long
    runs before took for as much, None where nobody knows; ``at_least`` says that of some of it nobody does.
    ``exit_code`` and ``last_line`` are those of its end, ``refusal`` all that was said where that is more; ``again`` is
    the command that goes on from there, "" where none was told; ``now_s`` is the time of the last event. Data of
    another type than ours is as if it were not there: a journal may be of another version.
    """

    id: str = ""
    command: str = ""
    by: str = ""
    directory: str = ""
    argv: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    own: bool = False
    """Whether it is a command of a person's own, which nobody else can carry on."""
    started_s: float | None = None
    ended_s: float | None = None
    now_s: float = 0.0
    exit_code: int | None = None
    last_line: str = ""
    refusal: str = ""
    again: str = ""
    hosts: dict[str, HostStory] = field(default_factory=dict)
    changing: tuple[str, ...] = ()
    expected_s: float | None = None
    at_least: bool = False
    planned_s: float | None = None
    plan: list[Planned] = field(default_factory=list)
    plays: list[PlayStory] = field(default_factory=list)
    capacity: list[CapacitySample] = field(default_factory=list)
    traffic: list[TrafficSample] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    stopped: str = ""

    @classmethod
    def of(cls, told: Iterable[Told]) -> RunStory:
        """The whole story of a run."""
        story = cls()
        for item in told:
            story.tell(item)
        return story

    @property
    def play(self) -> PlayStory | None:
        """The play that was begun last."""
        return self.plays[-1] if self.plays else None

    @property
    def failures(self) -> tuple[str, ...]:
        """The hosts that count against the one failure budget."""
        return tuple(name for name, host in self.hosts.items() if host.state in FAILURES or host.fails)

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The hosts that have answered, or did not, when the run looked at them."""
        return tuple(name for name, host in self.hosts.items() if host.looked_at)

    @property
    def elapsed_s(self) -> float:
        """From its first event to its end, or to the last one so far."""
        end_s = self.now_s if self.ended_s is None else self.ended_s
        return 0.0 if self.started_s is None else max(0.0, end_s - self.started_s)

    def counts(self) -> dict[str, int]:
        """How many hosts ended in each state; those without an end yet are not counted."""
        found = dict.fromkeys((state.value for state in HostState), 0)
        for host in self.hosts.values():
            if host.state in found:
                found[host.state] += 1
        return found

    def tell(self, told: Told) -> None:
        """Take in what comes next. Kinds that only a newer version knows are passed over."""
        if self.started_s is None:
            self.id, self.started_s = told.run, told.time_s
        self.now_s = told.time_s
        if told.kind in _NOTES:
            hint = told.data.get("hint")
            self.notes.append(
                Note(told.time_s, Kind(told.kind).value, told.host, told.message, hint if isinstance(hint, str) else "")
            )
        if told.host and told.kind != Kind.ROLLOUT_STOPPED:
            self._of_host(self.hosts.setdefault(told.host, HostStory(told.host)), told)
        else:
            self._of_run(told)

    def _of_run(self, told: Told) -> None:
        data = told.data
        if told.kind == Kind.RUN_STARTED:
            self.command, self.by, self.directory = told.message, _text(told, "by"), _text(told, "directory")
            self.own = data.get("own") is True
            self.argv, self.masked = _names(data.get("argv")), _names(data.get("masked"))
            self.hosts = {name: HostStory(name) for name in _names(data.get("hosts"))} | self.hosts
        elif told.kind == Kind.PLAN_MADE:
            self.changing, self.planned_s = _names(data.get("changed")), told.time_s
            self.expected_s, self.at_least = _number(data.get("expected_s")), data.get("at_least") is True
            self.plan = list(_planned(data.get("plan")))
        elif told.kind == Kind.PLAY_STARTED:
            self._end_play(told.time_s)
            may_be_out, may_fail = _whole(data.get("max_unavailable")), _whole(data.get("may_fail"))
            names = _names(data.get("hosts"))
            self.plays.append(PlayStory(told.message, told.time_s, names, may_be_out=may_be_out, may_fail=may_fail))
        elif told.kind == Kind.WAVE_STARTED and self.play:
            self.play.of = _whole(data.get("waves")) or 0
            self.play.waves.append((told.time_s, _names(data.get("hosts"))))
        elif told.kind == Kind.SOAK_STARTED and self.play:
            self.play.soaks.append((told.time_s, _number(data.get("seconds")) or 0.0))
        elif told.kind == Kind.CAPACITY_CHANGED:
            self._capacity(told)
        elif told.kind == Kind.TRAFFIC_SAMPLED:
            self._traffic(told)
        elif told.kind == Kind.ROLLOUT_STOPPED:
            self.stopped = told.message
        elif told.kind == Kind.RUN_FINISHED:
            self._end_play(told.time_s)
            self.ended_s, self.last_line, self.exit_code = told.time_s, told.message, _whole(data.get("exit_code"))
            self.again, self.refusal = _text(told, "again"), _text(told, "refusal")
            self._outcomes(data.get("hosts"))

    def _end_play(self, time_s: float) -> None:
        if self.play is not None and self.play.ended_s is None:
            self.play.ended_s = time_s

    def _outcomes(self, found: object) -> None:
        """The run's own last word about every host, over all its plays."""
        for name, said in found.items() if isinstance(found, dict) else ():
            if isinstance(said, dict) and isinstance(said.get("state"), str):
                host = self.hosts.setdefault(str(name), HostStory(str(name)))
                host.state, host.mixed = said["state"], said.get("mixed") is True
                host.taken_back = said.get("taken_back") is True
                host.reason, host.hint = str(said.get("reason") or ""), str(said.get("hint") or "")
                host.steps_ok, host.steps_changed = (
                    _whole(said.get(f"steps_{what}")) or 0 for what in ("ok", "changed")
                )

    def _capacity(self, told: Told) -> None:
        total, floor = _whole(told.data.get("hosts")), _whole(told.data.get("floor"))
        if total is not None and floor is not None:
            out = _names(told.data.get("out"))
            self.capacity.append(CapacitySample(told.time_s, self.play.name if self.play else "", total, out, floor))

    def _traffic(self, told: Told) -> None:
        for key, by_servers in (("pools", False), ("services", True)):
            counted = told.data.get(key)
            for name, seen in counted.items() if isinstance(counted, dict) else ():
                if isinstance(seen, dict) and (sample := _sample(told.time_s, str(name), seen)) is not None:
                    self.traffic.append(replace(sample, by_servers=by_servers))

    def _of_host(self, host: HostStory, told: Told) -> None:
        if told.kind == Kind.STEP_STARTED:
            self._begin(host, told)
        elif told.kind == Kind.STEP_PROGRESS:
            if host.at is not None and host.at.task == told.task:
                host.at.said.append(told.message)
        elif told.kind == Kind.COPY_PROGRESSED:
            host.copy = _copy_of(told)
        elif told.kind in {Kind.STEP_FINISHED, Kind.STEP_FAILED}:
            self._end(host, told)
        elif told.kind == Kind.HOST_OBSERVED:
            host.looked_at = True
        elif told.kind == Kind.HOST_UNREACHABLE:
            host.looked_at = host.unreachable = True
            host.troubles.append(_trouble(told))
        elif told.kind == Kind.REVERT_STARTED:
            host.phase = Phase.RETURNING
        elif told.kind == Kind.HOST_FINISHED:
            host.finished_s, host.phase, host.copy = told.time_s, Phase.DONE, None
            state = _text(told, "state")
            if host.state not in FAILURES and (host.state, state) != (HostState.CHANGED.value, HostState.OK.value):
                host.state, host.reason, host.hint = state, told.message, _text(told, "hint")

    def _begin(self, host: HostStory, told: Told) -> None:
        play = self.play
        host.play, host.wave = (play.name, len(play.waves)) if play else ("", 0)
        if host.phase is not Phase.RETURNING:
            host.phase = Phase.AT_WORK
        host.copy = None
        undo, service = told.data.get("undo") is True, _text(told, "service")
        host.spans.append(
            Span(
                told.task, told.message, told.time_s, service=service, play=host.play, wave=host.wave, undo=undo
            )
        )  # fmt: skip

    def _end(self, host: HostStory, told: Told) -> None:
        at = host.at if host.at is not None and host.at.task == told.task else None
        if at is not None:
            at.ended_s = told.time_s
        host.copy = None
        if told.kind == Kind.STEP_FAILED:
            stopped = told.data.get("stopped") is True
            if at is not None:
                at.failed, at.stopped = told.message, stopped
            if not stopped:
                host.troubles.append(_trouble(told))


def _trouble(told: Told) -> Trouble:
    undo = told.data.get("undo") is True
    return Trouble(told.time_s, told.task, told.message, _text(told, "hint"), _text(told, "detail"), undo)


def _copy_of(told: Told) -> Copy | None:
    done, total, version = (_whole(told.data.get(name)) for name in ("done_bytes", "total_bytes", "version"))
    if done is None or total is None:
        return None
    rate = _number(told.data.get("bytes_per_s")) or 0.0
    # What the first kibibytes take says nothing of the rest.
    return Copy(_text(told, "model"), version or 0, done, total, rate if done >= min(_TELLING_BYTES, total) else 0.0)


def _sample(time_s: float, name: str, seen: dict[str, object]) -> TrafficSample | None:
    requests, errors = (_whole(seen.get(key)) for key in ("requests", "errors"))
    if requests is None or errors is None:
        return None
    answer_s, seconds = (_number(seen.get(key)) for key in ("answer_s", "seconds"))
    return TrafficSample(time_s, name, requests, errors, answer_s, seconds)


def _planned(value: object) -> Iterator[Planned]:
    for part in value if isinstance(value, list) else ():
        if isinstance(part, dict):
            yield Planned(_names(part.get("hosts")), _names(part.get("lines")))


def _text(told: Told, name: str) -> str:
    value = told.data.get(name)
    return value if isinstance(value, str) else ""


def _names(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
