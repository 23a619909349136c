"""The run over time: rows of hosts with a bar for each act, below the plays and waves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from fleetdeploy.domain.outcome import FAILURES
from fleetdeploy.report.html.scale import Scale
from fleetdeploy.report.html.words import host_id
from fleetdeploy.report.story.parts import HostStory, PlayStory, Span
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.times import clock, lasted
from fleetdeploy.report.wording import counted
from fleetdeploy.rollout.naming import named

ALL_NAMED = 40
"""Up to so many hosts have a row each; of more, those without trouble share a row with their wave."""
TASKS = ("preflight", "stage", "pull_image", "drain", "activate", "verify", "undrain", "prune")
"""Those that have a colour of their own."""
_ROW_PX, _LANE_PX = 22, 5
_ROOM = (("", 2.1, 3.2), ("not-on-phones", 1.1, 1.6), ("on-wide-pages", 0.75, 1.0))
"""Where a label fits into its bar, each with the percent of the axis for a character and beside them."""
_ELSEWHERE = {"not-on-phones": "on-phones", "on-wide-pages": "not-on-wide-pages"}
"""The pages on which what has such room is not shown."""


@dataclass(frozen=True)
class Bar:
    """One act. ``left`` and ``width`` are percent of the axis; ``kind`` names its colour, ``how`` how it went. ``room``
    says on which pages there is no room for the label; where there is on none, it has none.
    """

    left: float
    width: float
    kind: str
    label: str
    title: str
    undo: bool = False
    how: str = ""
    room: str = ""
    number: str = ""
    number_room: str = ""
    """Of a play: what stands in its bar where its name does not, and on which pages."""


@dataclass(frozen=True)
class Row:
    """Hosts below each other, a lane of ``lane_px`` pixels each. One of a single host has that host's ``id``."""

    label: str
    lanes: tuple[tuple[Bar, ...], ...]
    lane_px: int
    names: tuple[str, ...]
    id: str = ""
    state: str = ""

    @property
    def height_px(self) -> int:
        return self.lane_px * max(len(self.lanes), 1)


@dataclass(frozen=True)
class Timeline:
    """``plays`` and ``waves`` are bars above the rows; ``idle`` says how many hosts have none, as nothing was done.
    ``names`` are those of the plays, by their numbers, where some bar has no room for its own: on the pages that
    ``names_room`` says.
    """

    plays: tuple[Bar, ...]
    names: tuple[str, ...]
    names_room: str
    waves: tuple[Bar, ...]
    rows: tuple[Row, ...]
    idle: str
    kinds: tuple[str, ...]


def timeline(story: RunStory, scale: Scale) -> Timeline:
    """Every host that something was done on, or that failed."""
    shown = {name: host for name, host in story.hosts.items() if host.spans or host.state in FAILURES}
    idle = len(story.hosts) - len(shown)
    rows = tuple(_rows(story, shown, scale))
    kinds = [bar.kind for row in rows for lane in row.lanes for bar in lane]
    plays = tuple(_plays(story, scale))
    nameless = {_elsewhere(bar) for bar in plays if bar.room or not bar.label}
    names = tuple(play.name for play in story.plays) if nameless else ()
    return Timeline(
        plays,
        names if any(names) else (),
        next((room for room in ("", *reversed(_ELSEWHERE.values())) if room in nameless), ""),
        tuple(bar for play in story.plays for bar in _waves(play, story.now_s, scale)),
        rows,
        f"{counted(idle, 'host')} not shown: nothing was done there" if idle else "",
        tuple(kind for kind in (*TASKS, "other") if kind in kinds),
    )


def _rows(story: RunStory, hosts: dict[str, HostStory], scale: Scale) -> Iterator[Row]:
    all_named = len(hosts) <= ALL_NAMED
    groups: dict[str, list[HostStory]] = {}
    for at, (name, host) in enumerate(story.hosts.items()):
        if name not in hosts:
            continue
        if all_named or host.state in FAILURES:
            lane = tuple(_bars(host, story.now_s, scale, labels=True))
            yield Row(name, (lane,), _ROW_PX, (name,), host_id(at), host.state)
        else:
            groups.setdefault(_wave_of(host, story), []).append(host)
    for label, group in groups.items():
        lanes = tuple(tuple(_bars(host, story.now_s, scale, labels=False)) for host in group)
        names = tuple(host.name for host in group)
        yield Row(f"{label}: {counted(len(names), 'host') if names[1:] else names[0]}", lanes, _LANE_PX, names)


