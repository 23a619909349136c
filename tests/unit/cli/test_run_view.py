"""A whole command at a terminal: a board while it works, and below it nothing but how it ended."""

from __future__ import annotations

import io
import os
import re
import signal
import sys

import pytest
from rich.console import Console

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report import terminal
from fleetdeploy.report.terminal.live import Board

from .conftest import Project

pytestmark = pytest.mark.simulation


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a run writes to its terminal."""
    file = io.StringIO()

    def console(**_: object) -> Console:
        """Another one for each that asks, as the real one is: they know nothing of each other."""
        return Console(file=file, force_terminal=True, width=100, height=24, color_system="standard", highlight=False)

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "console", console)
    return file


def text_of(screen: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", screen.getvalue())


def rows_of(screen: io.StringIO) -> list[str]:
    """What stands on the terminal in the end, where each thing was written that moves the cursor up or clears a row."""
    rows, at, column = [""], 0, 0
    for sign in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", screen.getvalue()):
        if sign == "\r":
            column = 0
        elif sign == "\n":
            at, column = at + 1, 0
            rows += [""] * (at + 1 - len(rows))
        elif sign == "\x1b[1A":
            at = max(0, at - 1)
        elif sign == "\x1b[2K":
            rows[at] = ""
        elif not sign.startswith("\x1b"):
            rows[at] = rows[at].ljust(column)[:column] + sign + rows[at][column + len(sign) :]
            column += len(sign)
    return [row.rstrip() for row in rows]


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each drawing of the board; one is made whenever an event was told, as nobody waits for rich's own."""
    found: list[str] = []
    call = Board.__call__

    def told(board: Board, event: object) -> None:
        call(board, event)  # type: ignore[arg-type]
        if board.is_started:
            found.append("\n".join(str(row) for row in board._drawn().renderables))

    monkeypatch.setattr(Board, "__call__", told)
    return found


def test_a_run_at_a_terminal(project: Project, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board shows each host at work; what is left is the recap, with the true last line."""
    boards = drawn(monkeypatch)
    assert project.run("deploy").code == 0
    assert any("gpu2  verify" in board for board in boards)
    assert any("1 of 2 in service" in board for board in boards)
    rows = text_of(screen).rstrip().splitlines()
    assert rows[-4:] == [
        "RECAP",
        "gpu1 : ok=1 changed=5 failed=0 unreachable=0 skipped=0 reverted=0",
        "gpu2 : ok=1 changed=5 failed=0 unreachable=0 skipped=0 reverted=0",
        "OK: 2 of 2 hosts changed",
    ]


def test_a_refused_run_leaves_no_board(project: Project, screen: io.StringIO) -> None:
    """An error is printed where the board was, and standard error is what it was."""
    before = sys.stderr
    project.world.hosts["gpu1"].reachable = False
    assert project.run("deploy").code == 5
    assert sys.stderr is before
    assert "\x1b[?25h" in screen.getvalue(), "the cursor is there again"


def test_lines_without_a_board(project: Project, screen: io.StringIO) -> None:
    """``--no-live`` keeps every line, at the same terminal."""
    assert project.run("deploy", "--no-live").code == 0
    assert "gpu1  drain  " in text_of(screen)
    assert "\x1b[?25" not in screen.getvalue()


def test_ctrl_c_is_answered_above_the_board(
    project: Project, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer stays to be read while the run goes on to its safe point, and nothing of a board is left beside it."""
    said = "SIGINT: stopping at the next safe point; once more to stop now"
    boards, call = list[list[str]](), Board.__call__

    def told(board: Board, event: Event) -> None:
        call(board, event)
        if event.kind is Kind.WAVE_STARTED and event.data["wave"] == 2:  # told by the main thread, which hears signals
            board.refresh()
            os.kill(os.getpid(), signal.SIGINT)
            signal.getsignal(signal.SIGINT)  # it is answered before the next line
            board.refresh()
            boards.append(rows_of(screen))

    monkeypatch.setattr(Board, "__call__", told)
    assert project.run("deploy").code == 130
    above, first, *_ = boards[0][boards[0].index(said) :] if said in boards[0] else ("", "")
    assert (above, first[:11]) == (said, "Switch over"), boards[0]
    left = rows_of(screen)
    assert said in left
    assert [row for row in left if row.startswith(("Switch over", "Put every file"))] == []
