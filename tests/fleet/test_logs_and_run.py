"""Commands that reach into real hosts: logs as they grow, and a person's own commands."""

from __future__ import annotations

import json
import signal

import pytest

from fleetdeploy.cli.changing.on_hosts import STOPPED_NOW
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns
from tests.fleet.faults.means import rounds
from tests.fleet.load import POWER, lost_only_on
from tests.fleet.onlooker import container, machines, no_session_left, on, traffic
from tests.fleet.project import CONTAINER, Project, Started

LONG = "86397"
"""Seconds that nobody waits for, and by which a test's own sleep is found."""


def at_one_moment(started: Started, *signals: signal.Signals) -> None:
    """Signals that come so close to each other that none is dealt with before the others are there."""
    started.signal(signal.SIGSTOP)
    for number in signals:
        started.signal(number)
    started.signal(signal.SIGCONT)


def sleeps(lab: Lab, host: str) -> list[str]:
    return on(lab, host, "pgrep", "-f", "-x", f"sleep {LONG}", check=False).split()


def test_logs_of_all_hosts_come_as_one(served: Project) -> None:
    """In order of time, each line with its host, and the same for programs."""
    text = served.run("logs", "--tail", "5").stdout
    assert {line.split(" | ")[0].strip() for line in text.splitlines()} == set(machines(served.lab))
    lines = [json.loads(line) for line in served.run("logs", "--tail", "5", "--json").stdout.splitlines()]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert {(line["host"], line["service"]) for line in lines} == {(name, "ranking") for name in machines(served.lab)}
    assert len(lines) == 5 * len(machines(served.lab))


@pytest.mark.long
def test_following_goes_on_in_the_container_that_takes_the_place(served: Project) -> None:
    """With its first line, and nothing is shown twice; Ctrl-C ends it with 130."""
    following = served.start("logs", "gpu1", "-f", "--json")
    wait_until(lambda: bool(following.shown()), "the log is shown", deadline_s=60)
    served.want(flags="{max_num_load_retries: 2}")
    served.deploy("playbooks/at_once.yml")
    new = container(served.lab, "gpu1")
    assert new is not None
    short = new["Id"][:12]
    wait_until(
        lambda: f'"container": "{short}"' in following.shown(), "the new container's log is shown", deadline_s=60
    )
    ended = following.interrupt()
    assert (ended.code, "another container took its place" in ended.stderr) == (130, True)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len({(line["time"], line["line"]) for line in lines}) == len(lines)
    first = on(served.lab, "gpu1", "sh", "-c", f"docker logs {CONTAINER} 2>&1 | head -1").strip()
    assert next(line["line"] for line in lines if line["container"] == short) == first


@pytest.mark.long
def test_a_host_whose_power_is_cut_is_told_once_and_followed_on_when_it_is_back(served: Project) -> None:
    """The other hosts' logs go on meanwhile."""
    lab = served.lab
    following = served.start("logs", "-f", "--tail", "1")
    wait_until(lambda: len(following.shown().splitlines()) >= len(machines(lab)), "all logs are shown", deadline_s=60)
    with lost_only_on(lab, served, "gpu2", rule=POWER):
        lab.power_off("gpu2")
        wait_until(lambda: "it is tried again" in following.said(), "the loss is told", deadline_s=90)
        before = len(following.shown())
        lab.power_on("gpu2")
        wait_until(lambda: "gpu2/ranking: can be read again" in following.said(), "it is found again", deadline_s=120)
        wait_until(lambda: traffic(lab)["gpu2"] == {"UP"}, "the balancer finds it again", deadline_s=60)
    wait_until(lambda: "gpu2 | " in following.shown()[before:], "its server's new lines are shown", deadline_s=120)
    ended = following.interrupt()
    assert ended.code == 130
    assert ended.stderr.count("it is tried again") <= 2, ended  # the host, and its dockerd while that starts
    assert "gpu1" not in ended.stderr


def test_a_command_over_its_deadline_ends_on_the_host_too(project: Project) -> None:
    """With everything that it has started; the others are done."""
    ended = project.run("run", "gpu1", "--deadline", "2s", "--shell", f"sleep {LONG} & sleep {LONG}; :", expect=4)
    assert "gpu1: FAILED: it did not end within 2 s" in ended.stdout
    assert sleeps(project.lab, "gpu1") == []
    (run,) = RecordedRuns.list(project.state / "runs")
    assert (run.exit_code, run.damage, run.hosts["gpu1"].state) == (4, None, "failed")


def test_ctrl_c_ends_what_runs_and_begins_no_further_host(project: Project) -> None:
    """And says what to type for the rest."""
    started = project.start("run", "gpu", "-f", "1", "--", "sleep", LONG)
    wait_until(lambda: bool(sleeps(project.lab, "gpu1")), "the command runs", deadline_s=60)
    ended = started.interrupt()
    assert ended.code == 130
    assert ended.last_line.startswith("INTERRUPTED: done on 0 of 3 hosts, not well on gpu1; continue with: ")
    assert [sleeps(project.lab, name) for name in machines(project.lab)] == [[], [], []]


STUBBORN = f"trap '' HUP INT TERM; sleep {LONG} & wait; wait"
"""A command that does not end when it is asked to."""


