"""The plays of a plan as text: their waves, what stays in service through each, and how long they take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from fleetdeploy.config.fields.durations import written_duration
from fleetdeploy.domain.forecast import Expected, Forecast, PlayForecast, ServiceForecast, WaveForecast
from fleetdeploy.report.host_names import COLUMNS, shortened, wrapped
from fleetdeploy.report.plan.refusal_text import run_refusal_lines
from fleetdeploy.report.wording import counted

WAVES = 10
"""More waves than this are told together from the last of these on."""


def lines(forecast: Forecast, *, every_name: bool = False) -> Iterator[Text]:
    """Why the run as a whole would be refused, and every play with work. ``every_name`` shortens no list of hosts."""
    of_plays = {refusal for play in forecast.plays for refusal in play.refusals}
    yield from run_refusal_lines(
        (refusal for refusal in forecast.refusals if refusal not in of_plays), every_name=every_name
    )
    for play in forecast.plays:
        yield from _play(play, every_name=every_name)


def in_words(expected: Expected | None) -> str:
    """``about 40 s``, ``at least 3 min``, ``about 1 h 20 min``; empty where nothing is known."""
    if expected is None:
        return ""
    seconds = expected.seconds
    about = "at least" if expected.at_least else "about"
    if seconds < 1:
        return "" if expected.at_least else "about 1 s"
    if seconds < 99.5:
        return f"{about} {seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{about} {minutes} min"
    if minutes >= 2 * 24 * 60:
        return f"{about} {round(minutes / 60 / 24)} days"
    hours, rest = divmod(round(minutes, -1), 60)
    return f"{about} {hours} h" + (f" {rest} min" if rest else "")


def _play(play: PlayForecast, *, every_name: bool) -> Iterator[Text]:
    hosts = counted(len(play.hosts), "host")
    waves = "" if len(play.waves) == 1 else f" in {len(play.waves)} waves"
    if play.refusals:
        yield _head(play, "refused")
        yield from run_refusal_lines(play.refusals, before="  ", every_name=every_name)
        if play.bound:
            yield from _waves(play, every_name=every_name)
    elif not play.foreseen:
        yield _head(play, f"{hosts}{waves}, may have work; found out when it is their turn")
    elif not play.bound:
        yield _head(play, f"{hosts}{waves}, takes none out of service", in_words(play.expected))
    else:
        yield _head(play, counted(len(play.waves), "wave"), in_words(play.expected))
        yield Text("  " + _limits(play))
        yield from _waves(play, every_name=every_name)


def _head(play: PlayForecast, *said: str) -> Text:
    return Text(f'play "{play.name}"', style="bold") + Text(": " + ", ".join(filter(None, said)))


def _limits(play: PlayForecast) -> str:
    found = [f"may be out at once: {play.max_unavailable} of {counted(play.total, 'host')}"]
    if play.min_available:
        found.append(f"min_available: {play.min_available}" + (f" of each {play.spread}" if play.spread else ""))
    if play.watched_s:
        found.append(f"a host that hears nothing for {written_duration(play.watched_s)} goes back by itself")
    if any(wave.service is None for wave in play.waves):
        found.append("what serves now is not known")
    return "; ".join(found)


def _waves(play: PlayForecast, *, every_name: bool) -> Iterator[Text]:
    alone = every_name or len(play.waves) <= WAVES
    single = play.waves if alone else play.waves[: WAVES - 1]
    rows = [(f"wave {wave.number}:", wave.hosts, _stays(wave.service, play)) for wave in single]
    rest = play.waves[len(single) :]
    if rest:
        names = tuple(name for wave in rest for name in wave.hosts)
        rows.append((f"waves {rest[0].number} to {rest[-1].number}:", names, _stays(_least(rest), play)))
    right = max(len(stays) for *_, stays in rows)
    cells = []
    for title, names, stays in rows:
        # Two columns before it, one behind it, and two between names and what stays in service.
        room = COLUMNS - 3 - len(title) - (right + 2 if right else 0)
        shown = shortened(names, room)
        # A list that does not fit stands below its row as a whole.
        below = names if every_name and shown != ", ".join(names) else ()
        cells.append((f"  {title} {counted(len(names), 'host') if below else shown}", stays, below))
    left = max(len(cell) for cell, *_ in cells)
    for cell, stays, below in cells:
        yield Text(f"{cell:<{left}}  {stays}".rstrip())
        yield from map(Text, wrapped(below, "    ", "    "))


def _least(waves: Sequence[WaveForecast]) -> ServiceForecast | None:
    """The wave of these that leaves the fewest hosts in service; None where nobody knows."""
    known = [wave.service for wave in waves if wave.service is not None]
    return min(known, key=lambda service: service.lowest, default=None)


def _stays(service: ServiceForecast | None, play: PlayForecast) -> str:
    if service is None:
        return ""
    if not service.taken_out:
        return f"takes none out, {service.lowest} of {play.total} in service"
    domain = service.domain
    of_it = f", {domain.lowest} of {domain.total} in {domain.name}" if domain and domain.name else ""
    few = service.side_by_side < len(service.taken_out)
    at_a_time = f", {service.side_by_side} at a time" if few and service.side_by_side else ""
    return f"{service.lowest} of {play.total} stay in service{of_it}{at_a_time}"
