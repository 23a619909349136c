"""How a run ended: a line a host in the shape of Ansible's recap, why hosts failed, what to type, the last line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from fleetdeploy.domain.outcome import HostState
from fleetdeploy.report.host_names import shortened
from fleetdeploy.report.safe_text import safe
from fleetdeploy.report.story.parts import HostStory
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.verdict import WHY, what_next
from fleetdeploy.report.terminal.console import is_piped, put
from fleetdeploy.report.terminal.lines import first_line

EACH_UP_TO = 60
"""On a terminal, hosts that went well have a line each in a run of at most so many."""

_WELL = (HostState.CHANGED, HostState.OK)
_COUNTED = (HostState.FAILED, HostState.UNREACHABLE, HostState.SKIPPED, HostState.REVERTED)
_STYLE = {
    HostState.OK: "green",
    HostState.CHANGED: "yellow",
    HostState.REVERTED: "magenta",
    HostState.FAILED: "red",
    HostState.UNREACHABLE: "red",
    HostState.SKIPPED: "dim",
}


def recap(out: Console, story: RunStory, *, quiet: bool = False, every_host: bool = False, again: bool = False) -> None:
    """Show it. ``quiet`` leaves out hosts that went well. On a terminal those are only counted in a run of more than
    EACH_UP_TO, unless ``every_host``; what is piped always has a line for each. ``again`` is of a run that
    is looked at already: that is not what to type next.
    """
    ended = [_Ended(host, HostState(host.state)) for host in story.hosts.values() if host.state in _STATES]
    shown = [item for item in ended if not quiet or item.state not in _WELL]
    # A person's own command has been done on every host, although nothing counts as changed.
    if shown and (story.own or any(item.state is not HostState.OK for item in shown)):
        put(out, Text("RECAP", style="bold"))
        _hosts(out, shown, each=every_host or is_piped(out) or len(ended) <= EACH_UP_TO)
        for line in _reasons(shown, width=max(40, out.width)):
            put(out, line)
    for row in _next(story, again=again):
        put(out, Text(row))
    first, *more = (story.refusal or story.last_line).split("\n")
    put(out, Text(first, style="green bold" if story.exit_code == 0 else "red bold"))
    for row in more:
        put(out, Text(row))


class _Ended:
    """A host's end. One that failed and is back on what it served has failed all the same."""

    def __init__(self, host: HostStory, state: HostState) -> None:
        self.host = host
        self.state = state

    def line(self, width: int) -> Text:
        own = self.state is HostState.REVERTED and not self.host.taken_back
        count = Counter((HostState.FAILED, HostState.REVERTED) if own else (self.state,))
        cells = [
            f"ok={self.host.steps_ok}",
            f"changed={self.host.steps_changed}",
            *(f"{state.value}={count[state]}" for state in _COUNTED),
        ]
        return Text(f"{self.host.name:<{width}} : {' '.join(cells)}", style=_STYLE[self.state])

    @property
    def why(self) -> tuple[str, str]:
        """The reason and what to do about it; empty where nothing went wrong."""
        if not self.host.reason or (self.state in _WELL and not self.host.taken_back):
            return "", ""
        return first_line(self.host.reason), first_line(self.host.hint)


def _hosts(out: Console, ended: list[_Ended], *, each: bool) -> None:
    rows = ended if each else [item for item in ended if item.state not in (*_WELL, HostState.SKIPPED)]
    width = max((len(item.host.name) for item in rows), default=0)
    for item in rows:
        put(out, item.line(width))
    left = Counter(item.state for item in ended if item not in rows)
    if left:
        counts = ", ".join(f"{left[state]} {state.value}" for state in HostState if left[state])
        put(out, Text(f"{'and ' if rows else ''}{counts} (-v: a line for each)", style="dim"))


def _reasons(ended: list[_Ended], *, width: int) -> Iterator[Text]:
    """Each reason once, with the hosts that have it: first of those that failed themselves."""
    worst_first = sorted(ended, key=lambda item: _ORDER[item.state] + bool(item.host.taken_back))
    found: dict[tuple[str, str], list[_Ended]] = {item.why: [] for item in worst_first if item.why[0]}
    for item in ended:
        if item.why in found:
            found[item.why].append(item)
    for (reason, hint), items in found.items():
        names = shortened([safe(item.host.name) for item in items], width // 2)
        yield Text(names, style=_STYLE[items[0].state]) + Text(f": {reason}", style="")
        if hint:
            yield Text(f"    {hint}")


def _next(story: RunStory, *, again: bool) -> Iterator[str]:
    """What to type, up to what goes on: each command on a row of its own. One that the last line names stands there
    alone.
    """
    for number, item in enumerate(what_next(story)):
        if again and item.why == WHY:
            continue
        if item.command in story.last_line:
            yield from (f"{item.why}: the command below",) if number else ()
        else:
            yield from (f"{item.why}:", f"  {item.command}") if number else (f"next: {item.command}",)
        if not item.look:
            return


_STATES = frozenset(state.value for state in HostState)
_ORDER = {
    HostState.FAILED: 0,
    HostState.REVERTED: 0,
    HostState.UNREACHABLE: 2,
    HostState.CHANGED: 3,
    HostState.OK: 3,
    HostState.SKIPPED: 4,
}
