"""One line a change. Texts are held exactly where scripts may grep them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.terminal import Lines, recap, show
from fleetdeploy.rollout.journal.reading import Records
from fleetdeploy.rollout.journal.record import Record
from fleetdeploy.rollout.journal.writing import Journal

from .scenes import scene
from .shown import event, out


def test_a_log_carries_the_time_and_a_terminal_does_not() -> None:
    """Without a terminal each line begins with UTC time."""
    for terminal, start in ((False, "00:00:00Z gpu1 "), (True, "gpu1 ")):
        target, file = out(terminal=terminal)
        Lines(target)(event(Kind.HOST_UNREACHABLE, "no route"))
        assert re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).startswith(start)


def run_of(*hosts: str) -> Event:
    return event(Kind.RUN_STARTED, host="", hosts=list(hosts))


def test_hosts_that_are_down_are_told_once() -> None:
    """Before the plan stands nothing is said of them, as the error would say it again; with a plan they are shown."""
    target, file = out()
    sink = Lines(target)
    sink(run_of("gpu1"))
    sink(event(Kind.HOST_UNREACHABLE, "no route", hint="is it up?"))
    assert file.getvalue() == ""
    sink(event(Kind.PLAN_MADE, host=""))
    assert file.getvalue() == "00:00:00Z gpu1  UNREACHABLE: no route\n    is it up?\n"
    sink(event(Kind.HOST_UNREACHABLE, "gone"))
    assert "UNREACHABLE: gone" in file.getvalue()


def test_services_are_named_when_there_are_several() -> None:
    """A step of one service is not to be taken for that of another; with one service its name would be noise."""
    target, file = out(terminal=True)
    sink = Lines(target)
    for service in ("ranking", "search"):
        for kind in (Kind.STEP_STARTED, Kind.STEP_FINISHED):
            sink(event(kind, "1 AVAILABLE", task="verify", service=service, seconds=1))
    sink(event(Kind.STEP_FAILED, "no", task="verify", service="ranking"))
    rows = [re.sub(r"\x1b\[[0-9;]*m", "", row) for row in file.getvalue().splitlines()]
    assert rows == [
        "gpu1  verify      1.0 s  1 AVAILABLE",
        "gpu1  verify      1.0 s  search: 1 AVAILABLE",
        "gpu1  verify    ranking: FAILED: no",
    ]


def test_names_of_hosts_are_aligned() -> None:
    """The columns follow the longest name of the run."""
    target, file = out()
    sink = Lines(target)
    sink(run_of("gpu1", "gpu10"))
    sink(event(Kind.STEP_FINISHED, "done", task="verify", seconds=1))
    assert file.getvalue() == "00:00:00Z gpu1   verify      1.0 s  done\n"


def test_a_single_wave_has_no_heading() -> None:
    """Where all hosts go at once there is nothing to number."""
    target, file = out()
    sink = Lines(target)
    sink(event(Kind.WAVE_STARTED, "gpu1", host="", wave=1, waves=1))
    sink(event(Kind.STEP_FINISHED, "done", task="verify", seconds=1))
    assert "wave" not in file.getvalue()


def test_headings_stand_above_what_happens_below_them() -> None:
    """A play's line stands once, a wave's above each wave, and a wave in which nothing happens has none."""
    target, file = out()
    sink = Lines(target)
    sink(event(Kind.PLAY_STARTED, "Switch over", host=""))
    for number in (1, 2, 3):
        sink(event(Kind.WAVE_STARTED, f"gpu{number}", host="", wave=number, waves=3))
        if number != 2:
            sink(event(Kind.STEP_FINISHED, "done", task="verify", seconds=1))
    rows = [row.removeprefix("00:00:00Z ") for row in file.getvalue().splitlines()]
    assert [row for row in rows if "done" not in row] == ["PLAY Switch over", "wave 1 of 3: gpu1", "wave 3 of 3: gpu3"]


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (
            event(Kind.STEP_FINISHED, "reload: x", task="activate", seconds=1.25),
            "gpu1  activate    1.2 s  reload: x",
        ),
        (event(Kind.HOST_UNREACHABLE, "no route"), "gpu1  UNREACHABLE: no route"),
        (event(Kind.ROLLOUT_STOPPED, "x"), "STOPPED after gpu1: no further host is touched"),
        (event(Kind.REVERT_STARTED, "x"), "gpu1  going back to what it served"),
        (event(Kind.STEP_STARTED, "reload", task="activate"), ""),
        (event(Kind.STEP_PROGRESS, "half", task="stage"), ""),
        (event(Kind.HOST_OBSERVED), ""),
    ],
)
def test_one_line_an_event(one: Event, line: str) -> None:
    """Steps that end, hosts that fail and waves have a line; steps that begin only with ``-v``."""
    target, file = out()
    Lines(target)(one)
    assert file.getvalue().removeprefix("00:00:00Z ").rstrip("\n") == line


def test_verbose_shows_steps_as_they_begin() -> None:
    """``-v`` adds the beginnings and the progress."""
    target, file = out()
    sink = Lines(target, verbose=1)
    sink(event(Kind.STEP_STARTED, "reload", task="activate"))
    sink(event(Kind.STEP_PROGRESS, "half", task="stage"))
    assert "reload ..." in file.getvalue()
    assert "half" in file.getvalue()


def test_a_failed_step_shows_hint_and_log() -> None:
    """Under the reason stand what to do next and the container's last lines, also with ``-q``."""
    target, file = out()
    Lines(target, quiet=True)(event(Kind.STEP_FAILED, "no", task="verify", hint="look", detail="line 1\nline 2"))
    rows = file.getvalue().splitlines()
    assert rows[0].endswith("gpu1  verify    FAILED: no")
    assert [row.strip() for row in rows[1:]] == ["look", "| line 1", "| line 2"]


