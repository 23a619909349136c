"""The run on a terminal or in a log: one line a change, a recap with one line a host, and a true last line."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime, timezone

from rich.console import Console
from rich.text import Text

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.outcome import HostOutcome, HostState, RunOutcome
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.report.safe_text import safe_line
from fleetdeploy.tasks import registry

_STATE_STYLE = {
    HostState.OK: "green",
    HostState.CHANGED: "yellow",
    HostState.REVERTED: "magenta",
    HostState.FAILED: "red",
    HostState.UNREACHABLE: "red",
    HostState.SKIPPED: "dim",
}


class _Progress(Console):
    """Progress goes to stderr. That nobody reads it any longer ends no run: whoever prints decides what it means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, stderr: bool, no_color: bool) -> Console:
    """A console that does not guess at markup. Lines break between words on a terminal, and nowhere else: what is piped
    stays greppable.

    Without colour there is no escape sequence at all; rich's own ``no_color`` and NO_COLOR would leave bold and dim.
    """
    plain = no_color or bool(os.environ.get("NO_COLOR"))
    kind = _Progress if stderr else Console
    out = kind(stderr=stderr, color_system=None if plain else "auto", highlight=False, markup=False)
    out.soft_wrap = not out.file.isatty()  # not by `is_terminal`, which FORCE_COLOR makes true for a pipe
    return out


class Terminal:
    """A sink. Without a terminal every line carries the time; ``quiet`` shows only failures and the end.

    Hosts that cannot be reached at the start are shown once the plan stands: without one the error names them.
    """

    def __init__(self, out: Console, *, quiet: bool = False, verbose: bool = False) -> None:
        self._out = out
        self._quiet = quiet
        self._verbose = verbose
        self._headings: dict[Kind, Text] = {}
        self._services: set[str] = set()
        self._width = 0
        self._unplanned: list[Event] | None = None

    def __call__(self, event: Event) -> None:
        if event.kind is Kind.RUN_STARTED:
            hosts = event.data.get("hosts")
            self._width = max(map(len, hosts), default=0) if isinstance(hosts, list) else 0
            self._unplanned = []
        elif event.kind is Kind.PLAN_MADE:
            held, self._unplanned = self._unplanned, None
            for item in held or ():
                self._show(item)
        elif event.kind is Kind.HOST_UNREACHABLE and self._unplanned is not None:
            self._unplanned.append(event)
        else:
            self._show(event)

    def _show(self, event: Event) -> None:
        if service := event.data.get("service"):
            self._services.add(str(service))
        line = self._line(event)
        if line is None:
            return
        if event.kind in _HEADINGS:
            # Shown with the first thing that happens below them, so that a wave with nothing to do stays silent.
            if event.kind is Kind.PLAY_STARTED:
                self._headings.clear()
            self._headings[event.kind] = self._stamped(event, line)
            return
        if self._quiet and event.kind not in _IMPORTANT:
            return
        for heading in self._headings.values():
            self._print(heading)
        # A play's line stands once, a wave's line above each wave.
        self._headings.clear()
        self._print(self._stamped(event, line))
        if event.kind in {Kind.STEP_FAILED, Kind.HOST_UNREACHABLE}:
            self._under(event.data.get("hint"), event.data.get("detail"))

    def _stamped(self, event: Event, line: Text) -> Text:
        if self._out.is_terminal:
            return line
        stamp = datetime.fromtimestamp(event.time_s, tz=timezone.utc).strftime("%H:%M:%SZ ")
        return Text(stamp, style="dim") + line

    def _line(self, event: Event) -> Text | None:
        name = f"{event.host:<{self._width}}  " + (f"{event.task:<9} " if event.task else "")
        what = self._of_service(event)
        if event.kind is Kind.PLAY_STARTED:
            return Text(f"PLAY {event.message}", style="bold")
        if event.kind is Kind.WAVE_STARTED and event.data["waves"] != 1:
            return Text(f"wave {event.data['wave']} of {event.data['waves']}: {event.message}", style="bold")
        if event.kind in _STEPS:
            return self._of_step(event, name, what)
        if event.kind is Kind.HOST_UNREACHABLE:
            return Text(f"{name}UNREACHABLE: {_first(event.message)}", style="red")
        if event.kind is Kind.REVERT_STARTED:
            return Text(f"{name}going back to what it served", style="magenta")
        if event.kind is Kind.ROLLOUT_STOPPED:
            after = f" after {event.host}" if event.host else f": {_first(event.message)}"
            return Text(f"STOPPED{after}: no further host is touched", style="red bold")
        if event.kind in _DEBTS:
            return Text(f"{name}{event.message}", style=_DEBTS[event.kind])
        if event.kind is Kind.SOAK_STARTED:
            return Text(f"soaking {event.message}", style="dim")
        return self._of_watch(event, f"{name}{what}{event.message}")

    def _of_step(self, event: Event, name: str, what: str) -> Text | None:
        if event.kind is Kind.STEP_STARTED and (self._verbose or event.data.get("undo")):
            return Text(f"{name}{what}{event.message} ...", style="dim")
        if event.kind is Kind.STEP_PROGRESS and self._verbose:
            return Text(f"{name}{what}{event.message}", style="dim")
        if event.kind is Kind.STEP_FINISHED and not event.data.get("undo"):
            # Before the message, which may be long: at the end it would stand alone on a line of a narrow terminal.
            seconds = Text(f"{event.data.get('seconds', 0):5.1f} s  ", style="dim")
            return Text(name) + seconds + Text(f"{what}{event.message}")
        if event.kind is Kind.STEP_FAILED and event.data.get("stopped"):
            return Text(f"{name}{what}{_first(event.message)}", style="dim")
        if event.kind is Kind.STEP_FAILED:
            return Text(f"{name}{what}FAILED: {_first(event.message)}", style="red")
        return None

    def _of_watch(self, event: Event, text: str) -> Text | None:
        """A watchdog that went back, or could not, is told; any other only where everything is."""
        if event.kind is Kind.WATCH_ENDED and event.data.get("state") in _WENT_BACK:
            return Text(text, style="magenta")
        watches = event.kind in {Kind.WATCH_ARMED, Kind.WATCH_ENDED}
        return Text(text, style="dim") if watches and self._verbose else None

    def _of_service(self, event: Event) -> str:
        """The service's name, in a run that has more than one, of a task that is about one of them."""
        service, task = event.data.get("service"), registry().get(event.task)
        if not service or len(self._services) < 2 or (task is not None and task.per_host):
            return ""
        return f"{service}: "

    def _under(self, hint: object, detail: object) -> None:
        if hint:
            self._print(Text(f"    {hint}"))
        for row in str(detail or "").splitlines()[-20:]:
            self._print(Text(f"    | {row}", style="dim"))

    def _print(self, line: Text) -> None:
        """Servers and programs say what they like: what a terminal would obey is shown as an escape."""
        self._out.print(safe_line(line))


