"""Lines of many hosts on one terminal: each with its host before it, in the host's own colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.text import Text

from fleetdeploy.domain.reaching import STDERR
from fleetdeploy.report.safe_text import safe
from fleetdeploy.rollout.reaching.commands import Done
from fleetdeploy.rollout.reaching.reading_logs import Said, Source, Told

_COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_yellow")
"""No red: that is what went wrong."""


class Prefixes:
    """``places`` are all hosts that may say something, each with its services; a service is named where it has several
    of those, or where others have another one.
    """

    def __init__(self, places: Mapping[str, Sequence[str]], *, shown: bool = True) -> None:
        several = len({service for services in places.values() for service in services}) > 1
        names = {
            (host, service): f"{host}/{service}" if several and service else host
            for host, services in places.items()
            for service in services or ("",)
        }
        self._width = max(map(len, names.values()), default=0)
        colours = {host: _COLOURS[number % len(_COLOURS)] for number, host in enumerate(places)}
        self._made = {key: (safe(name), colours[key[0]]) for key, name in names.items()}
        self._shown = shown

    def line(self, host: str, service: str, text: str, *, before: str = "") -> Text:
        """One line. ``before`` stands between the prefix and the text, dim."""
        name, colour = self._made[host, service]
        prefix = (f"{name:<{self._width}} | ", colour) if self._shown else ""
        return Text.assemble(prefix, (f"{before} " if before else "", "dim"), safe(text))


def block(done: Done) -> Iterator[Text]:
    """One command's end and what it printed, a text a line."""
    where = f"{done.host}/{done.service}" if done.service else done.host
    seconds = f"{done.seconds:.1f} s"
    if done.unreachable:
        yield Text(safe(f"{where}: UNREACHABLE: {done.failure}"), style="red bold")
    elif done.failure:
        yield Text(safe(f"{where}: FAILED: {done.failure}, {seconds}"), style="red bold")
    else:
        yield Text(safe(f"{where}: ok, {seconds}"), style="green bold")
    if done.hint:
        yield Text(safe(f"    {done.hint}"), style="dim")
    if done.left_out:
        lines = "1 line" if done.left_out == 1 else f"{done.left_out} lines"
        yield Text(f"    {lines} before these left out; --stream shows all", style="dim")
    yield from (Text(safe(line)) for line in done.lines)


def commands_json(done: Iterable[Done]) -> dict[str, list[dict[str, object]]]:
    """What each host's commands came to, by host."""
    found: dict[str, list[dict[str, object]]] = {}
    for item in done:
        found.setdefault(item.host, []).append(
            {
                "service": item.service,
                "status": item.status,
                "seconds": round(item.seconds, 3),
                "failure": item.failure,
                "hint": item.hint,
                "output": list(item.lines),
                "left_out": item.left_out,
            }
        )
    return found


def log_json(said: Said) -> dict[str, object]:
    """One line of a log."""
    return {
        "time": said.line.time,
        "host": said.source.host.name,
        "service": said.source.service,
        "container": said.container_id[:12],
        "stream": "stderr" if said.line.stream == STDERR else "stdout",
        "line": said.line.text,
    }


def told(item: Told) -> Text:
    """What there is to know of a log."""
    text = f"{_of(item.source)}: {item.text}"
    if item.hint and item.exit_code:
        text += f" ({item.hint})"
    return Text(safe(text), style="red" if item.exit_code else "dim")


def _of(source: Source) -> str:
    return f"{source.host.name}/{source.service}"
