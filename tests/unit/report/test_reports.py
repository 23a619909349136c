"""What people read: progress, recap. Texts are held exactly where scripts may grep them."""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import suppress

import pytest
from rich.console import Console
from rich.text import Text

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.outcome import HostOutcome, HostState, RunOutcome
from fleetdeploy.report import as_json
from fleetdeploy.report.terminal import Terminal, console, recap
from fleetdeploy.report.wording import size


def out(*, terminal: bool = False) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(
        file=file, force_terminal=terminal, no_color=True, highlight=False, markup=False, soft_wrap=True
    ), file


def event(kind: Kind, message: str = "", *, host: str = "gpu1", task: str = "", **data: object) -> Event:
    return Event(kind, 1_767_225_600.0, "run", host=host, task=task, message=message, data=data)


def test_the_recap_has_ansibles_columns() -> None:
    """One line a host, names aligned, every state a column; reasons under hosts that did not go well."""
    hosts = (
        HostOutcome("gpu1", HostState.CHANGED, steps_ok=1, steps_changed=5),
        HostOutcome("gpu10", HostState.REVERTED, "golden request failed", steps_ok=2),
        HostOutcome("gpu2", HostState.SKIPPED, "the rollout stopped"),
        HostOutcome("gpu3", HostState.REVERTED, "the rollout stopped", steps_ok=1, taken_back=True),
    )
    target, file = out()
    recap(target, RunOutcome("run", 4, "FAILED: gpu10; ...", {item.host: item for item in hosts}))
    assert file.getvalue().splitlines() == [
        "RECAP",
        "gpu1  : ok=1 changed=5 failed=0 unreachable=0 skipped=0 reverted=0",
        "gpu10 : ok=2 changed=0 failed=1 unreachable=0 skipped=0 reverted=1",
        "        golden request failed",
        "gpu2  : ok=0 changed=0 failed=0 unreachable=0 skipped=1 reverted=0",
        "        the rollout stopped",
        "gpu3  : ok=1 changed=0 failed=0 unreachable=0 skipped=0 reverted=1",
        "        the rollout stopped",
        "FAILED: gpu10; ...",
    ]


def test_a_run_with_nothing_to_do_has_one_line() -> None:
    """No recap where every host is as it was."""
    target, file = out()
    recap(target, RunOutcome("run", 0, "OK: 1 host, nothing to do", {"a": HostOutcome("a", HostState.OK)}))
    assert file.getvalue() == "OK: 1 host, nothing to do\n"


def test_a_quiet_recap_shows_only_what_went_wrong() -> None:
    """With ``-q`` hosts that went well are left out."""
    hosts = {"a": HostOutcome("a", HostState.CHANGED), "b": HostOutcome("b", HostState.FAILED, "no space")}
    target, file = out()
    recap(target, RunOutcome("run", 3, "FAILED: b", hosts), quiet=True)
    assert "a :" not in file.getvalue()
    assert "no space" in file.getvalue()


def test_a_log_carries_the_time_and_a_terminal_does_not() -> None:
    """Without a terminal each line begins with UTC time."""
    for terminal, start in ((False, "00:00:00Z gpu1 "), (True, "gpu1 ")):
        target, file = out(terminal=terminal)
        Terminal(target)(event(Kind.HOST_UNREACHABLE, "no route"))
        assert re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).startswith(start)


def run_of(*hosts: str) -> Event:
    return event(Kind.RUN_STARTED, host="", hosts=list(hosts))


def test_hosts_that_are_down_are_told_once() -> None:
    """Before the plan stands nothing is said of them, as the error would say it again; with a plan they are shown."""
    target, file = out()
    sink = Terminal(target)
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
    sink = Terminal(target)
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
    sink = Terminal(target)
    sink(run_of("gpu1", "gpu10"))
    sink(event(Kind.STEP_FINISHED, "done", task="verify", seconds=1))
    assert file.getvalue() == "00:00:00Z gpu1   verify      1.0 s  done\n"


