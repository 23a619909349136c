"""Consoles that do not guess: what is piped stays greppable, and without colour there is no escape sequence at all."""

from __future__ import annotations

import os
from contextlib import suppress

from rich.console import Console
from rich.text import Text

from fleetdeploy.report.rows import INDENT, rows, text_column
from fleetdeploy.report.safe_text import safe_line


class _Progress(Console):
    """That nobody reads any longer ends no run and is no bug: whoever prints decides what it means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, stderr: bool, no_color: bool) -> Console:
    """A console that does not guess at markup. Lines break between words on a terminal, and nowhere else: what is piped
    stays greppable.

    Without colour there is no escape sequence at all; rich's own ``no_color`` and NO_COLOR would leave bold and dim.
    """
    plain = no_color or bool(os.environ.get("NO_COLOR"))
    out = _Progress(stderr=stderr, color_system=None if plain else "auto", highlight=False, markup=False)
    out.soft_wrap = not out.file.isatty()  # not by `is_terminal`, which FORCE_COLOR makes true for a pipe
    return out


def is_piped(out: Console) -> bool:
    """Whether nobody looks at it as it comes, so that every line stays whole."""
    return out.soft_wrap


def may_move(out: Console) -> bool:
    """Whether lines that were written may be written over: at a terminal that knows how to, which takes escape
    sequences, and is not a log of a build server's.
    """
    return (
        out.is_terminal
        and not is_piped(out)
        and not out.is_dumb_terminal
        and out.color_system is not None
        and not os.environ.get("CI")
    )


def put(out: Console, line: Text, *, hanging: bool = False) -> None:
    """Print a line. Servers and programs say what they like: what a terminal would obey is shown as an escape. On a
    terminal what does not fit goes on below, indented, ``hanging`` under where the line's text begins; a command that
    somebody may type is never broken.
    """
    line = safe_line(line)
    if not is_piped(out):
        line = line.copy()
        line.expand_tabs()
    under = text_column(line.plain, out.width) if hanging else INDENT
    for row in [line] if is_piped(out) else rows(line, out.width, under=under):
        out.print(row, soft_wrap=True)


def aside(text: str) -> None:
    """Tell a person something beside the result, on stderr. That nobody reads it changes nothing."""
    with suppress(OSError):
        put(console(stderr=True, no_color=True), Text(text), hanging=True)
