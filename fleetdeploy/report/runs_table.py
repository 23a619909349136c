"""Runs of the past as lines of a table, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from fleetdeploy.report.rows import INDENT
from fleetdeploy.report.rows import rows as in_rows
from fleetdeploy.report.safe_text import safe, safe_line
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.standing import standing
from fleetdeploy.report.story.verdict import Tone, Verdict, verdict
from fleetdeploy.report.times import lasted, moment
from fleetdeploy.rollout.journal.recorded_run import RecordedRun

_Cells = Mapping[str, str]
"""A row's cells by their headings."""
FORMAT = 1
"""The version of both kinds of JSON. A key that goes, or means something else, is a new one."""
_HEADS = ("RUN", "BEGAN", "TOOK", "ENDED", "EXIT", "HOSTS", "COMMAND")
_LEFT_OUT = ("BEGAN", "TOOK", "EXIT")
"""Columns that a narrow terminal does without, in this order: a run's name has its time, its end the exit code."""
_PROGRAM = "fleetdeploy "
_STYLE = {Tone.GOOD: "green", Tone.PARTLY: "yellow", Tone.BAD: "red", Tone.UNKNOWN: "magenta"}


@dataclass(frozen=True)
class Row:
    """One run. ``hosts`` counts them by outcome, in a run that has an end."""

    run: RecordedRun
    verdict: Verdict
    hosts: dict[str, int]

    def cells(self) -> tuple[str, ...]:
        run = self.run
        took = "" if run.started_s is None or run.ended_s is None else lasted(run.ended_s - run.started_s)
        damaged = "" if run.damage is None else ", damaged"
        return (
            run.id,
            "" if run.started_s is None else moment(run.started_s),
            took,
            self.verdict.word + damaged,
            "" if run.exit_code is None else str(run.exit_code),
            ", ".join(f"{count} {state}" for state, count in self.hosts.items()),
            run.command,
        )

    def as_json(self) -> dict[str, object]:
        """Times are Unix time; ``ended_s`` is that of the last record, where nothing tells of an end."""
        return {**_head(self.run, self.verdict), "hosts": self.hosts}


def row(run: RecordedRun, story: RunStory) -> Row:
    """A run's line, made of its records and of what they tell together."""
    counts = {state: count for state, count in story.counts().items() if count} if story.ended_s is not None else {}
    return Row(run, verdict(story, damaged=run.damage is not None), counts)


def lines(rows: Sequence[Row], *, width: int | None) -> Iterator[Text]:
    """The table; None leaves it whole. In fewer columns it loses what can be done without, then the ends of commands;
    where not even that fits, each run has several lines.
    """
    table = [dict(zip(_HEADS, map(safe, cells), strict=True)) for cells in (_HEADS, *(item.cells() for item in rows))]
    styles = ["bold", *(_STYLE[item.verdict.tone] for item in rows)]
    heads = list(_HEADS)
    if width is not None and _width(table, heads) > width:
        table = [{**cells, "COMMAND": cells["COMMAND"].removeprefix(_PROGRAM)} for cells in table]
        for head in _LEFT_OUT:
            if _width(table, heads) > width:
                heads.remove(head)
        if _width(table, heads[:-1]) + 2 + len("COMMAND") > width:
            for cells, style in zip(table[1:], styles[1:], strict=True):
                yield from _block(cells, style, width)
            return
    widths = _widths(table, heads)
    for cells, style in zip(table, styles, strict=True):
        line = _in_columns(cells, widths, style)
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        yield line


def _widths(table: Sequence[_Cells], heads: Sequence[str]) -> dict[str, int]:
    return {head: max(cell_len(cells[head]) for cells in table) for head in heads}


def _width(table: Sequence[_Cells], heads: Sequence[str]) -> int:
    """Of a whole line, with two blanks between columns."""
    return sum(_widths(table, heads).values()) + 2 * (len(heads) - 1)


def _in_columns(cells: _Cells, widths: Mapping[str, int], style: str) -> Text:
    line = Text("")
    for head, width in widths.items():
        padded = cells[head] + " " * (width + 2 - cell_len(cells[head]))
        line.append(padded, style=style if style == "bold" or head == "ENDED" else "")
    line.rstrip()
    return line


def _block(cells: _Cells, style: str, width: int) -> Iterator[Text]:
    """How a run ended and for which hosts in as many rows as that needs, and one of its command."""
    line = Text(f"{cells['RUN']}  ") + Text(cells["ENDED"], style=style)
    yield from in_rows(line + Text(f": {cells['HOSTS']}" if cells["HOSTS"] else ""), width)
    command = Text(" " * INDENT + cells["COMMAND"])
    command.truncate(width, overflow="ellipsis")
    yield command


def result(run: RecordedRun, story: RunStory) -> dict[str, object]:
    """What the run printed with ``--json``, and what its journal tells besides."""
    return {
        **_head(run, verdict(story, damaged=run.damage is not None)),
        "format": FORMAT,
        "resumes": list(run.resumes),
        "summary": story.last_line,
        "refusal": story.refusal,
        "by": story.by,
        "directory": story.directory,
        "hosts": {
            name: {
                "state": standing(host, story),
                "reason": host.reason,
                "hint": host.hint,
                "mixed": host.mixed,
                "taken_back": host.taken_back,
                "steps_changed": host.steps_changed,
                "steps_ok": host.steps_ok,
            }
            for name, host in story.hosts.items()
        },
    }


def heading(run: RecordedRun) -> Iterator[Text]:
    """Which run it was, in two lines: those of the run itself have times alone."""
    yield safe_line(Text(f"run {run.id}: {run.command}", style="bold"))
    told = [] if run.started_s is None else [f"began {moment(run.started_s)}"]
    told += [f"{word} {run.started[name]}" for name, word in (("by", "by"), ("directory", "in")) if name in run.started]
    told += [f"carries on {name}" for name in run.resumes[:1]]
    yield safe_line(Text("  " + ", ".join(told)))


def _head(run: RecordedRun, found: Verdict) -> dict[str, object]:
    return {
        "run": run.id,
        "state": run.state.value,
        "exit_code": run.exit_code,
        "verdict": found.word,
        "command": run.command,
        "started_s": run.started_s,
        "ended_s": run.ended_s,
        "torn": run.torn,
        "damage": run.damage.message if run.damage else "",
    }
