"""What the timeline and the charts are made of."""

from __future__ import annotations

import itertools

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.html import charts
from fleetdeploy.report.html.scale import Scale
from fleetdeploy.report.html.timeline import Timeline, timeline
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.times import lasted

from . import scenes


def scale_of(story: RunStory) -> Scale:
    assert story.started_s is not None
    return Scale(story.started_s, story.now_s)


def times_of(story: RunStory) -> Timeline:
    return timeline(story, scale_of(story))


def run_of(*told: tuple[Kind, float, dict[str, object]]) -> RunStory:
    return RunStory.of([Event(kind, time_s, "r", message="p", data=data) for kind, time_s, data in told])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.44, "0.4 s"), (9.97, "10 s"), (59.7, "1 min"), (200, "3 min 20 s"), (3600, "1 h"),
     (3900, "1 h 05 min"), (187_200, "2 d 4 h")],
)  # fmt: skip
def test_durations_are_told_in_two_units(seconds: float, text: str) -> None:
    """A duration has the two largest units that it needs."""
    assert lasted(seconds) == text


@pytest.mark.parametrize("length_s", [0, 0.2, 7, 61, 3599, 86_400, 10_000_000])
def test_an_axis_has_few_marks_at_round_times(length_s: float) -> None:
    """Any run has at most nine marks, in order, the first at its start; what takes no time is still wide enough."""
    scale = Scale(1000.0, 1000.0 + length_s)
    places = [tick.at for tick in scale.ticks()]
    assert 1 <= len(places) <= 9
    assert places[0] == 0
    assert places == sorted(set(places))
    assert places[-1] <= 100
    left, width = scale.span(scale.end_s, scale.end_s)
    assert width > 0
    assert left + width <= 100


def test_each_act_is_a_bar_at_its_time() -> None:
    """A host's bars are its acts in order, inside the axis, and none begins before the one before it ends."""
    story = RunStory.of(scenes.first_deploy())
    found = times_of(story)
    assert [row.label for row in found.rows] == ["gpu1", "gpu2", "gpu3"]
    for row in found.rows:
        (lane,) = row.lanes
        assert [bar.kind for bar in lane] == [span.task for span in story.hosts[row.label].spans]
        for bar, following in itertools.pairwise(lane):
            assert bar.left + bar.width <= following.left + 0.2
        assert lane[-1].left + lane[-1].width <= 100
    stage = next(bar for bar in found.rows[0].lanes[0] if bar.kind == "stage")
    span = next(span for span in story.hosts["gpu1"].spans if span.task == "stage")
    assert span.ended_s is not None
    assert stage.width == pytest.approx(100 * (span.ended_s - span.started_s) / story.elapsed_s, abs=0.01)


def test_failures_and_ways_back_are_marked() -> None:
    """The act that failed and those that undo others say so without colour, and in their titles."""
    found = times_of(RunStory.of(scenes.failing()))
    (lane,) = next(row.lanes for row in found.rows if row.label == "gpu2")
    (failed,) = (bar for bar in lane if bar.how == "failed")
    assert (failed.kind, failed.label[0]) == ("activate", "✕")
    assert "FAILED: golden request" in failed.title
    assert [bar.kind for bar in lane if bar.undo] == ["activate", "drain"]
    assert all(bar.label.startswith("↩") for bar in lane if bar.undo and bar.label)


def test_a_label_stands_where_all_of_it_fits() -> None:
    """One that fits on some pages alone says so; of one that fits nowhere its mark is left, if it has any."""
    told = [(Kind.RUN_STARTED, 0.0, {}), (Kind.RUN_FINISHED, 100.0, {})]
    found = {}
    for seconds in (4, 8, 12, 30):
        began, ended = (Event(kind, time_s, "r", host="a", task="activate") for kind, time_s in (
            (Kind.STEP_STARTED, 1.0), (Kind.STEP_FINISHED, 1.0 + seconds)))  # fmt: skip
        first, last = (Event(kind, time_s, "r", data=data) for kind, time_s, data in told)
        ((bar,),) = times_of(RunStory.of([first, began, ended, last])).rows[0].lanes
        assert "activate" in bar.title
        found[seconds] = (bar.label, bar.room)
    assert found == {
        4: ("", ""),
        8: ("activate", "on-wide-pages"),
        12: ("activate", "not-on-phones"),
        30: ("activate", ""),
    }


def test_a_failure_in_a_narrow_bar_keeps_its_mark() -> None:
    """Where its name has no room: colour alone would not do."""
    found = {}
    for seconds in (0.5, 4, 30):
        story = RunStory.of([
            Event(Kind.RUN_STARTED, 0.0, "r"), Event(Kind.STEP_STARTED, 1.0, "r", host="a", task="activate"),
            Event(Kind.STEP_FAILED, 1.0 + seconds, "r", host="a", task="activate", message="no"),
            Event(Kind.RUN_FINISHED, 100.0, "r"),
        ])  # fmt: skip
        ((bar,),) = times_of(story).rows[0].lanes
        found[seconds] = bar.label
    assert found == {0.5: "", 4: "✕", 30: "✕ activate"}


