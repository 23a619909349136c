"""A hundred simulated hosts, told to the real view: an hour in a minute."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from recording import COLUMNS, LINES, Moment, Recording
from report.html import scenes
from report.terminal import replay
from report.terminal.screen import Screen, settings

from fleetdeploy.domain.events import Kind
from fleetdeploy.report.html.page import page
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.terminal.picture import picture
from fleetdeploy.rollout.journal.record import as_json

ENDED = "(ended)"


def record(work: Path) -> Iterator[Recording]:
    """One run."""
    events = scenes.hundred()
    file = work / "events.jsonl"
    file.write_text("".join(f"{as_json(event)}\n" for event in events), encoding="utf-8")
    looks = [at for at, event in enumerate(events) if event.kind is Kind.HOST_OBSERVED]
    stages = [at for at, event in enumerate(events) if event.kind is Kind.COPY_PROGRESSED]
    wave = next(at for at, event in enumerate(events) if event.kind is Kind.WAVE_STARTED and event.data["wave"] == 3)
    back = next(at for at, event in enumerate(events) if event.kind is Kind.REVERT_STARTED)
    late = next(at for at in range(len(events) * 9 // 10, len(events)) if events[at].kind is Kind.STEP_STARTED)
    stops = {
        looks[61]: "The hosts are looked at",
        stages[len(stages) // 2]: "Files are copied, ten hosts at a time",
        wave + 120: "Half the fleet is one wave, at most ten of it are out of service",
        back + 1: "A host answers wrongly and goes back, the others go on",
        late: "Towards the end",
    }
    screen = Screen(work / "tmux")
    words = [sys.executable, replay.__file__ or "", str(file), "100", *map(str, sorted(stops))]
    script = f"stty -echo; {settings()} {shlex.join(words)}; echo '{ENDED}'; cat"
    screen.open(script, columns=COLUMNS, lines=LINES)
    try:
        found, story = list[Moment](), RunStory()
        for at, event in enumerate(events):
            story.tell(event)
            if at in stops:
                found.append(Moment(stops[at], screen.when(partial(_shows, _board(story)))))
                screen.go_on()
        screen.when(lambda rows: rows[-1] == ENDED)
        found.append(Moment("The end", screen.rows(scrolled=True)[:-1]))
    finally:
        screen.close()
    about = "An update of a hundred simulated hosts. What happened on them is told to the real view at its moments."
    yield Recording("hundred-hosts", about, found, page(story))


def _board(story: RunStory) -> list[str]:
    return [row.plain for row in picture(story, now_s=story.now_s, width=COLUMNS - 3, height=LINES - 1)]


def _shows(board: list[str], rows: list[str]) -> bool:
    return rows[-len(board) :] == board