def _wave_of(host: HostStory, story: RunStory) -> str:
    """The wave of the last play that the host had a part in."""
    of = {play.name: play.of for play in story.plays}.get(host.play, 0)
    return f"wave {host.wave} of {of}" if host.wave and of > 1 else host.play or "before any play"


def _bars(host: HostStory, now_s: float, scale: Scale, *, labels: bool) -> Iterator[Bar]:
    for span in host.spans:
        left, width = scale.span(span.started_s, now_s if span.ended_s is None else span.ended_s)
        kind = span.task if span.task in TASKS else "other"
        label = _label(span) if labels else ""
        bar = Bar(left, width, kind, label, f"{host.name}: {told(span)}", span.undo, how(span))
        yield _fitted(bar, short=label.removesuffix(span.task).rstrip())


def _fitted(bar: Bar, *, short: str = "") -> Bar:
    """With its label, or the ``short`` one, where that fits into it: half a word says nothing."""
    for label in (bar.label, short):
        for room, each, beside in _ROOM:
            if bar.width >= each * len(label) + beside:
                return replace(bar, label=label, room=room)
    return replace(bar, label="")


def _label(span: Span) -> str:
    mark = {"failed": "✕ ", "stopped": "■ ", "open": "… "}.get(how(span), "↩ " if span.undo else "")
    return f"{mark}{span.task}"


def how(span: Span) -> str:
    """``failed``, ``stopped``, ``open`` for what has no end, else empty."""
    if span.failed:
        return "stopped" if span.stopped else "failed"
    return "open" if span.ended_s is None else ""


def told(span: Span) -> str:
    """An act in one sentence, with its times."""
    ended = "no end told"
    if span.ended_s is not None:
        ended = f"{clock(span.ended_s)} ({lasted(span.ended_s - span.started_s)})"
    text = f"{'undo ' if span.undo else ''}{span.task}, {clock(span.started_s)} to {ended}: {span.summary}"
    if span.failed:
        text += f"; {'stopped' if span.stopped else 'FAILED'}: {span.failed.partition(chr(10))[0]}"
    return text


def _plays(story: RunStory, scale: Scale) -> Iterator[Bar]:
    for number, play in enumerate(story.plays, start=1):
        end_s = story.now_s if play.ended_s is None else play.ended_s
        left, width = scale.span(play.started_s, end_s)
        title = f"play {play.name}: {counted(len(play.hosts), 'host')}, {lasted(end_s - play.started_s)}"
        if play.may_be_out is not None:
            title += f", at most {play.may_be_out} out of service at once"
        bar = _fitted(Bar(left, width, "play", play.name, title))
        if bar.room or not bar.label:
            short = _fitted(replace(bar, label=str(number), room=""))
            room = " ".join(filter(None, (short.room, _elsewhere(bar))))
            bar = replace(bar, number=short.label, number_room=room)
        yield bar


def _elsewhere(bar: Bar) -> str:
    """On which pages the label is not shown; empty for all of them."""
    return _ELSEWHERE[bar.room] if bar.label else ""


def _waves(play: PlayStory, now_s: float, scale: Scale) -> Iterator[Bar]:
    """Each wave up to the next one, and the soaks between them."""
    end_s = now_s if play.ended_s is None else play.ended_s
    times = [*(began_s for began_s, _ in play.waves), end_s]
    for number, ((began_s, next_s), (_, names)) in enumerate(zip(pairwise(times), play.waves, strict=True), start=1):
        left, width = scale.span(began_s, next_s)
        kind = "wave" if number % 2 else "wave odd"
        title = f"wave {number} of {play.of}: {named(names)}, {clock(began_s)}"
        yield _fitted(Bar(left, width, kind, str(number), title))
    for began_s, seconds in play.soaks:
        left, width = scale.span(began_s, min(began_s + seconds, end_s))
        yield _fitted(Bar(left, width, "soak", "soak", f"soak of {lasted(seconds)}, {clock(began_s)}"))
