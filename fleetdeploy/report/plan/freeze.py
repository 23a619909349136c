"""What a plan says of a freeze: until when nothing new is rolled out, and which hosts wait for its end."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from rich.text import Text

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.freeze import Freeze
from fleetdeploy.report.ending import only_comes_back
from fleetdeploy.report.wording import counted


def until_in_words(freeze: Freeze) -> str:
    """``until Mon 2026-02-02 08:00 CET``, on the clock of the window's zone."""
    if freeze.until is None:
        return f"with no end in sight, by the window {freeze.window.when!r}"
    return f"until {freeze.until.astimezone(ZoneInfo(freeze.window.zone)):%a %Y-%m-%d %H:%M %Z}"


def waiting(forecast: Forecast) -> tuple[str, ...]:
    """The hosts that would get something new, and do not in a freeze; none without one."""
    if forecast.freeze is None:
        return ()
    return tuple(name for name in forecast.changing if not only_comes_back(forecast.plan.hosts[name]))


def lines(forecast: Forecast) -> Iterator[Text]:
    """Nothing where nothing waits."""
    names = waiting(forecast)
    if forecast.freeze is None or not names:
        return
    reason = f" ({forecast.freeze.window.reason})" if forecast.freeze.window.reason else ""
    text = f"frozen {until_in_words(forecast.freeze)}{reason}: {counted(len(names), 'host')} would wait"
    yield Text(f"{text}; `deploy` is refused until then, but for --during-freeze REASON", style="yellow")


def values(forecast: Forecast) -> dict[str, object] | None:
    """None where no window is open."""
    freeze = forecast.freeze
    if freeze is None:
        return None
    return {
        "until": None if freeze.until is None else round(freeze.until.timestamp(), 1),
        "window": freeze.window.when,
        "zone": freeze.window.zone,
        "reason": freeze.window.reason,
        "waiting": list(waiting(forecast)),
    }
