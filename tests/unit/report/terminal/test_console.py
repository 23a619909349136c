"""Consoles: no markup, no guesses, no escapes without colour."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

import pytest
from rich.console import Console
from rich.text import Text

from fleetdeploy.report.terminal.console import aside, console, put


@pytest.mark.parametrize("variable", [True, False])
def test_without_colour_there_is_no_escape(variable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and ``--no-color`` leave plain text, also on a terminal: no bold, no dim."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1" if variable else "")
    plain = console(stderr=True, no_color=not variable)
    with plain.capture() as captured:
        plain.print(Text("bold", style="bold red"))
    assert captured.get() == "bold\n"


def test_text_from_a_host_is_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in a message stay what they are, and lines are not wrapped."""
    long = "[red]" + "x" * 300
    console(stderr=False, no_color=True).print(Text(long))
    assert capsys.readouterr().out == long + "\n"


def test_nobody_reading_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress into a pipe that was closed is an error that a run survives, and no end of the process."""
    reader, writer = os.pipe()
    os.close(reader)
    closed = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stderr", closed)
    with pytest.raises(BrokenPipeError):
        console(stderr=True, no_color=True).print("wave 1")
    with suppress(BrokenPipeError):
        closed.close()


def test_colour_in_a_pipe_breaks_no_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR, which many build servers set, makes no terminal of a pipe."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    console(stderr=False, no_color=False).print(Text("word " * 60))
    assert capsys.readouterr().out.count("\n") == 1


def test_a_tab_breaks_no_line_anew() -> None:
    """What a host indents with one is as wide as it looks: what goes on below stays indented."""
    file = io.StringIO()
    narrow = Console(file=file, width=40, color_system=None, highlight=False, markup=False)
    put(narrow, Text("    | \t\t" + "word " * 6))
    rows = file.getvalue().splitlines()
    assert len(rows) > 1
    assert all(row.startswith("    ") and len(row) <= 40 for row in rows)


@pytest.mark.parametrize("width", [80, 40])
def test_a_terminal_gets_commands_whole_and_a_pipe_whole_lines(width: int) -> None:
    """A command has its own row on a terminal; a pipe gets one line for grep."""
    command = "fleetdeploy run all -i inventories/a-rather-long-name -l gpu1,gpu2,gpu3 -- uptime --pretty --since"
    for piped, rows in (
        (False, ["    mend it, then:", f"      {command}"]),
        (True, [f"    mend it, then: {command}"]),
    ):
        file = io.StringIO()
        out = Console(file=file, width=width, color_system=None, highlight=False, markup=False, soft_wrap=piped)
        put(out, Text(f"    mend it, then: {command}"))
        assert file.getvalue().splitlines() == rows


def test_what_hangs_stands_under_its_text() -> None:
    """Below a label's text, and not in the column where hosts are named."""
    file = io.StringIO()
    narrow = Console(file=file, width=40, color_system=None, highlight=False, markup=False)
    put(narrow, Text("    drift      reload: " + "word " * 8), hanging=True)
    first, *further = file.getvalue().splitlines()
    assert first.startswith("    drift      reload: word")
    assert further
    assert all(row.startswith(" " * 15 + "word") and len(row) <= 40 for row in further)


def test_what_is_told_aside_breaks_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal; in a pipe it is one line. A reader that went away is none of the command's business."""
    text = "note: play 'Second': no host is in both the pattern 'gpu2' and the limit 'gpu1': the play is skipped"
    for at_a_terminal in (True, False):
        file = io.StringIO()
        monkeypatch.setattr(file, "isatty", lambda seen=at_a_terminal: seen)
        monkeypatch.setattr(sys, "stderr", file)
        monkeypatch.setenv("COLUMNS", "60")
        aside(text)
        rows = file.getvalue().splitlines()
        assert (len(rows) > 1) is at_a_terminal
        assert " ".join(map(str.strip, rows)) == text
        assert all(len(row) <= 60 for row in rows) is at_a_terminal

    def gone(_text: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(file, "write", gone)
    aside(text)
