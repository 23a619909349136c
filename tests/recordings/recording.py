"""A recording: some moments of a run as they stood on a terminal, and the report of the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from report.terminal.screen import Screen

COLUMNS, LINES = 80, 24
Holds = Callable[[list[str]], bool]


class Missed(Exception):
    """A moment was over before it could be captured."""


@dataclass(frozen=True)
class Moment:
    """What stood on the screen, and which moment that was."""

    title: str
    rows: Sequence[str]


@dataclass(frozen=True)
class Recording:
    """``about`` says in a sentence what is recorded; ``report`` is the HTML page."""

    name: str
    about: str
    moments: Sequence[Moment]
    report: str

    def write(self, directory: Path, *, unwanted: Sequence[str]) -> None:
        """Write both files. Raises ValueError where one of them has a text that is about this machine."""
        files = {f"{self.name}.txt": "\n".join(self._lines()) + "\n", f"{self.name}.html": self.report}
        for name, text in files.items():
            if found := [word for word in unwanted if word and word in text]:
                raise ValueError(f"{name} has {', '.join(map(repr, found))}")
            (directory / name).write_text(text, encoding="utf-8")

    def _lines(self) -> Iterator[str]:
        yield self.about
        for number, moment in enumerate(self.moments, 1):
            title = f"{number}. {moment.title} "
            yield from ("", title.ljust(COLUMNS, "="), "")
            yield from moment.rows


def moments(screen: Screen, wanted: Sequence[tuple[str, Holds]], *, over: Holds, last: str) -> Iterator[Moment]:
    """Capture each moment once it is there, then the end. Raises Missed where the end came before one of them."""
    for title, holds in wanted:
        rows = screen.when(lambda rows, holds=holds: holds(rows) or over(rows))  # type: ignore[misc]
        if not holds(rows):
            raise Missed(f"{title}: over before it was seen\n" + "\n".join(rows))
        yield Moment(title, rows)
    screen.when(over)
    yield Moment(last, screen.rows(scrolled=True))