def test_only_the_last_lines_of_a_long_log_are_shown() -> None:
    """Twenty lines at most."""
    target, file = out()
    detail = "\n".join(f"line {number}" for number in range(100))
    Lines(target)(event(Kind.STEP_FAILED, "no", task="verify", detail=detail))
    assert file.getvalue().count("|") == 20
    assert "line 99" in file.getvalue()


def test_a_wave_of_many_hosts_is_one_line_on_a_terminal() -> None:
    """A pipe gets all of their names."""
    names = [f"gpu{number}" for number in range(100)]
    for piped in (True, False):
        file = io.StringIO()
        sink = Lines(Console(file=file, width=80, color_system=None, highlight=False, soft_wrap=piped))
        sink(event(Kind.WAVE_STARTED, ", ".join(names), host="", wave=1, waves=2, hosts=names))
        sink(event(Kind.REVERT_STARTED))
        assert ("gpu99" in file.getvalue()) is piped
        assert len(file.getvalue().splitlines()) == 2


def test_what_is_long_goes_on_indented_on_a_terminal() -> None:
    """No word is broken, and the next line cannot be taken for another host's."""
    file = io.StringIO()
    sink = Lines(Console(file=file, width=40, color_system=None, highlight=False), stamped=False)
    sink(event(Kind.STEP_FAILED, "the golden request was answered wrongly", task="verify"))
    assert file.getvalue().splitlines() == ["gpu1  verify    FAILED: the golden", "    request was answered wrongly"]


def test_a_run_of_the_past_is_shown_as_it_was(tmp_path: Path) -> None:
    """From its journal come the same lines and the same recap as from its events, each with its time, but that showing
    it is not what comes next.
    """
    journal = Journal(tmp_path / "events.jsonl")
    live, shown = io.StringIO(), io.StringIO()
    for item in scene("fails", 3):
        journal(item)
    journal.close()
    records = Records(tmp_path / "events.jsonl", run=scene("fails", 3)[0].run)
    story = show(records, Console(file=shown, soft_wrap=True, color_system=None, highlight=False))
    out_live = Console(file=live, soft_wrap=True, color_system=None, highlight=False)
    sink = Lines(out_live)
    for item in scene("fails", 3):
        sink(item)
    recap(out_live, RunStory.of(scene("fails", 3)))
    assert records.damage is None
    rows = live.getvalue().splitlines(keepends=True)
    rows.remove(f"next: fleetdeploy runs show {scene('fails', 3)[0].run}\n")
    assert shown.getvalue() == "".join(rows)
    assert story.exit_code == 4
    assert shown.getvalue().startswith("00:00:02Z PLAY")


def test_a_run_that_never_ended_has_no_recap() -> None:
    """Nobody knows how it ended; what it did is shown."""
    target, file = out()
    show(scene("fails", 3)[:-1], target)
    assert "STOPPED" in file.getvalue()
    assert "RECAP" not in file.getvalue()


@pytest.mark.parametrize("kind", [kind.value for kind in Kind] + ["of_tomorrow"])
def test_records_of_other_versions_end_nothing(kind: str) -> None:
    """A kind that is not known has no line, and data that is missing or of another type is left out."""
    for data in ({}, dict.fromkeys(("hosts", "wave", "waves", "seconds", "detail", "hint", "state", "service"), 7)):
        target, _ = out()
        show(
            [Record(1, "run_started", 0.0, "r"), Record(2, kind, 0.0, "r", host="a", task="x", data=data)],
            target,
            verbose=1,
        )
