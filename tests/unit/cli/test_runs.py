"""``runs list|show|report`` over journals of the simulated fleet's runs, whole, unfinished and damaged."""

from __future__ import annotations

import errno
import html
import io
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from report.html import scenes
from rich.console import Console
from simulation.contract import hold_output, wrong

from fleetdeploy.cli.main import main
from fleetdeploy.domain.events import Event
from fleetdeploy.report.html.page import is_report
from fleetdeploy.rollout.journal.record import JOURNAL
from fleetdeploy.rollout.journal.writing import Journal

from .conftest import Project

FIRST, FAILED, KILLED = "20260101T000000Z-aa01", "20260103T000000Z-aa03", "20260104T000000Z-aa04"

LISTED = [
    (KILLED, "unfinished"),
    (FAILED, "failed, fleet mixed", "1 changed, 1 reverted, 4 skipped"),
    (FIRST, "converged", "3 changed"),
]
"""Of each run what every list tells."""


@dataclass
class Past:
    """A state directory. ``run("list")`` is ``fleetdeploy runs list`` over it: its exit code, stdout and stderr."""

    state: Path
    capture: pytest.CaptureFixture[str]

    def add(self, name: str, events: Sequence[Event]) -> Path:
        directory = self.state / "runs" / name
        directory.mkdir(parents=True)
        journal = Journal(directory / JOURNAL, own=True)
        for event in events:
            journal(replace(event, run=name))
        journal.close()
        return directory / JOURNAL

    def run(self, *arguments: str) -> tuple[int, str, str]:
        self.capture.readouterr()
        code = main(["runs", *arguments, "--state-dir", str(self.state)])
        out, err = self.capture.readouterr()
        hold_output(["runs", *arguments], out)
        return code, out, err


