"""Freeze windows on the clocks of their zones, with gaps and folds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.freeze import FreezeWindow, freeze_at, why_not_cron

BERLIN = "Europe/Berlin"
WEEKEND = FreezeWindow("0 18 * * fri", 62 * 3600, BERLIN, "weekend")
HOUR_S = 3600.0
ZONES = (
    "UTC",
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
)


def at(text: str, zone: str = BERLIN, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def until(window: FreezeWindow, now: datetime) -> str | None:
    """Until when, on the window's own clock; None where nothing is frozen."""
    found = freeze_at([window], now)
    return found and found.until and f"{found.until.astimezone(ZoneInfo(window.zone)):%Y-%m-%d %H:%M %Z}"


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-02-06 17:59:59", None),
        ("2026-02-06 18:00:00", "2026-02-09 08:00 CET"),
        ("2026-02-08 23:59:59", "2026-02-09 08:00 CET"),
        ("2026-02-09 07:59:59", "2026-02-09 08:00 CET"),
        ("2026-02-09 08:00:00", None),
        ("2026-03-29 12:00:00", "2026-03-30 08:00 CEST"),
        ("2026-03-30 07:59:59", "2026-03-30 08:00 CEST"),
        ("2026-03-30 08:00:00", None),
        ("2026-10-26 07:59:59", "2026-10-26 08:00 CET"),
        ("2026-10-26 08:00:00", None),
    ],
)
def test_a_weekend_ends_on_monday_all_the_year(now: str, end: str | None) -> None:
    """From its first moment to its last but one, and as long on the clock on the wall when clocks are changed."""
    assert until(WEEKEND, at(now)) == end


@pytest.mark.parametrize(
    ("when", "hours", "now", "end"),
    [
        # 02:00 to 03:00 is left out on 29 March: what begins there begins at 03:00.
        ("30 2 * * *", 1, at("2026-03-29 01:59:59"), None),
        ("30 2 * * *", 1, at("2026-03-29 03:00"), "2026-03-29 04:00 CEST"),
        # An end that is left out is where the clock jumps.
        ("30 1 * * *", 1, at("2026-03-29 01:59:59"), "2026-03-29 03:00 CEST"),
        ("30 1 * * *", 1, at("2026-03-29 03:00"), None),
        # 02:00 to 03:00 comes twice on 25 October: it begins the first time, and ends the second.
        ("0 2 * * *", 0.5, at("2026-10-25 02:00", fold=0), "2026-10-25 02:30 CET"),
        ("0 2 * * *", 0.5, at("2026-10-25 02:29", fold=1), "2026-10-25 02:30 CET"),
        ("0 2 * * *", 0.5, at("2026-10-25 02:30", fold=1), None),
    ],
)
def test_times_that_the_clock_leaves_out_or_shows_twice(
    when: str, hours: float, now: datetime, end: str | None
) -> None:
    """A gap moves a beginning behind it and an end to its jump; a fold is in the window as a whole."""
    assert until(FreezeWindow(when, hours * HOUR_S, BERLIN), now) == end


def test_windows_that_follow_each_other_are_one_freeze() -> None:
    """Until when is said over all of them, and the window that is named is one that holds now."""
    night = FreezeWindow("0 20 * * *", 12 * HOUR_S, "UTC", "night")
    day = FreezeWindow("0 8 24 12 *", 12 * HOUR_S, "UTC", "Christmas Eve")
    found = freeze_at([night, day], at("2026-12-24 02:00", "UTC"))
    assert found is not None
    assert (found.window, found.until) == (night, at("2026-12-25 08:00", "UTC"))
    alone = freeze_at([day], at("2026-12-24 09:00", "UTC"))
    assert alone is not None
    assert alone.until == at("2026-12-24 20:00", "UTC")


def test_of_several_the_one_that_ends_last_is_named() -> None:
    """Who is refused is told of the window that keeps him longest."""
    short = FreezeWindow("0 6 * * *", 2 * HOUR_S, "UTC")
    long = FreezeWindow("0 5 * * *", 9 * HOUR_S, "UTC")
    for windows in ([short, long], [long, short]):
        found = freeze_at(windows, at("2026-02-03 07:00", "UTC"))
        assert found is not None
        assert found.window == long


