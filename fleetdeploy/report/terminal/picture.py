"""A run at one moment, drawn in as many columns and rows as there are: from its story and the time alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fleetdeploy.domain.forecast import Expected
from fleetdeploy.domain.outcome import FAILURES, HostState
from fleetdeploy.report.plan.waves_text import in_words
from fleetdeploy.report.safe_text import safe
from fleetdeploy.report.story.parts import Copy, HostStory, Phase, Span
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.terminal.lines import first_line
from fleetdeploy.report.times import ticking
from fleetdeploy.report.wording import counted, size

_WIDE = 60
_FEW = 5
"""So many hosts that have not answered yet are named."""
_SHORTEST, _LONGEST = 6, 20
"""Columns of a bar."""


class Stand(Enum):
    """How a host stands in the play that goes on. The value is what it is called; the order is that of the counts."""

    AT_WORK = "at work"
    RETURNING = "going back"
    FAILED = "failed"
    WAITING = "waiting"
    DONE = "done"
    NOTHING = "nothing to do"


_MOVING = frozenset({Stand.AT_WORK, Stand.RETURNING})
_STYLE = {
    Stand.AT_WORK: "cyan",
    Stand.RETURNING: "magenta",
    Stand.FAILED: "red",
    Stand.WAITING: "dim",
    Stand.DONE: "green",
    Stand.NOTHING: "dim",
}


@dataclass(frozen=True)
class Signs:
    """What states and bars are drawn with."""

    of: dict[Stand, str]
    full: str
    empty: str
    between: str
    cut: str


_ROUND = Signs(dict(zip(Stand, "▶↺✗·✓·", strict=True)), "━", "─", " · ", "…")
_PLAIN = Signs(dict(zip(Stand, "><x.+.", strict=True)), "#", "-", ", ", "~")


def picture(story: RunStory, *, now_s: float, width: int, height: int, plain: bool = False) -> list[Text]:
    """At most ``height`` lines, none wider than ``width``. ``plain`` draws with ASCII alone.

    Every host has a line where there is room for all; else those have one that move, then those that failed, and the
    others are counted.
    """
    canvas = _Canvas(story, now_s, width, _PLAIN if plain else _ROUND)
    return list(canvas.rows(height))


class _Canvas:
    def __init__(self, story: RunStory, now_s: float, width: int, signs: Signs) -> None:
        self._story = story
        self._now_s = now_s
        self._width = width
        self._signs = signs
        self._in_play = frozenset(story.play.hosts if story.play else ())
        self._changing = frozenset(story.changing)
        self._stands = [(host, self._stand(host)) for host in story.hosts.values()]
        longest = max((cell_len(safe(name)) for name in story.hosts), default=0)
        self._names = max(4, min(longest, width // 3))
        self._words, self._times = (10, 6) if width >= _WIDE else (8, 4)

    def rows(self, height: int) -> Iterator[Text]:
        head = [*self._flow(self._about()), *self._flow(self._counts())]
        yield from head[:height]
        room = height - len(head)
        if self._story.planned_s is None:
            yield from self._awaited(room)
            return
        shown, left = self._chosen(room)
        for host, stand in shown:
            yield self._row(host, stand)
        if left:
            yield self._cropped(Text(f"  and {len(left)} more: {self._told(left)}", style="dim"))

    def _chosen(self, room: int) -> tuple[list[tuple[HostStory, Stand]], list[tuple[HostStory, Stand]]]:
        """The hosts to be shown, in their order in the run, and those that move or failed and are not."""
        if len(self._stands) <= room:
            return self._stands, []
        moving = [item for item in self._stands if item[1] in _MOVING]
        failed = [item for item in self._stands if item[1] is Stand.FAILED]
        wanted = [*moving, *reversed(failed)]
        if len(wanted) > room:
            room -= 1
        kept = {host.name for host, _ in wanted[: max(0, room)]}
        return [item for item in self._stands if item[0].name in kept], wanted[max(0, room) :] if room >= 0 else []

    def _stand(self, host: HostStory) -> Stand:
        if host.phase is Phase.RETURNING:
            return Stand.RETURNING
        if host.at is not None or host.phase is Phase.AT_WORK:
            return Stand.AT_WORK
        if host.state in FAILURES or host.unreachable:
            return Stand.FAILED
        play = self._story.play
        if play is not None and host.name in self._in_play and host.play != play.name:
            return Stand.WAITING
        if host.phase is Phase.DONE:
            return Stand.DONE
        return Stand.WAITING if host.name in self._changing else Stand.NOTHING

    def _about(self) -> Iterator[Text]:
        """What goes on: the play and its wave, how long it takes, how many may fail, who serves."""
        story, play = self._story, self._story.play
        if story.stopped:
            yield Text("STOPPED", style="red bold")
        if play is None and story.planned_s is None:
            yield from self._looking(len(story.looked_at), len(story.hosts))
        elif play is None:
            yield Text(f"preparing {counted(len(story.hosts), 'host')}", style="bold")
        else:
            yield Text(play.name, style="bold")
            if play.of > 1 and play.waves:
                yield Text(f"wave {len(play.waves)} of {play.of}")
        yield self._time()
        if play is not None and play.may_fail is not None:
            failed = len(story.failures)
            yield Text(f"failed {failed}, allowed {play.may_fail}", style="red" if failed else "")
        if story.capacity:
            now = story.capacity[-1]
            style = "red" if now.in_service < now.floor else ""
            yield Text(f"{now.in_service} of {now.total} in service, floor {now.floor}", style=style)
        if play is not None and play.soaks and not any(stand in _MOVING for _, stand in self._stands):
            left_s = sum(play.soaks[-1]) - self._now_s
            if left_s > 0:
                yield Text(f"soaking, {ticking(left_s)} left", style="cyan")

    def _looking(self, done: int, hosts: int) -> Iterator[Text]:
        """How far the look at all hosts is, which comes before anything is planned."""
        if done < hosts:
            yield Text(f"looking at hosts: {done} of {hosts}", style="bold")
        else:
            yield Text(f"looked at {counted(hosts, 'host')}", style="bold")
        if lost := sum(host.unreachable for host in self._story.hosts.values()):
            yield Text(f"{lost} unreachable", style="red")

    def _awaited(self, room: int) -> Iterator[Text]:
        """The hosts that have not answered yet, once they are few: one that hangs is to be known by its name."""
        found = [host.name for host in self._story.hosts.values() if not host.looked_at]
        if len(found) < len(self._story.hosts) and len(found) <= min(room, _FEW):
            sign = self._signs.of[Stand.WAITING]
            for name in found:
                shown = set_cell_size(self._short(safe(name), self._names), self._names)
                yield self._cropped(Text(f"{sign} {shown}  not looked at yet", style="dim"))

    def _time(self) -> Text:
        passed = self._now_s - (self._now_s if self._story.started_s is None else self._story.started_s)
        expected_s, at_least = self._story.expected_s, self._story.at_least
        words = "" if expected_s is None else in_words(Expected(expected_s, at_least))
        if expected_s is None or not words or (at_least and passed > expected_s):
            return Text(ticking(passed))
        if passed <= expected_s:
            return Text(f"{ticking(passed)} of {words}")
        return Text(f"{ticking(passed)}, usually {words.removeprefix('about ')}")

    def _counts(self) -> Iterator[Text]:
        if self._story.planned_s is None:
            return
        found = Counter(stand for _, stand in self._stands)
        for stand in Stand:
            if found[stand]:
                yield Text(f"{found[stand]} {stand.value}", style=_STYLE[stand])

    def _told(self, left: Sequence[tuple[HostStory, Stand]]) -> str:
        """Hosts without a line, by what they are at."""
        tasks = Counter(host.at.task if host.at else stand.value for host, stand in left)
        return ", ".join(f"{count} {task}" for task, count in tasks.most_common())

    def _row(self, host: HostStory, stand: Stand) -> Text:
        style = _STYLE[stand]
        row = Text(f"{self._signs.of[stand]} ", style=style)
        row.append(set_cell_size(self._short(safe(host.name), self._names), self._names) + "  ")
        if stand in _MOVING and host.at is not None:
            row.append_text(self._act(host, host.at, room=self._width - row.cell_len))
        else:
            row.append(f"{self._word(host, stand):<{self._words}}", style=style)
            row.append(self._why(host, stand), style="" if stand is Stand.FAILED else "dim")
        return self._cropped(row)

    def _word(self, host: HostStory, stand: Stand) -> str:
        if stand is Stand.FAILED and (host.state or host.unreachable):
            return host.state or HostState.UNREACHABLE.value
        return stand.value

    def _why(self, host: HostStory, stand: Stand) -> str:
        if stand is Stand.FAILED:
            return " " + safe(first_line(host.reason or (host.troubles[-1].message if host.troubles else "")))
        if stand in _MOVING and host.spans:
            last = host.spans[-1]
            ended = "stopped" if last.stopped else "failed" if last.failed else "done"
            return f" {'undo ' if last.undo else ''}{safe(last.task)} {ended}"
        began = next((span.started_s for span in host.spans if span.play == host.play), None)
        if stand is Stand.DONE and began is not None and host.finished_s is not None:
            return f" {ticking(host.finished_s - began):>{self._times}}"
        return ""

    def _act(self, host: HostStory, at: Span, *, room: int) -> Text:
        """What a host is at, for how long, and how far a copy is."""
        back = host.phase is Phase.RETURNING or at.undo
        text = Text(
            f"{safe(at.task):<{self._words}} {ticking(self._now_s - at.started_s):>{self._times}}  ",
            style=_STYLE[Stand.RETURNING] if back else "",
        )
        if host.copy is not None:
            text.append_text(self._copied(host.copy, room=room - text.cell_len))
            return text
        said = at.said[-1] if at.said and self._width >= 100 else ""
        return text.append(safe(first_line(f"{at.summary}; {said}" if said else at.summary)), style="dim")

    def _copied(self, copy: Copy, *, room: int) -> Text:
        """A bar, and as much of what can be told beside it as there is room for."""
        share = min(1.0, copy.done_bytes / copy.total_bytes) if copy.total_bytes else 1.0
        done, total = size(copy.done_bytes), size(copy.total_bytes)
        if done.split()[-1] == total.split()[-1]:
            done = done.split()[0]
        far = f"{done + ' of ' + total:>15}"
        rate = f"{size(round(copy.bytes_per_s))}/s" if copy.bytes_per_s > 0 else ""
        left = f"{ticking(copy.left_s)} left" if copy.left_s is not None else ""
        choices = [(far, rate, left, f"{safe(copy.model)}/{copy.version}"), (far, rate, left), (far, left)]
        told = ["  ".join(filter(None, parts)) for parts in (*choices, (f"{share:4.0%}", left), (f"{share:4.0%}",))]
        beside = next((text for text in told if len(text) + 2 + _SHORTEST <= room), told[-1])
        length = max(0, min(_LONGEST, room - len(beside) - 2))
        full = round(share * length)
        bar = Text(self._signs.full * full, style="cyan")
        bar.append(self._signs.empty * (length - full) + ("  " if length else ""), style="dim")
        return bar.append(beside)

    def _flow(self, items: Iterator[Text]) -> Iterator[Text]:
        """The items in as few lines as they need; one breaks only where it is wider than a line."""
        line = Text()
        for item in items:
            between = Text(self._signs.between if line else "", style="dim")
            if line and line.cell_len + between.cell_len + item.cell_len > self._width:
                yield self._cropped(line)
                line, between = Text(), Text()
            line = Text.assemble(line, between, item)
        if line:
            yield self._cropped(line)

    def _cropped(self, line: Text) -> Text:
        if line.cell_len > self._width:
            line = line.copy()
            line.truncate(self._width - 1)
            line.append(self._signs.cut)
        line.no_wrap = True
        line.rstrip()
        return line

    def _short(self, name: str, width: int) -> str:
        """A name that is too long loses its end: that is mostly the domain that all have."""
        return name if cell_len(name) <= width else set_cell_size(name, width - 1) + self._signs.cut
