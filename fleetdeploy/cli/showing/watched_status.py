"""``fleetdeploy status --watch``: look after look, at the same place of a terminal, one below the other elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from fleetdeploy.errors import HostKeyRefused
from fleetdeploy.report.terminal import aside, may_move
from fleetdeploy.report.times import lasted
from fleetdeploy.rollout.interrupt import Interrupts

if TYPE_CHECKING:
    from fleetdeploy.cli.showing.status import StatusView
    from fleetdeploy.domain.protocols import Clock
    from fleetdeploy.rollout.looking import Look, Looks

AWAKE_S = 0.2
"""How long a signal waits between two looks."""


def watch(view: StatusView, looks: Looks, clock: Clock, *, every_s: float, within_s: float) -> int:
    """Show looks until a signal, until ``within_s`` is over, or, where it was asked for, until the fleet is converged
    or cannot be: a refused key stays refused.

    Returns 130 for Ctrl-C, as `logs -f` does: a script that somebody wants out of must not go on. 143 for SIGTERM and a
    terminal that went away.
    """
    interrupts = Interrupts(lambda _: None)
    last: Look | None = None
    over_s, late = clock.monotonic_s() + within_s, False
    with interrupts, _screen(view, clock, every_s) as show:
        while True:
            look = looks.look(over=lambda: bool(interrupts.requested))
            if interrupts.requested:
                break  # it was cut short, and may lack hosts that are well
            last = look
            show(look)
            if view.ends_when_converged and view.exit_code(look) in {0, HostKeyRefused.exit_code}:
                break
            if late := clock.monotonic_s() >= over_s:
                break
            end = min(clock.monotonic_s() + every_s, over_s)
            while (rest := end - clock.monotonic_s()) > 0 and not interrupts.requested:
                clock.wait(min(rest, AWAKE_S))
    if late:
        aside(f"note: the watch is over after {lasted(within_s)}; --within TIME makes it longer")
    if last is not None and may_move(view.out) and not view.json:
        view.show(last)
    return 128 + interrupts.requested if last is None or interrupts.requested else view.exit_code(last)


@contextmanager
def _screen(view: StatusView, clock: Clock, every_s: float) -> Iterator[Callable[[Look], None]]:
    out = view.out

    def stamp() -> str:
        return datetime.fromtimestamp(clock.now_s(), tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def as_line(look: Look) -> None:
        sys.stdout.write(json.dumps({"time": stamp(), **view.values(look)}, default=str) + "\n")
        sys.stdout.flush()

    def below(look: Look) -> None:
        out.print(Text(f"-- {stamp()}", style="dim"))
        view.show(look)
        out.file.flush()

    if view.json or not may_move(out):
        yield as_line if view.json else below
        return
    # Neither another screen nor a hidden cursor: a process that is killed could not bring them back.
    with Live(Text("asking ..."), console=out, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
        out.show_cursor(True)

        def in_place(look: Look) -> None:
            rows = list(view.lines(look, most=out.height - 2))
            head = Text(f"{stamp()}  every {every_s:g} s, Ctrl-C ends it", style="dim")
            for row in (head, *rows):
                row.no_wrap, row.overflow = True, "ellipsis"
            live.update(Group(head, *rows), refresh=True)

        yield in_place
