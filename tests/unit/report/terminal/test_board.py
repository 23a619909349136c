"""The board in a terminal: what scrolls above it, when there is none, and what a terminal that goes away ends."""

from __future__ import annotations

import io
import os
import pty
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console

from fleetdeploy.cli.changing import run_view
from fleetdeploy.cli.changing.asking import Asking
from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.report.terminal import Lines, console, may_move
from fleetdeploy.report.terminal.live import Board

from .scenes import scene
from .shown import event


class Now:
    def now_s(self) -> float:
        return 1_767_225_600.0


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Lines | Board]]:
    """The view that is chosen at a terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    ours, theirs = pty.openpty()
    file = os.fdopen(theirs, "w")

    def chosen(**options: object) -> Lines | Board:
        monkeypatch.setattr(sys, "stderr", file)  # not before: pytest puts its own there for each phase of a test
        arguments = Namespace(**{"quiet": False, "verbose": 0, "no_live": False, "no_color": False, **options})
        out = console(stderr=True, no_color=arguments.no_color)
        return run_view.chosen(out, arguments, Now())  # type: ignore[arg-type]

    yield chosen
    monkeypatch.undo()
    file.close()
    os.close(ours)


def test_a_terminal_has_a_board(view: Callable[..., Lines | Board]) -> None:
    """Where one can be drawn."""
    assert isinstance(view(), Board)


@pytest.mark.parametrize("options", [{"quiet": True}, {"no_live": True}, {"no_color": True}], ids=str)
def test_who_asks_for_none_gets_lines(view: Callable[..., Lines | Board], options: dict[str, bool]) -> None:
    """``-q``, ``--no-live``, and ``--no-color``, which promises that there is no escape sequence."""
    assert isinstance(view(**options), Lines)


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("CI", "true"), ("NO_COLOR", "1")])
def test_an_environment_without_a_board(
    view: Callable[..., Lines | Board], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terminals that cannot, build servers that only look like one, and those who want no colours."""
    monkeypatch.setenv(name, value)
    assert isinstance(view(), Lines)


def test_a_pipe_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where FORCE_COLOR says that it takes colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not may_move(console(stderr=True, no_color=False))


def board(*, verbose: int = 0) -> tuple[Board, io.StringIO]:
    file = io.StringIO()
    out = Console(file=file, force_terminal=True, width=80, height=24, color_system="standard", highlight=False)
    return Board(out, Lines(out, quiet=not verbose, verbose=verbose), now_s=Now().now_s), file


def test_only_news_stay_above_the_board() -> None:
    """A host that failed, what that stopped, and where; steps that go well are seen on the board alone."""
    made, file = board()
    for item in scene("fails", 3):
        made(item)
    told = [row for row in file.getvalue().splitlines() if "━" not in row]
    assert any("gpu002  activate  FAILED" in row for row in told)
    assert any("STOPPED after gpu002" in row for row in told)
    assert not any("look before touching" in row and "3.0 s" in row for row in told)


def test_nothing_is_drawn_after_the_end() -> None:
    """The recap is not written over."""
    made, file = board()
    for item in scene("update", 3):
        made(item)
    end = len(file.getvalue())
    made.refresh()
    made.close()
    assert file.getvalue()[end:].strip() == ""
    assert not made.is_started


def test_a_question_pauses_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is asked and answered nothing is drawn; then the board goes on."""
    made, _ = board()
    made(event(Kind.RUN_STARTED, host="", hosts=["gpu1"]))
    seen = []

    class Answers:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            seen.append(made.is_started)
            return "y\n"

    monkeypatch.setattr(sys, "stdin", Answers())
    asking = Asking(agreed=False)
    asking.meanwhile = made.paused
    assert made.is_started
    assert asking.prompt("Go?")
    assert asking.before_wave("wave 1")
    assert seen == [False, False]
    assert made.is_started
    made.close()


def test_a_pause_behind_the_end_draws_nothing_again() -> None:
    """The board of a run that ended while a question was open does not come back."""
    made, _ = board()
    made(event(Kind.RUN_STARTED, host="", hosts=["gpu1"]))
    with made.paused():
        made(event(Kind.RUN_FINISHED, "OK", host="", exit_code=0))
    assert not made.is_started


def test_a_terminal_that_goes_away_is_told_to_who_feeds_the_board() -> None:
    """As an error that a run survives; drawing and closing raise nothing."""

    class GoesAway(io.StringIO):
        gone = False

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(5, "Input/output error")
            return super().write(text)

    file = GoesAway()
    out = Console(file=file, force_terminal=True, color_system="standard", width=80, height=24)
    made = Board(out, Lines(out, quiet=True), now_s=Now().now_s)
    made(event(Kind.RUN_STARTED, host="", hosts=["gpu1"]))
    file.gone = True
    with pytest.raises(OSError, match="Input/output"):
        made(event(Kind.ROLLOUT_STOPPED, "no"))
    made.refresh()
    made.close()


def test_commands_are_shown_from_vv_on_and_connections_from_vvv() -> None:
    """With the host before them and how long they took behind."""
    for verbose, shown in ((0, []), (1, []), (2, ["$ id"]), (3, ["$ id", "~ connecting"])):
        file = io.StringIO()
        lines = Lines(Console(file=file, soft_wrap=True, color_system=None), verbose=verbose)
        lines.trace("gpu1", "id", seconds=0.123)
        lines.trace("gpu1", "connecting", seconds=1.0, wire=True)
        assert [row.split("  ")[1] for row in file.getvalue().splitlines()] == shown
    assert "gpu1  $ id  (0.12 s)\n" in file.getvalue()


def test_a_secret_is_taken_out_of_a_command_before_it_is_cut() -> None:
    """Half of one is not found by its value any more."""
    file, secret = io.StringIO(), "s3cr3t-" * 80
    lines = Lines(Console(file=file, soft_wrap=True, color_system=None), verbose=2)
    trace = run_view.trace(lines, Namespace(quiet=False, verbose=2, redactor=Redactor([secret])))
    assert trace is not None
    trace("gpu1", f"login {secret}", seconds=0.1, wire=False)
    assert "s3cr3t" not in file.getvalue()
    assert "login <secret>" in file.getvalue()
    assert run_view.trace(lines, Namespace(quiet=False, verbose=1, redactor=Redactor())) is None