def recap(out: Console, outcome: RunOutcome, *, quiet: bool = False) -> None:
    """One line a host in the shape of Ansible's play recap, every failure's reason, and the last line."""
    bad = {state for state in HostState if state not in {HostState.OK, HostState.CHANGED}}
    shown = [item for item in outcome.hosts.values() if not quiet or item.state in bad]
    if shown and any(item.state is not HostState.OK for item in shown):
        out.print(Text("RECAP", style="bold"))
        width = max(len(item.host) for item in shown)
        for item in shown:
            count = Counter(_counted_as(item))
            cells = [
                f"ok={item.steps_ok}",
                f"changed={item.steps_changed}",
                *(f"{state.value}={count[state]}" for state in _RECAP_STATES),
            ]
            out.print(Text(f"{item.host:<{width}} : {' '.join(cells)}", style=_STATE_STYLE[item.state]))
            if item.reason and (item.state in bad or item.taken_back):
                out.print(safe_line(Text(f"{'':<{width}}   {_first(item.reason)}")))
    style = "green" if outcome.exit_code == 0 else "red"
    out.print(safe_line(Text(outcome.last_line, style=f"{style} bold")))


def _counted_as(outcome: HostOutcome) -> tuple[HostState, ...]:
    """The columns that a host counts in: one that failed and is back on what it served has failed all the same."""
    own = outcome.state is HostState.REVERTED and not outcome.taken_back
    return (HostState.FAILED, HostState.REVERTED) if own else (outcome.state,)


def _first(text: str) -> str:
    """The first line: servers answer with stack traces, which the journal keeps whole."""
    return text.split("\n", 1)[0]


_DEBTS = {Kind.DEBT_MADE: "yellow", Kind.DEBT_SETTLED: ""}
_STEPS = frozenset({Kind.STEP_STARTED, Kind.STEP_PROGRESS, Kind.STEP_FINISHED, Kind.STEP_FAILED})
_HEADINGS = frozenset({Kind.PLAY_STARTED, Kind.WAVE_STARTED})
_IMPORTANT = frozenset(
    {
        Kind.STEP_FAILED,
        Kind.ROLLOUT_STOPPED,
        Kind.HOST_UNREACHABLE,
        Kind.REVERT_STARTED,
        Kind.WATCH_ENDED,
        Kind.DEBT_MADE,
    }
)
_WENT_BACK = frozenset({WatchState.RESTORED.value, WatchState.FAILED.value})
_RECAP_STATES = (HostState.FAILED, HostState.UNREACHABLE, HostState.SKIPPED, HostState.REVERTED)
