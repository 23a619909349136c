"""Where a drawing stands after its terminal was made wider, narrower, higher or lower.

Terminals break a line that has become too long into rows, and join them again when there is room; what no longer fits
scrolls out above, and comes back when the terminal is made higher. All that do so count as here: tmux, and those made
with VTE, Windows Terminal, iTerm2, kitty and others. One that cuts lines off loses rows that stand above the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live_render import LiveRender
from rich.segment import ControlType, Segment

Size = Callable[[], tuple[int, int]]


class Drawing(LiveRender):
    """Lines that are written over by the next ones. ``size`` gives the terminal's columns and rows."""

    def __init__(self, size: Size) -> None:
        super().__init__("", vertical_overflow="crop")
        self._size = size
        self._drawn_at = (0, 0)
        self._lengths: list[int] = []
        self._lost: list[int] = []
        """Of older lines that scrolled out; where there are any, the drawing begins right below them, at the top."""

    def position_cursor(self) -> Control:
        """To where the drawing begins, with nothing behind it."""
        return self._back(0)

    def restore_cursor(self) -> Control:
        """The same from the line below it."""
        return self._back(1)

    def parted(self) -> None:
        """Something stands between what scrolled out and the drawing: it is not ours to write over."""
        self._lost.clear()

    def _back(self, below: int) -> Control:
        if not self._lengths:
            return Control()
        columns, rows = self._size()
        standing = self._lengths
        if self._drawn_at != (columns, rows):
            standing = [*self._lost, *self._lengths]
            higher = max(0, rows - self._drawn_at[1])
            seen = min(rows, _rows_of(self._lengths, columns) + higher) if self._lost else rows
            self._lost = _begun_above(standing, columns, seen)
        above = min(_rows_of(standing, columns) - 1 + below, rows - 1)
        up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
        return Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *(up * above))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        segments = [item for item in super().__rich_console__(console, options) if isinstance(item, Segment)]
        self._drawn_at = self._size()
        self._lengths = [Segment.get_line_length(line) for line in Segment.split_lines(segments)]
        yield from segments


def _rows_of(lengths: Sequence[int], columns: int) -> int:
    return sum(max(1, -(-length // columns)) for length in lengths)


def _begun_above(lengths: Sequence[int], columns: int, rows: int) -> list[int]:
    """Those of the lines of which not all can be seen where only the last so many rows are."""
    first = len(lengths)
    while first and _rows_of(lengths[first - 1 :], columns) <= rows:
        first -= 1
    return list(lengths[:first])
