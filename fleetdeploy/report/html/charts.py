"""What changes over time, as columns on the page's axis: capacity against its floor, and a pool's requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from fleetdeploy.report.html.scale import Scale
from fleetdeploy.report.story.parts import CapacitySample, TrafficSample
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.times import clock, lasted
from fleetdeploy.report.wording import counted
from fleetdeploy.rollout.naming import named

MOST_COLUMNS = 400
"""More than that nobody can tell apart: neighbours are told as one."""


@dataclass(frozen=True)
class Column:
    """A value over a time; all in percent of the chart. ``bad`` is one that should not have been."""

    left: float
    width: float
    height: float
    title: str
    bad: bool = False


@dataclass(frozen=True)
class Limit:
    """A line across a time at ``height`` percent."""

    left: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Chart:
    """``top`` and ``bottom`` are what its edges stand for; ``caption`` says in words what it shows. One without columns
    is told in words alone.
    """

    name: str
    top: str
    bottom: str
    caption: str
    columns: tuple[Column, ...]
    limits: tuple[Limit, ...] = ()
    warns: bool = False


@dataclass(frozen=True)
class Pool:
    """What a balancer told of one pool, or its servers of a service without one; ``title`` says which."""

    title: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class _Held:
    """A capacity sample, and until when it held."""

    sample: CapacitySample
    until_s: float

    @property
    def short(self) -> bool:
        return self.sample.in_service < self.sample.floor


def capacity(story: RunStory, scale: Scale) -> Chart | None:
    """Hosts in service over time. None where no play took any out."""
    held = list(_held(story))
    if not held:
        return None
    top = max(1, *(item.sample.total for item in held))
    bottom = _bottom(held)

    def height(hosts: int) -> float:
        return _percent(max(hosts - bottom, 0), top - bottom)

    columns, limits = [], []
    for item in _lowest_of(held, scale):
        sample = item.sample
        left, width = scale.span(sample.time_s, item.until_s)
        text = f"{clock(sample.time_s)}: {sample.in_service} of {counted(sample.total, 'host')} in service"
        text += f", out: {named(sample.out)}" if sample.out else ""
        columns.append(Column(left, width, height(sample.in_service), text, item.short))
    for (floor, _), same in groupby(held, key=lambda item: (item.sample.floor, item.sample.play)):
        run = list(same)
        left, width = scale.span(run[0].sample.time_s, run[-1].until_s)
        limits.append(Limit(left, width, height(floor), f"at least {floor} have to be in service"))
    warns = any(item.short for item in held)
    told = _told(held, story) + (f" The scale begins at {bottom}." if bottom else "")
    return Chart("Hosts in service", str(top), str(bottom), told, tuple(columns), tuple(limits), warns)


def _bottom(held: Sequence[_Held]) -> int:
    """Where the scale begins: at 0, or, where most have to be in service, so far below that what is out can be seen."""
    low = min(min(item.sample.in_service, item.sample.floor) for item in held)
    out = max(item.sample.total - item.sample.floor for item in held)
    return low - 2 * out if low > 4 * out else 0


def _told(held: Sequence[_Held], story: RunStory) -> str:
    if not any(item.sample.floor for item in held):
        last = story.capacity[-1]
        return f"None had to be; {last.in_service} of {counted(last.total, 'host')} in the end."
    low = min(held, key=lambda item: item.sample.in_service - item.sample.floor)
    sample, after_s = low.sample, low.sample.time_s - (story.started_s or 0.0)
    text = f"Closest to the floor: {sample.in_service} of {counted(sample.total, 'host')} in service, after "
    text += f"{lasted(after_s)}; the floor was {sample.floor}."
    short = [item for item in held if item.short]
    if short:
        text += f" Below the floor for {lasted(sum(item.until_s - item.sample.time_s for item in short))}."
    return text


def _held(story: RunStory) -> Iterator[_Held]:
    """Each sample up to the next one, or to the end of its play."""
    ends = {play.name: play.ended_s for play in story.plays}
    end_s = story.now_s if story.ended_s is None else story.ended_s
    following = [*(sample.time_s for sample in story.capacity[1:]), end_s]
    for sample, next_s in zip(story.capacity, following, strict=False):
        play_end_s = ends.get(sample.play)
        until_s = next_s if play_end_s is None else min(next_s, play_end_s)
        if until_s > sample.time_s:
            yield _Held(sample, until_s)


def _lowest_of(held: Sequence[_Held], scale: Scale) -> Iterator[_Held]:
    """Of those that share a column the one that is closest to its floor, over the time of all of them."""
    if len(held) <= MOST_COLUMNS:
        yield from held
        return
    for _, same in groupby(held, key=lambda item: int(scale.at(item.sample.time_s) * MOST_COLUMNS / 100)):
        run = list(same)
        low = min(run, key=lambda item: item.sample.in_service - item.sample.floor)
        sample = low.sample
        first_s = run[0].sample.time_s
        yield _Held(CapacitySample(first_s, sample.play, sample.total, sample.out, sample.floor), run[-1].until_s)


@dataclass(frozen=True)
class _Counted:
    """What was counted from ``from_s`` to ``to_s``."""

    from_s: float
    to_s: float
    requests: int
    errors: int
    answer_s: float | None

    @property
    def per_s(self) -> float:
        return self.requests / (self.to_s - self.from_s)


def pools(story: RunStory, scale: Scale) -> tuple[Pool, ...]:
    """Every pool that a balancer told of, by name, and then every service whose servers told."""
    found: dict[tuple[bool, str], list[TrafficSample]] = {}
    for sample in story.traffic:
        found.setdefault((sample.by_servers, sample.pool), []).append(sample)
    begun_s = min((play.started_s for play in story.plays), default=story.started_s or 0.0)
    return tuple(_pool(key, _together(list(_between(found[key], begun_s)), scale), scale) for key in sorted(found))


def _between(samples: Sequence[TrafficSample], begun_s: float) -> Iterator[_Counted]:
    """Where no sample says for how long it counted: since the sample before, the first one since the first play."""
    before_s = min(begun_s, samples[0].time_s)
    for sample in samples:
        from_s = before_s if sample.seconds is None else sample.time_s - sample.seconds
        yield _Counted(from_s, sample.time_s, sample.requests, sample.errors, sample.answer_s)
        before_s = sample.time_s


def _together(parts: Sequence[_Counted], scale: Scale) -> list[_Counted]:
    """No more of them than there are columns; counts are added, answer times weighed by requests."""
    if len(parts) <= MOST_COLUMNS:
        return list(parts)
    return [
        _sum(list(same)) for _, same in groupby(parts, key=lambda item: int(scale.at(item.to_s) * MOST_COLUMNS / 100))
    ]


def _sum(parts: Sequence[_Counted]) -> _Counted:
    timed = [(part.answer_s, max(part.requests, 1)) for part in parts if part.answer_s is not None]
    weight = sum(count for _, count in timed)
    answer_s = sum(seconds * count for seconds, count in timed) / weight if timed else None
    requests, errors = sum(part.requests for part in parts), sum(part.errors for part in parts)
    return _Counted(parts[0].from_s, parts[-1].to_s, requests, errors, answer_s)


def _pool(key: tuple[bool, str], parts: Sequence[_Counted], scale: Scale) -> Pool:
    by_servers, name = key
    title = f"Service {name}, as its servers count" if by_servers else f"Pool {name}"
    requests, errors = sum(part.requests for part in parts), sum(part.errors for part in parts)
    if not requests and not errors:
        return Pool(title, (Chart("Requests", "", "", "None came.", ()),))
    share = f" ({_brief(100 * errors / requests)} %)" if requests and errors else ""
    all_of_them = f"{requests:,} requests in all{', golden requests of this run among them' if by_servers else ''}."
    charts = [
        _chart("Requests per second", parts, scale, lambda part: part.per_s, _brief, all_of_them),
        _chart(
            "Errors", parts, scale, lambda part: part.errors, _brief,
            f"{errors:,} errors{share}." if errors else "No errors.", bad=True,
        ),
    ]  # fmt: skip
    if any(part.answer_s is not None for part in parts):
        slowest = max(part.answer_s or 0.0 for part in parts)
        of_which = "of the answers, without the way to the client" if by_servers else "of recent answers"
        told = f"Mean {of_which}; {_brief(1000 * slowest)} ms at the slowest."
        charts.append(
            _chart("Answer time in ms", parts, scale, lambda part: 1000 * (part.answer_s or 0.0), _brief, told)
        )
    return Pool(title, tuple(charts))


def _chart(
    name: str, parts: Sequence[_Counted], scale: Scale, value_of: Callable[[_Counted], float],
    text_of: Callable[[float], str], caption: str, *, bad: bool = False,
) -> Chart:  # fmt: skip
    timed = [part for part in parts if part.to_s > part.from_s]
    top = _round_up(max(map(value_of, timed), default=0.0))
    columns = []
    for part in timed if not bad or any(map(value_of, timed)) else ():
        value = value_of(part)
        left, width = scale.span(part.from_s, part.to_s)
        title = f"{clock(part.from_s)} to {clock(part.to_s)}: {text_of(value)}"
        columns.append(Column(left, width, _percent(value, top), title, bad and value > 0))
    return Chart(name, text_of(top), "0", caption, tuple(columns), warns=bad and any(column.bad for column in columns))


def _round_up(value: float) -> float:
    """The next number that reads well: 1, 2 or 5 and zeros."""
    top = 10.0**-3
    while top < value:
        for more in (2.0, 2.5, 2.0):
            top *= more
            if top >= value:
                break
    return top if value > 0 else 1.0


def _percent(value: float, top: float) -> float:
    return round(100 * value / top, 2)


def _brief(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