def test_a_second_ctrl_c_stops_at_once_and_leaves_nothing_on_the_hosts(project: Project) -> None:
    """With a last line that says so, no traceback, and 130; what runs there ends with the connections."""
    started = project.start("run", "gpu", "--", "sh", "-c", STUBBORN)
    wait_until(lambda: all(sleeps(project.lab, name) for name in machines(project.lab)), "it runs", deadline_s=60)
    started.signal(signal.SIGINT)
    wait_until(lambda: "once more to stop now" in started.said(), "the first is heard", deadline_s=30)
    ended = started.interrupt()
    assert ended.code == 130
    assert ended.last_line.startswith(f"{STOPPED_NOW}; to give it again: fleetdeploy ")
    assert "Traceback" not in ended.text
    hosts = machines(project.lab)
    wait_until(lambda: not any(sleeps(project.lab, name) for name in hosts), "the commands have ended", deadline_s=60)
    (run,) = RecordedRuns.list(project.state / "runs")
    assert (run.exit_code, run.damage) == (None, None)
    told = project.run("runs", "show").stderr
    assert "nothing tells of its end" in told
    assert f"next: {run.command}" in told.splitlines()
    assert project.run("resume").stderr.startswith(f"nothing to resume: run {run.id} was a command of your own, ")


@pytest.mark.long
def test_a_second_signal_stops_an_exec_at_once(served: Project) -> None:
    """No connection is left, whatever goes on in the container, and the last line says that it may."""
    lab = served.lab
    with no_session_left(lab):
        started = served.start("exec", "gpu", "--", "sleep", LONG)
        wait_until(lambda: all(sleeps(lab, name) for name in machines(lab)), "it runs in the containers", deadline_s=60)
        at_one_moment(started, signal.SIGINT, signal.SIGTERM)
        ended = started.end()
        assert (ended.code, "Traceback" in ended.text) == (143, False)
        assert ended.last_line.startswith(f"{STOPPED_NOW}; to give it again: fleetdeploy ")


@pytest.mark.long
def test_ctrl_c_says_of_an_exec_what_may_go_on(served: Project) -> None:
    """Docker cannot end what it began; nothing else is left."""
    lab = served.lab
    with no_session_left(lab):
        started = served.start("exec", "gpu1", "--", "sleep", LONG)
        wait_until(lambda: bool(sleeps(lab, "gpu1")), "it runs in the container", deadline_s=60)
        ended = started.interrupt()
        assert ended.code == 130
        assert "Docker cannot end what runs in a container: it may go on there" in ended.text
        assert ended.last_line.startswith("INTERRUPTED: done on 0 of 1 host, not well on gpu1; continue with: ")


@pytest.mark.parametrize("often", rounds([False, True], in_ci=1), ids=["once", "often"])
def test_following_ends_without_a_word_however_often_it_is_asked_to(served: Project, *, often: bool) -> None:
    """With 130, and nobody is connected to any host any longer."""
    lab = served.lab
    with no_session_left(lab) as connected:
        started = served.start("logs", "-f")
        wait_until(lambda: len(started.shown().splitlines()) >= len(machines(lab)), "logs are shown", deadline_s=60)
        assert connected() == machines(lab)
        started.signal(signal.SIGINT)
        while often and started.process.poll() is None:
            started.signal(signal.SIGINT)  # as fast as can be: no moment is spared
        ended = started.end()
        assert (ended.code, ended.stderr) == (130, "")


def test_the_command_ends_with_the_controller_however_that_ends(project: Project) -> None:
    """Nobody is there to end it any more: the host does."""
    started = project.start("run", "gpu1", "--", "sleep", LONG)
    wait_until(lambda: bool(sleeps(project.lab, "gpu1")), "the command runs", deadline_s=60)
    started.process.kill()
    started.process.wait(timeout=10)
    wait_until(lambda: not sleeps(project.lab, "gpu1"), "the command has ended", deadline_s=60)


def test_what_hosts_print_moves_no_cursor_and_is_whole_for_programs(project: Project) -> None:
    """Binary output and escape sequences are shown as such."""
    words = ("--", "printf", r"\033]0;owned\007\377\000 \342\234\223\n")
    block = project.run("run", "gpu1", *words).stdout
    assert r"\x1b]0;owned\x07" in block
    assert "\x1b" not in block
    found = project.run("run", "gpu1", "--json", *words).json
    # These hosts' sshd tells of itself on the standard error of each command.
    assert "\x1b]0;owned\x07\ufffd\x00 \u2713" in found["commands"]["gpu1"][0]["output"]


def test_a_command_is_run_in_the_containers(served: Project) -> None:
    """Where a program that they lack ends as in a shell, and one over its deadline is said to go on, perhaps."""
    ended = served.run("exec", "gpu", "--", "nvidia-smi", "-L")
    assert ended.stdout.count("/ranking: ok") == len(machines(served.lab))
    assert ended.stdout.count("GPU 0: ") == len(machines(served.lab))
    ended = served.run("exec", "gpu1", "--", "no-such-program", expect=4)
    assert "gpu1/ranking: FAILED: ended with status 127" in ended.stdout


@pytest.mark.long
def test_a_lock_keeps_a_deploy_away_for_as_long_as_the_command_runs(served: Project) -> None:
    """And is gone with it."""
    started = served.start("run", "gpu", "--lock", "--", "sleep", LONG)
    wait_until(lambda: bool(sleeps(served.lab, "gpu3")), "the command runs", deadline_s=60)
    served.want(version=2)
    assert served.deploy("playbooks/at_once.yml", expect=6).code == 6
    started.interrupt()
    served.deploy("playbooks/at_once.yml")
