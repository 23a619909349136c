"""The board at one moment of rollouts of every size, in terminals of every size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.terminal.picture import picture
from fleetdeploy.report.times import ticking

from .scenes import scene
from .shown import event

SIZES = [(77, 23), (117, 39), (37, 23), (20, 10)]


def upto(events: Sequence[Event], *, kind: Kind, task: str = "", nth: int = 1) -> list[Event]:
    """The events up to the ``nth`` one of that kind and task."""
    found = [at for at, item in enumerate(events) if item.kind is kind and item.task == task]
    return list(events[: found[nth - 1] + 1])


def rows(events: Sequence[Event], *, width: int = 77, height: int = 23, later_s: float = 0.0, **how: bool) -> list[str]:
    story = RunStory.of(events)
    return [row.plain for row in picture(story, now_s=story.now_s + later_s, width=width, height=height, **how)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("hosts", [3, 20, 100, 500])
@pytest.mark.parametrize("name", ["first", "update", "fails"])
def test_it_fits_at_every_moment(name: str, hosts: int, size: tuple[int, int]) -> None:
    """No line is wider than the terminal and no more lines are drawn than it has, whenever one looks."""
    events, story = scene(name, hosts), RunStory()
    looks = {len(events) * part // 9 for part in range(10)}
    for number, item in enumerate(events):
        story.tell(item)
        if number in looks:
            drawn = picture(story, now_s=story.now_s, width=size[0], height=size[1])
            assert len(drawn) <= size[1]
            assert all(row.cell_len <= size[0] for row in drawn), [row.plain for row in drawn]


def test_few_hosts_have_a_line_each() -> None:
    """With the act that each is at, since when, and who waits or is done; above stand play, wave, time and bounds."""
    events = upto(scene("update", 3), kind=Kind.STEP_STARTED, task="verify", nth=2)
    assert rows(events, later_s=65) == [
        "Switch over, wave by wave · wave 2 of 3 · 1:37, usually 90 s",
        "failed 0, allowed 0 · 2 of 3 in service, floor 2",
        "1 at work · 1 waiting · 1 done",
        "✓ gpu001  done         0:04",
        "▶ gpu002  verify       1:05  ranker 2 AVAILABLE, golden requests 3 times",
        "· gpu003  waiting",
    ]


def test_a_copy_has_a_bar_with_bytes_rate_and_time_left() -> None:
    """As much of it as there is room for; the share is told where bytes have no room."""
    copy = {"model": "ranker", "version": 2, "done_bytes": 2 * 1024**3, "total_bytes": 5 * 1024**3}
    events = [
        *upto(scene("update", 3), kind=Kind.STEP_STARTED, task="stage"),
        event(Kind.COPY_PROGRESSED, host="gpu001", task="stage", **copy, bytes_per_s=100.0 * 1024**2),
    ]

    def told(width: int) -> str:
        return next(row for row in rows(events, width=width) if "gpu001" in row)

    assert told(117).endswith("━━━━━━━━────────────   2.0 of 5.0 GiB  100 MiB/s  0:30 left  ranker/2")
    assert told(77).endswith("━━━━─────   2.0 of 5.0 GiB  100 MiB/s  0:30 left")
    assert re.fullmatch("▶ gpu001  stage    0:00  ━+─+   40%", told(37))


def test_of_many_hosts_only_those_that_move_or_failed_have_a_line() -> None:
    """All others are counted, and those that move come before those that failed where not even they have room."""
    events = upto(scene("update", 500), kind=Kind.STEP_STARTED, task="verify", nth=30)
    drawn = rows(events)
    counts = next(row for row in drawn if "waiting" in row)
    assert len([row for row in drawn if row.startswith("▶")]) == int(counts.split(" at work")[0])
    assert not any(row.startswith(("·", "✓")) for row in drawn)
    failures = [event(Kind.HOST_FINISHED, "no", host=f"gpu{number}", state="failed") for number in range(400, 440)]
    crowded = rows([*events, *failures])
    assert len(crowded) == 23
    moving = [[row.split()[1] for row in every if row.startswith("▶")] for every in (drawn, crowded)]
    assert moving[0] == moving[1] != []
    left = 40 - len([row for row in crowded if row.startswith("✗")])
    assert crowded[-1] == f"  and {left} more: {left} failed"


def test_a_host_on_its_way_back_is_shown_so() -> None:
    """What it undoes and, once it is back, what failed; a stop is told first."""
    events = scene("fails", 3)
    during = rows(upto(events, kind=Kind.STEP_STARTED, task="drain", nth=3))
    assert "1 going back · 1 waiting · 1 done" in during
    assert "↺ gpu002  drain        0:00  undo take the host out of its balancer" in during
    after = rows(upto(events, kind=Kind.ROLLOUT_STOPPED))
    assert after[0].startswith("STOPPED · Switch over")
    assert any(row.startswith("✗ gpu002  reverted   golden request 'answer of 2'") for row in after)


def test_a_host_that_goes_back_by_its_own_fault_has_failed() -> None:
    """It was printed as FAILED above, so the count does not say 0 until it is back; one that is taken back has not."""
    events = upto(scene("fails", 3), kind=Kind.STEP_STARTED, task="drain", nth=3)
    assert any("failed 1, allowed 0" in row for row in rows(events))
    taken_back = [item for item in events if item.kind is not Kind.STEP_FAILED]
    assert any("failed 0, allowed 0" in row for row in rows(taken_back))


@pytest.mark.parametrize(("kind", "told"), [(Kind.STEP_FINISHED, "drain done"), (Kind.STEP_FAILED, "drain failed")])
def test_a_host_between_two_steps_names_the_last_one(kind: Kind, told: str) -> None:
    """At work at nothing would be no answer to where it stands."""
    events = upto(scene("update", 3), kind=Kind.STEP_STARTED, task="drain")
    ended = replace(events[-1], kind=kind)
    assert f"▶ gpu001  at work    {told}" in rows([*events, ended])


def test_capacity_below_its_floor_is_red() -> None:
    """At the floor is where a rollout works; below it is what nobody planned."""
    events = upto(scene("update", 3), kind=Kind.STEP_STARTED, task="verify")

    def style(out: list[str]) -> str:
        now = event(Kind.CAPACITY_CHANGED, host="", hosts=3, out=out, floor=2)
        drawn = picture(RunStory.of([*events, now]), now_s=0.0, width=117, height=9)
        text = next(row for row in drawn if "in service" in row.plain)
        at = text.plain.index("in service")
        return str(next((span.style for span in text.spans if span.start <= at < span.end), ""))

    assert style(["gpu001"]) == ""
    assert style(["gpu001", "gpu002"]) == "red"


@pytest.mark.parametrize(
    ("later_s", "told"), [(0, "0:25 of about 90 s"), (65, "1:30 of about 90 s"), (66, "1:31, usually 90 s")]
)
def test_over_time_it_is_told_how_long_it_usually_takes(later_s: float, told: str) -> None:
    """What is left of the time cannot be told any more then."""
    found = scene("update", 3)
    begun = [*found[:5], *(replace(item, time_s=found[0].time_s + 25) for item in found[5:20])]
    assert f" · {told} · " in rows(begun, later_s=later_s)[0]


def test_what_is_known_of_a_part_alone_is_no_usual_time() -> None:
    """It takes at least as long; beyond that nobody can tell."""
    found = scene("update", 3)
    plan = next(item for item in found if item.kind is Kind.PLAN_MADE)
    begun = [found[0], replace(plan, data={**plan.data, "at_least": True})]
    assert rows(begun, later_s=10)[0].endswith(" · 0:11 of at least 90 s")
    assert rows(begun, later_s=100)[0].endswith(" · 1:41")
    little = [found[0], replace(plan, data={**plan.data, "expected_s": 0.4, "at_least": True})]
    assert rows(little)[0].endswith(" · 0:01")


def test_before_the_plan_it_says_how_far_the_look_is() -> None:
    """Hosts that have answered, and those that cannot be reached; when few are left, whom it waits for."""
    events = scene("update", 500)
    start, looks = events[0], [item for item in events if item.kind is Kind.HOST_OBSERVED]
    assert rows([start]) == ["looking at hosts: 0 of 500 · 0:00"]
    assert rows([start, *looks[:120]]) == ["looking at hosts: 120 of 500 · 0:48"]
    lost = replace(looks[120], kind=Kind.HOST_UNREACHABLE, message="no route")
    assert rows([start, *looks[:120], lost]) == ["looking at hosts: 121 of 500 · 1 unreachable · 0:48"]
    assert rows([start, *looks[:498]])[1:] == ["· gpu499  not looked at yet", "· gpu500  not looked at yet"]
    assert len(rows([start, *looks[:490]])) == 1
    assert rows([start, *looks])[0].startswith("looked at 500 hosts · ")
    assert len(rows([start, *looks])) == 1


def test_plain_is_ascii() -> None:
    """A terminal that has no other characters gets none, whatever a host is called."""
    for stop in (Kind.STEP_STARTED, Kind.COPY_PROGRESSED):
        drawn = rows(upto(scene("update", 20), kind=stop, task="stage", nth=9), width=37, plain=True)
        assert all(row.isascii() for row in drawn), drawn


def test_hosts_cannot_drive_the_board() -> None:
    """What they say is shown with escapes."""
    evil = "a\x1b[2J\nb"
    told = [
        event(Kind.RUN_STARTED, host="", hosts=[evil]),
        event(Kind.PLAN_MADE, host="", changed=[evil]),
        event(Kind.STEP_STARTED, evil, host=evil, task=evil),
        event(Kind.COPY_PROGRESSED, host=evil, task=evil, model=evil, version=1, done_bytes=1, total_bytes=2),
    ]
    ends = [event(Kind.HOST_FINISHED, evil, host=evil, state="failed")]
    for events in (told[:3], told, told + ends):
        assert all(row.isprintable() for row in rows(events, width=117))


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0:00"), (7.9, "0:07"), (750, "12:30"), (3725, "1:02:05")])
def test_clock(seconds: float, text: str) -> None:
    """Minutes and seconds, and hours where there are any."""
    assert ticking(seconds) == text
