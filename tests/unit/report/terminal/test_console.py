"""Consoles: no markup, no guesses, no escapes without colour."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import pytest
from rich.text import Text

from fleetdeploy.report.terminal.console import console


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