@pytest.fixture
def past(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Past:
    monkeypatch.chdir(tmp_path)
    found = Past(tmp_path / "state", capsys)
    found.add(FIRST, scenes.first_deploy())
    found.add(FAILED, scenes.failing())
    found.add(KILLED, scenes.unfinished())
    return found


def damage(journal: Path, at: int) -> None:
    lines = journal.read_bytes().split(b"\n")
    lines[at - 1] = lines[at - 1].replace(b'"run"', b'"rum"')
    journal.write_bytes(b"\n".join(lines))


def test_runs_are_listed_newest_first(past: Past) -> None:
    """A line a run: how it ended, its exit code and its hosts by outcome; one without an end is called so."""
    code, out, _ = past.run("list")
    head, killed, failed, first = out.splitlines()
    assert code == 0
    assert head.split() == ["RUN", "BEGAN", "TOOK", "ENDED", "EXIT", "HOSTS", "COMMAND"]
    assert killed.startswith(KILLED)
    assert "unfinished" in killed
    assert "failed, fleet mixed  4     1 changed, 1 reverted, 4 skipped" in failed
    assert first.startswith(FIRST)
    assert "converged" in first
    assert first.endswith(scenes.COMMAND)
    assert [line.split()[0] for line in past.run("list", "--limit", "1")[1].splitlines()] == ["RUN", KILLED]


def listed(past: Past, monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    """The list's lines on a terminal of so many columns."""
    out = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
    with monkeypatch.context() as patched:
        patched.setattr("fleetdeploy.report.terminal.console", lambda **_: out)
        patched.setattr("fleetdeploy.report.terminal.is_piped", lambda _: False)
        past.run("list")
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


def test_a_narrower_list_loses_what_can_be_done_without(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns go one by one as the terminal narrows: when it began, how long it took, the exit code; then commands lose
    their ends. Run, outcome and hosts stay whole.
    """
    whole = past.run("list")[1].splitlines()
    assert listed(past, monkeypatch, max(map(len, whole))) == whole
    seen = []
    for width in range(max(map(len, whole)) - 1, 87, -1):
        head, *rows = listed(past, monkeypatch, width)
        assert max(map(len, rows)) <= width
        for row, (name, *told) in zip(rows, LISTED, strict=True):
            assert row.startswith(name)
            assert all(words in row for words in told), (width, row)
            assert re.search(r" deploy( |…|$)| d?e?p?l?o?…$", row), (width, row)
        if head.split() not in seen:
            seen.append(head.split())
    every = ["RUN", "BEGAN", "TOOK", "ENDED", "EXIT", "HOSTS", "COMMAND"]
    assert seen == [every, *([name for name in every if name not in every[1:3][:gone]] for gone in (1, 2)), [
        "RUN", "ENDED", "HOSTS", "COMMAND",
    ]]  # fmt: skip


@pytest.mark.parametrize("width", [80, 40])
def test_a_list_is_whole_on_a_narrow_terminal(past: Past, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Where not even that fits, a run has several rows: its outcome and hosts are whole, its command is cut."""
    rows = listed(past, monkeypatch, width)
    assert max(map(len, rows)) <= width
    text = " ".join(" ".join(rows).split())
    for told in LISTED:
        assert ": ".join(filter(None, [f"{told[0]} {told[1]}", *told[2:]])) in text.replace("  ", " ")
    commands = [row.strip() for row in rows if "deploy -i" in row]
    assert len(commands) == len(LISTED)
    assert all(scenes.COMMAND.startswith("fleetdeploy " + row.removesuffix("…")) for row in commands)


def test_a_list_as_json(past: Past) -> None:
    """The same for programs, with Unix times; damage is told, and an unreadable journal listed all the same."""
    damage(past.state / "runs" / FAILED / JOURNAL, 20)
    (past.state / "runs" / "20260105T000000Z-aa05" / JOURNAL).mkdir(parents=True)
    _, out, _ = past.run("list", "--json")
    found = json.loads(out)
    assert found["format"] == 1
    unread, killed, damaged, first = found["runs"]
    assert (unread["state"], unread["verdict"], unread["started_s"]) == ("unknown", "end not known", None)
    assert "cannot be read" in unread["damage"]
    assert (killed["state"], killed["exit_code"], killed["hosts"]) == ("unfinished", None, {})
    assert damaged["damage"].startswith("damaged at record 20")
    assert (first["run"], first["exit_code"], first["hosts"]) == (FIRST, 0, {"changed": 3})
    assert first["ended_s"] - first["started_s"] == pytest.approx(scenes.first_deploy()[-1].time_s - first["started_s"])


def test_without_runs_the_list_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No run is no failure of a list, but one of `show`; a state directory that is not there is an error of both."""
    past = Past(tmp_path, capsys)
    code, out, err = past.run("list")
    assert (code, out) == (0, "")
    assert "no run has been recorded" in err
    assert past.run("show")[0] == 2
    past.state = tmp_path / "nowhere"
    assert past.run("list")[0] == 2


def test_a_run_is_shown_as_it_was(past: Past) -> None:
    """Its lines with their times, its recap and its last line; by default it is the newest run that is shown."""
    code, out, err = past.run("show", "20260103")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"run {FAILED}: {scenes.COMMAND}"
    assert lines[1].endswith("Z, by ada@deploy1, in /srv/models")
    assert past.run("show", FAILED, "-q")[1].splitlines()[0] not in lines[:2]
    assert lines[-1] == scenes.failing()[-1].message
    assert "gpu2 : ok=1 changed=0 failed=1 unreachable=0 skipped=0 reverted=1" in lines
    assert any("gpu2  activate  FAILED: golden request" in line for line in lines)
    code, out, err = past.run("show")
    assert code == 0
    assert "RECAP" not in out
    assert "nothing tells of its end" in err
    assert err.splitlines()[1:] == [
        f"next: fleetdeploy resume {KILLED}", "    carries the run to its end, unless it still goes on",
    ]  # fmt: skip


def test_what_is_shown_is_a_run_that_did_something(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind a deploy that changed hosts stand runs without news; which of them is shown is said, and a list goes
    without them on demand. Where none did anything the newest is shown.
    """
    past = Past(project.path / "state", capsys)
    project.run("deploy")
    (changed,) = (path.name for path in (project.path / "state/runs").iterdir())
    assert past.run("show")[2] == ""
    for _ in range(2):
        project.world.clock.skip(60)
        project.run("sync")
    assert len(past.run("list")[1].splitlines()) == 4
    assert [line.split()[0] for line in past.run("list", "--changed")[1].splitlines()] == ["RUN", changed]
    assert len(json.loads(past.run("list", "--changed", "--json")[1])["runs"]) == 1
    for words in (["show"], ["report", "-o", "-"]):
        _, out, err = past.run(*words)
        assert changed in out
        assert err == f"this is {changed}, the newest run that did something; 2 newer ones did nothing\n"
    project.world.hosts["gpu1"].reachable = False
    project.world.clock.skip(60)
    assert project.run("deploy").code not in {0, 8}
    assert past.run("show")[2] == "", "what failed is worth a look"
    shutil.rmtree(project.path / "state/runs" / changed)
    assert len(past.run("list", "--changed")[1].splitlines()) == 2


def test_a_list_without_runs_that_did_something(past: Past) -> None:
    """It says so, on stderr, and is empty."""
    for name in (FIRST, FAILED, KILLED):
        shutil.rmtree(past.state / "runs" / name)
    assert past.run("list", "--changed")[1:] == (
        "",
        f"no run that did something has been recorded below {past.state}/runs\n",
    )


def test_a_refused_run_is_shown_as_it_was_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Every host and every fix that the command named, in words, as JSON and on the page."""
    for host in project.world.hosts.values():
        host.reachable = False
    refused = project.run("deploy")
    assert refused.code == 5
    said = [line.removeprefix("error: ").strip() for line in refused.err.splitlines()]
    assert len(said) > 1
    past = Past(project.path / "state", capsys)
    assert [line.strip() for line in past.run("show")[1].splitlines()][-len(said) :] == said
    assert [line.strip() for line in json.loads(past.run("show", "--json")[1])["refusal"].splitlines()] == said
    shown = html.unescape(past.run("report", "-o", "-")[1])
    assert all(line in shown for line in said)


def test_what_was_typed_is_not_what_comes_next(past: Past) -> None:
    """The recap of a failed run names `runs show`; shown by that very command it goes on with what comes after it."""
    (again,) = (line for line in past.run("show", FAILED)[1].splitlines() if line.startswith("once it is mended"))
    assert again == "once it is mended, or version 2 of ranker is taken out of the inventory: the command below"
    for arguments in ((FAILED,), (FAILED, "-q"), (FAILED, "-v")):
        out = past.run("show", *arguments)[1]
        assert "fleetdeploy runs show" not in out
        assert out.splitlines()[-1].endswith(f"; mend it, then: {scenes.COMMAND}")


@pytest.mark.parametrize("width", [40, 80])
def test_no_word_of_a_run_is_broken(past: Past, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """On a terminal rows end between words, and what may be typed has a row of its own: of a run that failed, of one
    without an end, of one that is damaged.
    """
    damage(past.state / "runs" / FIRST / JOURNAL, 20)
    for run in (FAILED, KILLED, FIRST):
        whole = " ".join(past.run("show", run)[1:])
        file = io.StringIO()
        out = Console(file=file, width=width, color_system=None, highlight=False, markup=False)
        with monkeypatch.context() as patched:
            patched.setattr("fleetdeploy.report.terminal.console", lambda **_: out)  # noqa: B023
            past.run("show", run)
        rows = file.getvalue().splitlines()
        assert max(len(row) for row in rows if "fleetdeploy " not in row) <= width
        if run == FAILED:
            assert rows[:2] == [f"run {run}:", f"  {scenes.COMMAND}"]
        if run == KILLED:
            assert f"next: fleetdeploy resume {run}" in rows
        # A list of hosts is as many as a row holds, and a path may be longer than any row.
        words = {word for word in whole.split() if not word.startswith("gpu") and len(word) < 30}
        assert words <= {word for row in rows for word in row.split()}, run


def test_a_run_is_shown_as_json(past: Past) -> None:
    """What the run printed with --json and what its journal tells besides; who had still to come has not changed."""
    _, out, _ = past.run("show", FAILED, "--json")
    found = json.loads(out)
    assert (found["run"], found["exit_code"], found["summary"]) == (FAILED, 4, scenes.failing()[-1].message)
    assert found["hosts"] == scenes.failing()[-1].data["hosts"]
    assert (found["by"], found["directory"], found["command"]) == ("ada@deploy1", "/srv/models", scenes.COMMAND)
    assert (found["verdict"], found["resumes"]) == ("failed, fleet mixed", [])
    _, out, _ = past.run("show", KILLED, "--json")
    found = json.loads(out)
    assert {name: host["state"] for name, host in found["hosts"].items()}["gpu6"] == "waiting"
    assert found["exit_code"] is None


def test_damage_is_told_and_what_is_before_it_shown(past: Past) -> None:
    """Nothing behind a damaged record is believed: lines end there, and stderr and the page say so."""
    damage(past.state / "runs" / FAILED / JOURNAL, 20)
    code, out, err = past.run("show", FAILED)
    assert code == 0
    assert "damaged at record 20" in err
    assert out
    assert "RECAP" not in out
    code, out, err = past.run("report", FAILED, "-o", "-")
    assert code == 0
    assert "damaged at record 20" in err
    assert "damaged at record 20" in out
    assert "records 1 to 19 are used" in out


def test_a_report_is_a_file_named_like_the_run(past: Past, tmp_path: Path) -> None:
    """Without -o it is RUN.html here, readable by its owner alone, and its name is what is printed."""
    code, out, _ = past.run("report", "20260101")
    assert (code, out) == (0, f"{FIRST}.html\n")
    file = tmp_path / f"{FIRST}.html"
    assert is_report(file.read_bytes())
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"<dd>{FIRST}</dd>" in file.read_text()
    assert past.run("report", FIRST, "-o", "-")[1] == file.read_text()


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.ENOSPC, "make room there, or name another file with -o"),
        (errno.ENOENT, "make its directory, or name another file with -o"),
        (errno.EACCES, "    name another file with -o"),
    ],
)
def test_a_report_that_cannot_be_written_says_what_to_do(
    past: Past, monkeypatch: pytest.MonkeyPatch, code: int, hint: str
) -> None:
    """By what stood in its way: a full disk needs no directory."""

    def full(_path: Path, _text: str) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fleetdeploy.report.whole_file.write_whole", full)
    found, _, err = past.run("report", "-o", "run.html")
    assert (found, err.splitlines()[-1].endswith(hint)) == (2, True)
    assert (code == errno.ENOENT) is ("directory" in err)


def test_a_report_is_written_over_reports_alone(past: Past, tmp_path: Path) -> None:
    """A file of somebody else's stays, unless --force; links and pipes are not followed; a report is replaced."""
    other = tmp_path / "notes.html"
    other.write_text("mine")
    code, _, err = past.run("report", "-o", str(other))
    assert (code, other.read_text()) == (2, "mine")
    assert "pass --force" in err
    link = tmp_path / "link.html"
    link.symlink_to(other)
    os.mkfifo(tmp_path / "pipe.html")
    for name in ("link.html", "pipe.html", "."):
        assert past.run("report", "-o", str(tmp_path / name))[0] == 2, name
    assert past.run("report", "-o", str(other), "--force")[0] == 0
    assert is_report(other.read_bytes())
    assert past.run("report", FIRST, "-o", str(other))[0] == 0
    assert FIRST in other.read_text()
    code, _, err = past.run("report", "-o", str(tmp_path / "nowhere" / "x.html"))
    assert code == 2
    assert "make its directory" in err
    assert {path.suffix for path in tmp_path.iterdir()} <= {"", ".html"}


def test_a_run_that_is_not_there_is_refused(past: Past) -> None:
    """An id that fits no run, or several, is an error that names those that are there."""
    code, _, err = past.run("show", "2027")
    assert code == 2
    assert KILLED in err
    code, _, err = past.run("report", "202601")
    assert code == 2
    assert "3 runs begin with" in err
    code, out, _ = past.run("show", "2027", "--json")
    assert (code, json.loads(out)["error"]) == (2, "InputError")


@pytest.mark.parametrize("verb", ["list", "show"])
def test_what_is_printed_for_programs_is_held_to_its_schema(past: Past, verb: str) -> None:
    """A key that is missing, is not known or has another type is an error of the form for writers."""
    found = json.loads(past.run(verb, "--json")[1])
    kind, one = ("runs", found["runs"][0]) if verb == "list" else ("past-run", found)
    assert wrong(kind, found) == []
    for name in tuple(one):
        before = one.pop(name)
        assert wrong(kind, found), f"{name} is missing"
        one[name] = ["x"]
        assert (name == "resumes") != bool(wrong(kind, found)), f"{name} is a list"
        one[name] = before
    one["more"] = 1
    assert wrong(kind, found)


def test_a_plan_is_kept_without_values_of_extra_vars(project: Project) -> None:
    """A run's events tell what was to change and who asked for it where, and no value of -e, which may be secret."""
    project.edit("image: serving:1", 'image: "{{ repository }}:1"')
    assert project.run("deploy", "-e", "repository=serving").code == 0
    (journal,) = (project.path / "state" / "runs").glob(f"*/{JOURNAL}")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    (planned,) = (record["data"]["plan"] for record in records if record["kind"] == "plan_made")
    (part,) = planned
    assert part["hosts"] == ["gpu1", "gpu2"]
    text = "\n".join(part["lines"])
    assert "start" in text
    assert "<secret>:1" in text
    assert "serving:1" not in text
    assert "@" in records[0]["data"]["by"]
