"""A run on a terminal or in a log: a board while it goes on, lines that stay, and a recap with a true last line."""

from __future__ import annotations

from fleetdeploy.report.terminal.console import aside, console, is_piped, may_move, put
from fleetdeploy.report.terminal.lines import Lines
from fleetdeploy.report.terminal.recap import recap
from fleetdeploy.report.terminal.shown_again import show

__all__ = ["Lines", "aside", "console", "is_piped", "may_move", "put", "recap", "show"]