def test_a_single_wave_has_no_heading() -> None:
    """Where all hosts go at once there is nothing to number."""
    target, file = out()
    sink = Terminal(target)
    sink(event(Kind.WAVE_STARTED, "gpu1", host="", wave=1, waves=1))
    sink(event(Kind.STEP_FINISHED, "done", task="verify", seconds=1))
    assert "wave" not in file.getvalue()


@pytest.mark.parametrize("variable", [True, False])
def test_without_colour_there_is_no_escape(variable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and ``--no-color`` leave plain text, also on a terminal: no bold, no dim."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1" if variable else "")
    plain = console(stderr=True, no_color=not variable)
    with plain.capture() as captured:
        plain.print(Text("bold", style="bold red"))
    assert captured.get() == "bold\n"


def test_headings_stand_above_what_happens_below_them() -> None:
    """A play's line stands once, a wave's above each wave, and a wave in which nothing happens has none."""
    target, file = out()
    sink = Terminal(target)
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
    Terminal(target)(one)
    assert file.getvalue().removeprefix("00:00:00Z ").rstrip("\n") == line


def test_verbose_shows_steps_as_they_begin() -> None:
    """``-v`` adds the beginnings and the progress."""
    target, file = out()
    sink = Terminal(target, verbose=True)
    sink(event(Kind.STEP_STARTED, "reload", task="activate"))
    sink(event(Kind.STEP_PROGRESS, "half", task="stage"))
    assert "reload ..." in file.getvalue()
    assert "half" in file.getvalue()


def test_a_failed_step_shows_hint_and_log() -> None:
    """Under the reason stand what to do next and the container's last lines, also with ``-q``."""
    target, file = out()
    Terminal(target, quiet=True)(event(Kind.STEP_FAILED, "no", task="verify", hint="look", detail="line 1\nline 2"))
    rows = file.getvalue().splitlines()
    assert rows[0].endswith("gpu1  verify    FAILED: no")
    assert [row.strip() for row in rows[1:]] == ["look", "| line 1", "| line 2"]


def test_only_the_last_lines_of_a_long_log_are_shown() -> None:
    """Twenty lines at most."""
    target, file = out()
    detail = "\n".join(f"line {number}" for number in range(100))
    Terminal(target)(event(Kind.STEP_FAILED, "no", task="verify", detail=detail))
    assert file.getvalue().count("|") == 20
    assert "line 99" in file.getvalue()


def test_text_from_a_host_is_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in a message stay what they are, and lines are not wrapped."""
    long = "[red]" + "x" * 300
    console(stderr=False, no_color=True).print(Text(long))
    assert capsys.readouterr().out == long + "\n"


def test_nobody_reading_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress into a pipe that was closed is an error that a run survives, and no end of the process."""
    reader, writer = os.pipe()
    os.close(reader)
    closed = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stderr", closed)
    with pytest.raises(BrokenPipeError):
        console(stderr=True, no_color=True).print("wave 1")
    with suppress(BrokenPipeError):
        closed.close()


def test_colour_in_a_pipe_breaks_no_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR, which many build servers set, makes no terminal of a pipe."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    console(stderr=False, no_color=False).print(Text("word " * 60))
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10 * 1024, "10 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 60, "1048576 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    """Binary units, a decimal only below ten."""
    assert size(count) == text


def test_an_outcome_as_json() -> None:
    """Run, exit code, summary, and every host with state, reason and hint."""
    host = HostOutcome("gpu1", HostState.REVERTED, "why", hint="what now", steps_ok=1)
    assert as_json.outcome(RunOutcome("r", 3, "FAILED", {"gpu1": host})) == {
        "run": "r",
        "exit_code": 3,
        "summary": "FAILED",
        "hosts": {
            "gpu1": {
                "state": "reverted",
                "reason": "why",
                "hint": "what now",
                "mixed": False,
                "steps_changed": 0,
                "steps_ok": 1,
            }
        },
    }
