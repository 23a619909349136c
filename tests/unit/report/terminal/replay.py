"""A rollout told to the real view in this terminal: it stops after so many events, and goes on with the next line of
standard input.

::

    python replay.py fails 100 40% 80% --no-color

In place of a scene there may be a file of its events, one as JSON on each line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fleetdeploy.cli.changing import run_view
from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.terminal import console, recap
from fleetdeploy.report.terminal.live import Board
from fleetdeploy.rollout.interrupt import Interrupts
from report.terminal.scenes import scene


class EventClock:
    """The time of the last event."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", help="first, update, fails, or a file")
    parser.add_argument("hosts", type=int)
    parser.add_argument("stops", nargs="*", help="an event's number, or a share such as 40%% of them")
    parser.add_argument("-v", "--verbose", action="count", default=0)
    # With --ask the first stop is a question.
    for name in ("--no-color", "--no-live", "--ask"):
        parser.add_argument(name, action="store_true")
    arguments = parser.parse_args()
    arguments.quiet = False
    clock, story, out = EventClock(), RunStory(), console(stderr=True, no_color=arguments.no_color)
    view = run_view.chosen(out, arguments, clock)  # type: ignore[arg-type]
    file = Path(arguments.scene)
    events = _read(file) if file.is_file() else scene(arguments.scene, arguments.hosts)
    stops = [_number(text, len(events)) for text in arguments.stops]
    told = Interrupts(lambda name: out.print(f"{name}: stopping at the next safe point; once more to stop now"))
    told.__enter__()
    for number, event in enumerate(events):
        clock.time_s = event.time_s
        story.tell(event)
        view(event)
        if number in stops and event.kind != Kind.RUN_FINISHED:
            if arguments.ask and number == stops[0]:
                with view.paused():
                    sys.stderr.write("Go on? [y/N] ")
                    sys.stderr.flush()
                    sys.stdin.readline()
                continue
            if isinstance(view, Board):
                view.refresh()
            sys.stdin.readline()
    view.close()
    recap(out, story, every_host=bool(arguments.verbose))


def _read(file: Path) -> Sequence[Event]:
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [Event(**{**line, "kind": Kind(line["kind"])}) for line in lines]


def _number(text: str, count: int) -> int:
    return count * int(text.removesuffix("%")) // 100 if text.endswith("%") else int(text)


if __name__ == "__main__":
    main()
