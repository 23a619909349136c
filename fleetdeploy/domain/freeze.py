"""Freeze windows: times in which nothing new is rolled out. Pure: the time is told, no clock is read.

A window begins when its cron expression says so on the clock of its zone, as Debian's cron reads it: a time that a
change of the clocks leaves out begins right behind the gap, one that comes twice begins the first time. It is as long
as it says on that same clock, so that Friday 18:00 and 62h is Monday 08:00 all the year. An end that the clocks leave
out is where they jump, one that comes twice is the second.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

FIELDS = 5
_SHIFT = timedelta(hours=26)
"""More than any zone's clock was ever moved by at once."""
_SIGHT = timedelta(days=35)
"""Windows that follow each other for longer have no end in sight."""


@dataclass(frozen=True)
class FreezeWindow:
    """``when`` is a cron expression of five fields, ``duration_s`` seconds on the clock of ``zone``, an IANA name."""

    when: str
    duration_s: float
    zone: str
    reason: str = ""

    def beginnings(self, after: datetime) -> Iterator[datetime]:
        """When it begins, from the first time behind ``after`` on, in UTC."""
        start = after.astimezone(ZoneInfo(self.zone))
        return (found.astimezone(timezone.utc) for found in CronSim(self.when, start))

    def end_of(self, beginning: datetime) -> datetime:
        """When the one that begins then is over, in UTC."""
        zone = ZoneInfo(self.zone)
        on_the_wall = beginning.astimezone(zone).replace(tzinfo=None) + timedelta(seconds=self.duration_s)
        return _last_moment_of(on_the_wall, zone)

    def around(self, now: datetime) -> Iterator[tuple[datetime, datetime, FreezeWindow]]:
        """Beginnings and ends, in the order of the beginnings, from before any that may hold ``now`` on."""
        before = now - timedelta(seconds=self.duration_s) - _SHIFT
        return ((beginning, self.end_of(beginning), self) for beginning in self.beginnings(before))


@dataclass(frozen=True)
class Freeze:
    """A freeze that goes on. ``until`` is when no window holds any more, in UTC; None where that is not in sight.

    Of several windows ``window`` is the one that ends last of those that hold now.
    """

    window: FreezeWindow
    until: datetime | None


def freeze_at(windows: Sequence[FreezeWindow], now: datetime) -> Freeze | None:
    """What freezes the fleet at ``now``, if anything does. A window holds its first moment, and not its last."""
    holds: FreezeWindow | None = None
    until = now
    merged = heapq.merge(*(window.around(now) for window in windows), key=itemgetter(0))
    for beginning, end, window in merged:
        if beginning > until or (beginning > now and holds is None):
            break
        if end > until:
            until = end
            holds = window if beginning <= now else holds
        if until - now > _SIGHT:
            break
    if holds is None:
        return None
    return Freeze(holds, until if until - now <= _SIGHT else None)


def why_not_cron(text: str) -> str:
    """What is wrong with a cron expression; empty for one that is fine and holds at some time."""
    if len(text.split()) != FIELDS:
        return f"{len(text.split())} fields instead of {FIELDS}"
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=timezone.utc)))
    except CronSimError as error:
        return str(error).lower()
    except StopIteration:
        return "a time that never comes"
    return ""


def _last_moment_of(on_the_wall: datetime, zone: ZoneInfo) -> datetime:
    """From when on the zone's clock shows this time or a later one for good, in UTC."""
    first, second = (
        on_the_wall.replace(tzinfo=zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1)
    )  # fmt: skip
    if first <= second:
        return second
    # Left out by the clock, which jumps somewhere in between: at the first moment that shows as much.
    low, high = second, first
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        shown = middle.astimezone(zone).replace(tzinfo=None)
        low, high = (middle, high) if shown < on_the_wall else (low, middle)
    return high.replace(microsecond=0)
