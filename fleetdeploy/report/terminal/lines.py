"""The calm view of a run: one line a change, which stays. Without a terminal it is the only one, and has the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.report.host_names import shortened
from fleetdeploy.report.story.parts import Told
from fleetdeploy.report.terminal.console import is_piped, put
from fleetdeploy.report.times import clock
from fleetdeploy.tasks import registry

STEPS, COMMANDS, CONNECTIONS = 1, 2, 3
"""What ``-v``, ``-vv`` and ``-vvv`` add, each to what was shown before."""
_STAMP = len("00:00:00Z ")
_LONGEST = 300
"""Characters of a command that are shown."""


class Lines:
    """A sink. Without a terminal every line carries the time; ``quiet`` shows only failures and the end.

    Hosts that cannot be reached at the start are shown once the plan stands: without one the error names them.
    ``stamped`` says otherwise where lines are to carry the time, as for a run of yesterday.
    """

    def __init__(self, out: Console, *, quiet: bool = False, verbose: int = 0, stamped: bool | None = None) -> None:
        self._out = out
        self._quiet = quiet
        self._verbose = verbose
        self._stamps = not out.is_terminal if stamped is None else stamped
        self._headings: dict[Kind, Text] = {}
        self._services: set[str] = set()
        self._width = 0
        self._unplanned: list[Told] | None = None

    def __call__(self, event: Told) -> None:
        if event.kind == Kind.RUN_STARTED:
            hosts = event.data.get("hosts")
            names = hosts if isinstance(hosts, list) else []
            self._width = max((len(name) for name in names if isinstance(name, str)), default=0)
            self._unplanned = []
        elif event.kind == Kind.PLAN_MADE:
            held, self._unplanned = self._unplanned, None
            for item in held or ():
                self._show(item)
        elif event.kind == Kind.HOST_UNREACHABLE and self._unplanned is not None:
            self._unplanned.append(event)
        else:
            self._show(event)

    def trace(self, host: str, what: str, *, seconds: float, wire: bool = False) -> None:
        """Show a command that a host was given, or with ``wire`` what its connection did, where that is asked for."""
        if self._verbose >= (CONNECTIONS if wire else COMMANDS):
            mark = "~" if wire else "$"
            what = what if len(what) <= _LONGEST else f"{what[:_LONGEST]} ..."
            put(self._out, Text(f"{host:<{self._width}}  {mark} {what}  ({seconds:.2f} s)", style="dim"))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While a question is asked and answered."""
        yield

    def close(self) -> None:
        """Nothing more is shown."""

    def _show(self, event: Told) -> None:
        if service := event.data.get("service"):
            self._services.add(str(service))
        line = self._line(event)
        if line is None:
            return
        if event.kind in _HEADINGS:
            # Shown with the first thing that happens below them, so that a wave with nothing to do stays silent.
            if event.kind == Kind.PLAY_STARTED:
                self._headings.clear()
            self._headings[Kind(event.kind)] = self._stamped(event, line)
            return
        if self._quiet and event.kind not in _IMPORTANT:
            return
        for heading in self._headings.values():
            put(self._out, heading)
        # A play's line stands once, a wave's line above each wave.
        self._headings.clear()
        put(self._out, self._stamped(event, line))
        if event.kind in {Kind.STEP_FAILED, Kind.HOST_UNREACHABLE}:
            self._under(event.data.get("hint"), event.data.get("detail"))

    def _stamped(self, event: Told, line: Text) -> Text:
        if not self._stamps:
            return line
        stamp = f"{clock(event.time_s)}Z "
        return Text(stamp, style="dim") + line

    def _line(self, event: Told) -> Text | None:
        name = f"{event.host:<{self._width}}  " + (f"{event.task:<9} " if event.task else "")
        what = self._of_service(event)
        if event.kind == Kind.PLAY_STARTED:
            return Text(f"PLAY {event.message}", style="bold")
        if event.kind == Kind.WAVE_STARTED and event.data.get("waves") != 1:
            wave = f"wave {event.data.get('wave')} of {event.data.get('waves')}: "
            return Text(wave + self._shown(event, room=self._out.width - len(wave) - _STAMP), style="bold")
        if event.kind in _STEPS:
            return self._of_step(event, name, what)
        if event.kind == Kind.HOST_UNREACHABLE:
            return Text(f"{name}UNREACHABLE: {first_line(event.message)}", style="red")
        if event.kind == Kind.REVERT_STARTED:
            return Text(f"{name}going back to what it served", style="magenta")
        if event.kind == Kind.ROLLOUT_STOPPED:
            after = f" after {event.host}" if event.host else f": {first_line(event.message)}"
            return Text(f"STOPPED{after}: no further host is touched", style="red bold")
        if event.kind in _DEBTS:
            return Text(f"{name}{event.message}", style=_DEBTS[Kind(event.kind)])
        if event.kind == Kind.SOAK_STARTED:
            return Text(f"soaking {event.message}", style="dim")
        return self._of_watch(event, f"{name}{what}{event.message}")

    def _shown(self, wave: Told, *, room: int) -> str:
        """A wave's hosts; on a terminal as many of them as one line holds."""
        hosts = wave.data.get("hosts")
        if is_piped(self._out) or not isinstance(hosts, list):
            return wave.message
        return shortened([str(name) for name in hosts], room)

    def _of_step(self, event: Told, name: str, what: str) -> Text | None:
        if event.kind == Kind.STEP_STARTED and (self._verbose or event.data.get("undo")):
            return Text(f"{name}{what}{event.message} ...", style="dim")
        if event.kind == Kind.STEP_PROGRESS and self._verbose:
            return Text(f"{name}{what}{event.message}", style="dim")
        if event.kind == Kind.STEP_FINISHED and not event.data.get("undo"):
            # Before the message, which may be long: at the end it would stand alone on a line of a narrow terminal.
            seconds = event.data.get("seconds")
            took = Text(f"{seconds if isinstance(seconds, (int, float)) else 0:5.1f} s  ", style="dim")
            return Text(name) + took + Text(f"{what}{event.message}")
        if event.kind == Kind.STEP_FAILED and event.data.get("stopped"):
            return Text(f"{name}{what}{first_line(event.message)}", style="dim")
        if event.kind == Kind.STEP_FAILED:
            return Text(f"{name}{what}FAILED: {first_line(event.message)}", style="red")
        return None

    def _of_watch(self, event: Told, text: str) -> Text | None:
        """A watchdog that went back, or could not, is told; any other only where everything is."""
        if event.kind == Kind.WATCH_ENDED and event.data.get("state") in _WENT_BACK:
            return Text(text, style="magenta")
        watches = event.kind in {Kind.WATCH_ARMED, Kind.WATCH_ENDED}
        return Text(text, style="dim") if watches and self._verbose else None

    def _of_service(self, event: Told) -> str:
        """The service's name, in a run that has more than one, of a task that is about one of them."""
        service, task = event.data.get("service"), registry().get(event.task)
        if not service or len(self._services) < 2 or (task is not None and task.per_host):
            return ""
        return f"{service}: "

    def _under(self, hint: object, detail: object) -> None:
        if hint:
            put(self._out, Text(f"    {hint}"))
        for row in str(detail or "").splitlines()[-20:]:
            put(self._out, Text(f"    | {row}", style="dim"))


def first_line(text: str) -> str:
    """Of what may be many: servers answer with stack traces, which the journal keeps whole."""
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
