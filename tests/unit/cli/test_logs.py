"""``logs``: from the command line to the exit code."""

from __future__ import annotations

import os
import signal

import pytest
from unit.rollout.reaching.hosts import FakeHost, Log, lost, stamp

from fleetdeploy.domain.reaching import STDERR, LogLine

from .conftest import Project


def test_logs_come_with_their_hosts_before_them(project: Project, hosts: dict[str, FakeHost]) -> None:
    """In order of time; escapes are shown as such."""
    hosts["gpu1"].log_ = Log("a", [LogLine(stamp(2), "two\x1b[2J")])
    hosts["gpu2"].log_ = Log("b", [LogLine(stamp(1), "one")])
    done = project.run("logs")
    assert (done.code, done.out) == (0, "gpu2 | one\ngpu1 | two\\x1b[2J\n")
    assert project.run("logs", "gpu2", "--no-prefix").out == "one\n"
    assert project.run("logs", "gpu2", "--timestamps").out == f"gpu2 | {stamp(1)} one\n"


def test_log_lines_for_programs_are_an_object_each(project: Project, hosts: dict[str, FakeHost]) -> None:
    """What could not be read is told on stderr, and by the exit code."""
    hosts["gpu1"].log_ = Log("a" * 64, [LogLine(stamp(2), "two\x1b", STDERR)])
    hosts["gpu2"].trouble = [lost("gpu2")]
    done = project.run("logs", "--json")
    assert done.code == 4
    assert done.json == {
        "time": stamp(2), "host": "gpu1", "service": "ranking", "container": "a" * 12, "stream": "stderr",
        "line": "two\x1b",
    }  # fmt: skip
    assert done.err == "gpu2/ranking: no answer (is it on?)\n"


@pytest.mark.parametrize(
    ("words", "tail", "since"),
    [
        ([], 100, ""),
        (["--tail", "5"], 5, ""),
        (["--tail", "all"], None, ""),
        (["--grep", "x"], None, ""),
        (["--since", "2026-01-31T23:59:00Z"], None, "2026-01-31T23:59:00.000000000Z"),
        (["--since", "2026-01-31T23:59:00+01:00", "--tail", "2"], 2, "2026-01-31T22:59:00.000000000Z"),
    ],
)
def test_how_much_of_a_log_is_asked_for(
    project: Project, hosts: dict[str, FakeHost], words: list[str], tail: int | None, since: str
) -> None:
    """The last lines, unless what is wanted may stand anywhere."""
    hosts["gpu1"].log_ = Log("a")
    assert project.run("logs", "gpu1", *words).code == 0
    assert hosts["gpu1"].asked == [("a", False, tail, since)]


@pytest.mark.parametrize("words", [["--grep", "("], ["--grep", "(a+)+$"], ["--tail", "-1"], ["--since", "no-time"]])
def test_a_wrong_wish_for_logs_is_refused(project: Project, hosts: dict[str, FakeHost], words: list[str]) -> None:
    """Also an expression that might never come to an end."""
    assert project.run("logs", *words).code == 2
    assert not hosts["gpu1"].asked


def test_only_lines_that_match_are_shown(project: Project, hosts: dict[str, FakeHost]) -> None:
    """Wherever in the line it is found."""
    hosts["gpu1"].log_ = Log("a", [LogLine(stamp(1), "I up"), LogLine(stamp(2), "E no GPU"), LogLine(stamp(3), "gpu")])
    assert project.run("logs", "gpu1", "--grep", "E .*GPU|OOM").out == "gpu1 | E no GPU\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--grep", "nothinghere"], "2 logs read: no line that --grep asks for\n"),
        (["--grep", "nothinghere", "--since", "30m"], "2 logs read: no line that --grep asks for since then\n"),
        (["--grep", "nothinghere", "-q"], ""),
        (["--grep", "one"], ""),
    ],
)
def test_that_no_line_was_found_is_said(
    project: Project, hosts: dict[str, FakeHost], words: list[str], told: str
) -> None:
    """On stderr, with exit code 0: silence would leave open whether anything was read."""
    for host in hosts.values():
        host.log_ = Log("a", [LogLine(stamp(1), "one")])
    done = project.run("logs", "gpu1:gpu2", *words)
    assert (done.code, done.err) == (0, told)


def test_ctrl_c_ends_following_without_a_word(project: Project, hosts: dict[str, FakeHost]) -> None:
    """It is how it is ended; the exit code says that it was."""
    hosts["gpu1"].log_ = Log("a", [LogLine(stamp(1), "one")])
    hosts["gpu1"].idle = lambda: os.kill(os.getpid(), signal.SIGINT)
    done = project.run("logs", "gpu1", "-f")
    assert (done.code, done.err) == (130, "")
