"""How an error looks: what, where, what to do next, then the last lines of remote output."""

from __future__ import annotations

import json
import sys
from collections import Counter

from fleetdeploy.errors import FleetdeployError, InputError, LockHeld


def print_error(error: FleetdeployError, *, as_json: bool, no_color: bool) -> None:
    """On stderr for people; with ``--json`` on stdout for programs."""
    if as_json:
        sys.stdout.write(json.dumps(error_json(error), indent=2) + "\n")
        return
    from rich.text import Text

    from fleetdeploy.report.terminal import console, put

    out = console(stderr=True, no_color=no_color)

    def print_rows(text: Text) -> None:
        # Ours may have several rows; what somebody else said in one of them shall not move a cursor.
        for row in text.split("\n"):
            put(out, row)

    if isinstance(error, InputError):
        for problem in (item for item in error.problems if not item.one_of_many_in):
            text = Text("error: ", style="red bold")
            text.append(f"{problem.where}: " if problem.where else "", style="bold")
            print_rows(text.append(problem.message, style=""))
            if problem.hint:
                print_rows(Text(f"    {problem.hint}"))
        for file, more in Counter(item.one_of_many_in for item in error.problems if item.one_of_many_in).items():
            put(out, Text(f"and {more} more in {file}; is it an inventory?"))
        if len(error.problems) > 1:
            put(out, Text(f"{len(error.problems)} problems; nothing was touched", style="red"))
        return
    if isinstance(error, LockHeld):
        # What cron mails every time that a run takes longer than it thought.
        put(out, Text("error: ", style="red bold").append(f"{error}; {error.hint}", style=""))
        return
    print_rows(Text("error: ", style="red bold").append(str(error), style=""))
    if error.hint:
        print_rows(Text(f"    {error.hint}"))
    for row in error.detail.splitlines()[-20:]:
        print_rows(Text(f"    | {row}", style="dim"))


def error_json(error: FleetdeployError) -> dict[str, object]:
    """An error as JSON: every problem with its place and hint, and the exit code."""
    if isinstance(error, InputError):
        problems = [{"message": item.message, "where": item.where, "hint": item.hint} for item in error.problems]
    else:
        problems = [{"message": error.message, "where": error.where, "hint": error.hint}]
    return {"exit_code": error.exit_code, "error": type(error).__name__, "problems": problems, "detail": error.detail}