def test_a_freeze_without_an_end_says_so() -> None:
    """Windows that always overlap have no end in sight."""
    found = freeze_at([FreezeWindow("0 * * * *", 2 * HOUR_S, "UTC")], at("2026-02-03 07:00", "UTC"))
    assert found is not None
    assert found.until is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 18 * * fri", ""),
        ("*/15 8-18 1,15 jan-mar 1#2", ""),
        ("0 18 * *", "4 fields instead of 5"),
        ("0 0 18 * * fri", "6 fields instead of 5"),
        ("@daily", "1 fields instead of 5"),
        ("60 * * * *", "bad minute"),
        ("0 18 * * fry", "bad day-of-week"),
        ("0 0 31 2 *", "bad day-of-month"),
    ],
)
def test_what_is_wrong_with_an_expression(text: str, why: str) -> None:
    """Five fields, each of which can be met; the field that cannot be is named."""
    assert why_not_cron(text) == why


FIELDS = st.tuples(
    st.sampled_from(["0", "30", "59", "*/20"]), st.sampled_from(["*", "0", "1", "2", "3", "23", "*/6"]),
    st.just("*"), st.just("*"), st.sampled_from(["*", "sun", "mon-fri"]),
).map(" ".join)  # fmt: skip
WINDOWS = st.builds(
    FreezeWindow, FIELDS, st.integers(1, 72 * 60).map(lambda minutes: minutes * 60.0), st.sampled_from(ZONES)
)
CHANGES = ((2, 15), (3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1))
# Around the changes of the clocks in 2026, in all these zones, and a day that Samoa left out.
MOMENTS = st.one_of(
    *(
        st.integers(-60 * 36, 60 * 36).map(lambda minutes, day=day: day + timedelta(minutes=minutes))
        for day in (
            *(datetime(2026, *day, tzinfo=timezone.utc) for day in CHANGES),
            datetime(2011, 12, 30, tzinfo=timezone.utc),
        )
    )
)  # fmt: skip


@given(WINDOWS, MOMENTS)
def test_a_freeze_is_the_union_of_its_windows(window: FreezeWindow, now: datetime) -> None:
    """At any moment something is frozen exactly if some beginning is not later and its end is."""
    before = now - timedelta(days=12)
    times = [
        (beginning, window.end_of(beginning))
        for beginning in islice(window.beginnings(before), 3000)
        if beginning <= now
    ]
    assert (freeze_at([window], now) is not None) == any(beginning <= now < end for beginning, end in times)


@given(WINDOWS, MOMENTS)
def test_it_holds_until_its_end_and_not_then(window: FreezeWindow, now: datetime) -> None:
    """Just before the end that is told it is frozen still, at that moment nothing is."""
    found = freeze_at([window], now)
    if found is None or found.until is None:
        return
    assert found.until > now
    assert freeze_at([window], found.until - timedelta(seconds=1)) is not None
    assert freeze_at([window], found.until) is None


@given(WINDOWS, MOMENTS)
def test_each_window_is_as_long_as_its_clock_says(window: FreezeWindow, now: datetime) -> None:
    """Its end comes behind its beginning, and shows the wall's time so much later, unless the clock leaves that out."""
    zone = ZoneInfo(window.zone)
    for beginning in islice(window.beginnings(now), 3):
        end = window.end_of(beginning)
        assert end > beginning
        wanted = beginning.astimezone(zone).replace(tzinfo=None) + timedelta(seconds=window.duration_s)
        shown = end.astimezone(zone).replace(tzinfo=None)
        assert shown >= wanted
        second_before = (end - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
        assert second_before < wanted


@given(FIELDS, st.sampled_from(ZONES), MOMENTS, st.integers(1, 3000), st.integers(1, 3000))
def test_a_longer_window_never_ends_sooner(when: str, zone: str, now: datetime, one: int, other: int) -> None:
    """Whatever the clocks do in between."""
    short, long = sorted([one, other])
    beginning = next(FreezeWindow(when, 1, zone).beginnings(now))
    ends = [FreezeWindow(when, minutes * 60.0, zone).end_of(beginning) for minutes in (short, long)]
    assert ends == sorted(ends)