def test_plays_and_waves_are_above_the_rows() -> None:
    """Every play and wave that was begun has its bar, each wave up to the next."""
    story = RunStory.of(scenes.rolling())
    found = times_of(story)
    assert [bar.title.partition(":")[0] for bar in found.plays] == [f"play {play.name}" for play in story.plays]
    assert found.plays[0].label == story.plays[0].name
    waves = [bar for bar in found.waves if bar.kind != "soak"]
    assert len(waves) == sum(len(play.waves) for play in story.plays)
    assert "wave 2 of 4: gpu2, gpu3, gpu4, gpu5, gpu6" in waves[2].title


@pytest.mark.parametrize(
    ("seconds", "number", "rooms", "names_room"),
    [
        (80, "", "", ""),
        (30, "2", "on-phones", "on-phones"),
        (20, "2", "not-on-wide-pages", "not-on-wide-pages"),
        (3, "2", "not-on-phones", ""),
        (0.5, "", "", ""),
    ],
)
def test_every_play_is_named_on_every_page(seconds: float, number: str, rooms: str, names_room: str) -> None:
    """In its bar, or by its number among the names, on just the pages where its bar has no room."""
    story = RunStory.of([
        Event(Kind.RUN_STARTED, 0.0, "r"),
        Event(Kind.PLAY_STARTED, 0.0, "r", message="a"),
        Event(Kind.PLAY_STARTED, 100.0 - seconds, "r", message="Switch over, wave by wave"),
        Event(Kind.RUN_FINISHED, 100.0, "r"),
    ])  # fmt: skip
    found = times_of(story)
    first, second = found.plays
    assert (first.label, first.room, first.number) == ("a", "", "")
    assert (second.number, second.number_room) == (number, rooms)
    everywhere = second.label != "" and second.room == ""
    assert found.names == (() if everywhere else ("a", "Switch over, wave by wave"))
    assert found.names_room == names_room


def test_many_hosts_share_rows_but_for_those_in_trouble() -> None:
    """Of a hundred hosts those that went well are lanes of their wave's row; one that failed keeps its own."""
    story = RunStory.of(scenes.many())
    story.hosts["gpu9"].state = "failed"
    found = times_of(story)
    assert [row.label for row in found.rows if row.id] == ["gpu9"]
    groups = [row for row in found.rows if not row.id]
    assert [row.label.partition(":")[0] for row in groups] == [f"wave {number} of 4" for number in (1, 2, 3, 4)]
    assert sum(len(row.lanes) for row in groups) == 99
    assert sum(row.height_px for row in groups) < 1000
    assert all(len(row.names) == len(row.lanes) for row in groups)


def test_hosts_with_nothing_to_do_are_only_counted() -> None:
    """A host without an act has no row; one that could not be reached has one."""
    story = run_of((Kind.RUN_STARTED, 0, {"hosts": ["a", "b", "c"]}))
    story.hosts["b"].state = "unreachable"
    found = times_of(story)
    assert [row.label for row in found.rows] == ["b"]
    assert found.idle == "2 hosts not shown: nothing was done there"


def test_capacity_is_held_against_its_floor() -> None:
    """Each sample is a column up to the next, and the floor a line; where it was kept nothing warns."""
    story = RunStory.of(scenes.rolling())
    chart = charts.capacity(story, scale_of(story))
    assert chart is not None
    assert not chart.warns
    assert "18 of 20 hosts in service" in chart.caption
    assert (chart.bottom, chart.top) == ("14", "20")
    assert {limit.height for limit in chart.limits} == {66.67}
    assert min(column.height for column in chart.columns) == 66.67
    assert "The scale begins at 14." in chart.caption


def test_less_than_the_floor_is_called_out() -> None:
    """A time below the floor is marked, and the caption says for how long it was so."""
    story = run_of(
        (Kind.PLAY_STARTED, 0, {"hosts": ["a", "b", "c"]}),
        (Kind.CAPACITY_CHANGED, 0, {"hosts": 3, "out": [], "floor": 2}),
        (Kind.CAPACITY_CHANGED, 10, {"hosts": 3, "out": ["a", "b"], "floor": 2}),
        (Kind.CAPACITY_CHANGED, 25, {"hosts": 3, "out": ["a"], "floor": 2}),
        (Kind.RUN_FINISHED, 40, {"exit_code": 4}),
    )
    chart = charts.capacity(story, scale_of(story))
    assert chart is not None
    assert [column.bad for column in chart.columns] == [False, True, False]
    assert [column.width for column in chart.columns] == [25.0, 37.5, 37.5]
    assert chart.warns
    assert "Below the floor for 15 s." in chart.caption
    assert "out: a, b" in chart.columns[1].title


