"""How far up a drawing begins after its terminal has got another size; test_tmux.py holds it against a real one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from fleetdeploy.report.terminal.reflow import Drawing

Size = tuple[int, int]


class Terminal:
    """Ten lines of 40 characters at most are drawn, as many as there is room for below which one row is left."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.drawing = Drawing(lambda: self.size)
        self.draw()

    def draw(self) -> None:
        columns, rows = self.size
        lines = ["x" * min(40, columns - 3)] * min(10, rows - 1)
        out = Console(file=io.StringIO(), force_terminal=True, width=columns, height=rows, color_system=None)
        self.drawing.set_renderable(Text("\n".join(lines)))
        out.print(self.drawing)

    def goes_up(self, size: Size) -> int:
        """So many rows once it has that size; then it is drawn for it."""
        self.size = size
        up = str(self.drawing.position_cursor()).count("\x1b[1A")
        self.draw()
        return up


@pytest.mark.parametrize(
    ("sizes", "up"),
    [
        ([(80, 24), (80, 24)], 9),
        ([(80, 24), (100, 40)], 9),
        ([(80, 24), (30, 24)], 19),
        ([(80, 24), (30, 24), (80, 24)], 9),
        ([(80, 24), (10, 24)], 23),
        ([(80, 24), (80, 5)], 4),
        # Five lines scrolled out, of which four come back, then the last.
        ([(80, 24), (80, 5), (80, 5)], 3),
        ([(80, 24), (80, 5), (80, 9)], 8),
        ([(80, 24), (80, 5), (80, 9), (80, 30)], 8),
        ([(80, 24), (80, 5), (80, 30)], 8),
    ],
    ids=str,
)
def test_it_goes_up_to_where_it_begins(sizes: list[Size], up: int) -> None:
    """By the rows that its lines are broken into, over what scrolled out of it once that is back, and no further."""
    terminal = Terminal(sizes[0])
    assert [terminal.goes_up(size) for size in sizes[1:]][-1] == up


def test_what_is_said_meanwhile_is_not_written_over() -> None:
    """Where it stands between what scrolled out and the drawing, only the drawing is ours."""
    terminal = Terminal((80, 24))
    terminal.goes_up((80, 5))
    terminal.drawing.parted()
    assert terminal.goes_up((80, 30)) == 3


def test_behind_the_last_line_it_is_one_row_further() -> None:
    """As the cursor stands after the end; and where nothing was drawn nothing is to be taken back."""
    terminal = Terminal((80, 24))
    assert str(terminal.drawing.restore_cursor()).count("\x1b[1A") == 10
    assert str(Drawing(lambda: (80, 24)).position_cursor()) == ""
