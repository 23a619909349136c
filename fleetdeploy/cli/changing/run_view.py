"""What a person sees of a run while it goes on."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from fleetdeploy.domain.forecast import Forecast
    from fleetdeploy.domain.protocols import Clock
    from fleetdeploy.remote.ssh.tracing import Trace
    from fleetdeploy.report.terminal import Lines
    from fleetdeploy.report.terminal.live import Board


def chosen(out: Console, arguments: argparse.Namespace, clock: Clock) -> Lines | Board:
    """A board where one can be drawn, with the news above it; else a line for each change."""
    from fleetdeploy.report.terminal import Lines, may_move

    verbose = 0 if arguments.quiet else int(arguments.verbose)
    if getattr(arguments, "news_only", False) and not verbose:
        from fleetdeploy.report.terminal.news import News

        return News(out, quiet=arguments.quiet)
    if arguments.quiet or getattr(arguments, "no_live", False) or not may_move(out):
        return Lines(out, quiet=arguments.quiet, verbose=verbose)
    from fleetdeploy.report.terminal.live import Board

    return Board(out, Lines(out, quiet=not verbose, verbose=verbose), now_s=clock.now_s)


def trace(view: Lines | Board, arguments: argparse.Namespace) -> Trace | None:
    """What shows the commands and connections of hosts, where that is asked for."""
    from fleetdeploy.report.terminal.lines import COMMANDS

    if arguments.quiet or arguments.verbose < COMMANDS:
        return None

    def shown(host: str, what: str, *, seconds: float, wire: bool) -> None:
        # Before it is cut: half a secret is one that nobody would find any more.
        view.trace(host, arguments.redactor.text(what), seconds=seconds, wire=wire)

    return shown


def show_plan(expected: Forecast, arguments: argparse.Namespace) -> None:
    """The plan that is about to be carried out."""
    from fleetdeploy.report.plan import text
    from fleetdeploy.report.terminal import console, put

    out = console(stderr=True, no_color=arguments.no_color)
    with suppress(OSError):  # what is carried out does not hang on who reads
        for line in text.lines(expected, every_name=bool(arguments.verbose)):
            put(out, line, hanging=True)