def test_many_capacity_samples_keep_the_lowest() -> None:
    """Of thousands of samples few columns are left, and the one below the floor is among them."""
    told = [(Kind.PLAY_STARTED, 0.0, dict[str, object]())]
    for number in range(3000):
        out = ["a", "b"] if number == 1234 else ["a"]
        told.append((Kind.CAPACITY_CHANGED, number, {"hosts": 3, "out": out, "floor": 2}))
    story = run_of(*told, (Kind.RUN_FINISHED, 3000, {}))
    chart = charts.capacity(story, scale_of(story))
    assert chart is not None
    assert len(chart.columns) <= charts.MOST_COLUMNS + 1
    assert sum(column.bad for column in chart.columns) == 1


def test_a_run_without_samples_has_no_chart() -> None:
    """Where nothing tells of capacity or traffic, nothing is drawn."""
    story = run_of((Kind.RUN_STARTED, 0, {}))
    assert charts.capacity(story, scale_of(story)) is None
    assert charts.pools(story, scale_of(story)) == ()


def test_traffic_is_told_by_pool() -> None:
    """Rates are of the time that was counted over; errors are marked and summed; answer times where they are known."""
    pools = {"p": {"requests": 100, "errors": 1, "seconds": 5.0, "answer_s": 0.02}, "q": {"requests": 50, "errors": 0}}
    story = run_of(
        (Kind.PLAY_STARTED, 0, {}),
        (Kind.TRAFFIC_SAMPLED, 10, {"pools": pools}),
        (Kind.TRAFFIC_SAMPLED, 20, {"pools": pools}),
    )
    first, second = charts.pools(story, scale_of(story))
    assert [chart.name for chart in first.charts] == ["Requests per second", "Errors", "Answer time in ms"]
    rate, errors, answers = first.charts
    assert (rate.top, rate.caption) == ("20", "200 requests in all.")
    assert [(column.left, column.width, column.height) for column in rate.columns] == [(25, 25, 100), (75, 25, 100)]
    assert errors.caption == "2 errors (1 %)."
    assert errors.warns
    assert all(column.bad for column in errors.columns)
    assert "20 ms at the slowest" in answers.caption
    rate, errors = second.charts
    assert [(column.left, column.width, column.height) for column in rate.columns] == [(0, 50, 100), (50, 50, 100)]
    assert (errors.columns, errors.caption, errors.warns) == ((), "No errors.", False)


def test_traffic_of_servers_is_told_by_service() -> None:
    """Behind the pools, by the service's name, and with what its numbers hold that a balancer's do not."""
    counted = {"requests": 100, "errors": 1, "seconds": 5.0, "answer_s": 0.02}
    story = run_of(
        (Kind.PLAY_STARTED, 0, {}),
        (Kind.TRAFFIC_SAMPLED, 10, {"pools": {"z": counted}, "services": {"a": counted}}),
        (Kind.TRAFFIC_SAMPLED, 20, {"pools": {}, "services": {"a": counted}}),
    )
    pool, service = charts.pools(story, scale_of(story))
    assert (pool.title, service.title) == ("Pool z", "Service a, as its servers count")
    assert pool.charts[0].caption == "100 requests in all."
    assert service.charts[0].caption == "200 requests in all, golden requests of this run among them."
    assert service.charts[2].caption == "Mean of the answers, without the way to the client; 20 ms at the slowest."


def test_a_pool_that_nobody_asked_is_told_in_words() -> None:
    """As one of new hosts: an empty chart says nothing."""
    quiet = {"requests": 0, "errors": 0, "seconds": 5.0}
    story = run_of(
        (Kind.RUN_STARTED, 0, {}),
        (Kind.TRAFFIC_SAMPLED, 5, {"pools": {"quiet": quiet, "cut": {**quiet, "errors": 1}}}),
    )
    cut, pool = charts.pools(story, scale_of(story))
    assert [(chart.caption, chart.columns) for chart in pool.charts] == [("None came.", ())]
    assert any(chart.warns for chart in cut.charts)


def test_hours_of_traffic_are_told_in_few_columns() -> None:
    """Neighbours are added up, so that no request and no error is lost."""
    pools = {"p": {"requests": 10, "errors": 1, "seconds": 5.0, "answer_s": 0.01}}
    story = run_of(*((Kind.TRAFFIC_SAMPLED, 5 * number, {"pools": pools}) for number in range(1, 4001)))
    (pool,) = charts.pools(story, scale_of(story))
    assert all(len(chart.columns) <= charts.MOST_COLUMNS + 1 for chart in pool.charts)
    assert pool.charts[0].caption == "40,000 requests in all."
    assert pool.charts[1].caption == "4,000 errors (10 %)."
    assert pool.charts[2].top == "10"
