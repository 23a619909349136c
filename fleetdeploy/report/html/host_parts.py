"""One host on the page: its line in the table, and all that was told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from fleetdeploy.domain.outcome import FAILURES
from fleetdeploy.report.html.timeline import how
from fleetdeploy.report.html.words import host_id
from fleetdeploy.report.story.parts import HostStory, Span
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.standing import UNFINISHED, standing
from fleetdeploy.report.times import clock, lasted

_SAID = 50
_DETAIL = 40
_OPEN = 30
"""Of more hosts in trouble only the first so many are shown unfolded."""


@dataclass(frozen=True)
class Step:
    """One act as a line of a table. ``how`` is ``failed``, ``stopped``, ``open`` or empty."""

    at: str
    after: str
    took: str
    task: str
    summary: str
    where: str
    how: str
    why: str = ""
    undo: bool = False
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """Something that failed. ``detail`` are the last lines of what the host said, ``more`` how many are left out."""

    at: str
    task: str
    message: str
    hint: str
    detail: str
    more: int


@dataclass(frozen=True)
class Remark:
    """A watchdog, a debt or a lost lease."""

    at: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class HostPart:
    """``state`` is what :func:`standing` says; ``planned`` which part of the plan is its, from 1."""

    id: str
    name: str
    state: str
    reason: str
    hint: str
    mixed: bool
    began: str
    took: str
    steps_ok: int
    steps_changed: int
    steps: tuple[Step, ...]
    failures: tuple[Failure, ...]
    remarks: tuple[Remark, ...]
    planned: int
    taken_back: bool = False
    unfolded: bool = False

    @property
    def troubled(self) -> bool:
        own = self.state in FAILURES and not self.taken_back
        return own or self.state == UNFINISHED or bool(self.failures)

    @property
    def said_above(self) -> frozenset[str]:
        """The first lines of its failures, which stand above its steps."""
        return frozenset(item.message.partition("\n")[0] for item in self.failures)

    @property
    def told_below(self) -> bool:
        """Whether one of its failures says the reason, and what to do about it: it does not stand there twice."""
        return any(item.message.startswith(self.reason) and self.hint in {"", item.hint} for item in self.failures)

    @property
    def told(self) -> bool:
        """Whether there is more to say of it than its line in the table does."""
        return bool(self.steps or self.failures or self.remarks or self.reason or self.planned)


def host_parts(story: RunStory) -> tuple[HostPart, ...]:
    """Every host of the run, in its order."""
    planned = {name: number for number, part in enumerate(story.plan, start=1) for name in part.hosts}
    remarks: dict[str, list[Remark]] = {}
    for note in story.notes:
        if note.host and note.kind != "rollout_stopped":
            remarks.setdefault(note.host, []).append(Remark(clock(note.time_s), note.message, note.hint))
    parts = tuple(
        _part(host, at, story, tuple(remarks.get(name, ())), planned)
        for at, (name, host) in enumerate(story.hosts.items())
    )
    unfolded = {part.name for part in [part for part in parts if part.troubled][:_OPEN]}
    return tuple(replace(part, unfolded=part.name in unfolded) for part in parts)


def _part(
    host: HostStory, at: int, story: RunStory, remarks: tuple[Remark, ...], planned: Mapping[str, int]
) -> HostPart:
    start_s = story.started_s or 0.0
    ends = [span.ended_s for span in host.spans if span.ended_s is not None]
    began = "" if host.first_s is None else lasted(host.first_s - start_s)
    took = lasted(sum(_took_s(span) or 0.0 for span in host.spans)) if ends else ""
    return HostPart(
        host_id(at), host.name, standing(host, story), host.reason, host.hint, host.mixed, began, took,
        host.steps_ok, host.steps_changed, tuple(_steps(host, story)), tuple(_failures(host)), remarks,
        planned.get(host.name, 0), host.taken_back,
    )  # fmt: skip


def _took_s(span: Span) -> float | None:
    return None if span.ended_s is None else span.ended_s - span.started_s


def _steps(host: HostStory, story: RunStory) -> Iterator[Step]:
    waves = {play.name: play.of for play in story.plays}
    several = len({span.service for span in host.spans if span.service}) > 1
    for span in host.spans:
        of, seconds = waves.get(span.play, 0), _took_s(span)
        where = f"{span.play}, wave {span.wave} of {of}" if of > 1 else span.play
        summary = f"{span.service}: {span.summary}" if several and span.service else span.summary
        yield Step(
            clock(span.started_s), lasted(span.started_s - (story.started_s or 0.0)),
            "" if seconds is None else lasted(seconds), span.task, summary, where, how(span),
            span.failed.partition("\n")[0], span.undo, tuple(span.said[-_SAID:]),
        )  # fmt: skip


def _failures(host: HostStory) -> Iterator[Failure]:
    for trouble in host.troubles:
        lines = trouble.detail.splitlines()
        task = f"undo {trouble.task}" if trouble.undo else trouble.task
        detail, more = "\n".join(lines[-_DETAIL:]), max(len(lines) - _DETAIL, 0)
        yield Failure(clock(trouble.time_s), task, trouble.message, trouble.hint, detail, more)
