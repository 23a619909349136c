"""Two controllers at once, a holder that is late, and overlapping runs: one of them works, and the others say so."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median_low

import pytest

from fleetdeploy.lab.fleet import Lab
from tests.fleet.faults.means import rounds, without_ssh
from tests.fleet.onlooker import everything, machines, on, serves
from tests.fleet.project import DIRECTORY, PLAYBOOK, Project, Result, Started

RACES = 3 * int(os.environ.get("FLEETDEPLOY_EXAMPLES", "1"))
"""Those of two controllers in a row: a few where one is too little, over 100 in a night, where that is 40."""

TTL_S = 6
KILLED_TTL_S = 15
"""Long enough for another command to begin meanwhile, on a busy machine as well."""


@pytest.fixture
def other(served: Project, tmp_path: Path) -> Project:
    """A second controller: its own project directory and its own XDG state home, so that no local lock helps."""
    return Project(served.lab, tmp_path / "other")


def audit(lab: Lab, host: str) -> list[tuple[str, int, str]]:
    """Run, fencing number and text of every line of the host's audit log."""
    rows = [line.split(" ", 3) for line in on(lab, host, "cat", f"{DIRECTORY}/audit.log").splitlines()]
    return [(run, int(fence), text) for _, run, fence, text in rows]


def one_at_a_time(lab: Lab, host: str) -> None:
    """The log is made of turns: each is one run's alone under one number, and numbers only grow."""
    turns: list[tuple[str, int]] = []
    for run, fence, _ in audit(lab, host):
        if not turns or turns[-1] != (run, fence):
            turns.append((run, fence))
    fences = [fence for _, fence in turns]
    assert fences == sorted(set(fences)), turns


def told_of(result: Result) -> str:
    """The one line that a run which was turned away has printed, and nothing else."""
    assert result.code == 6, str(result)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@contextmanager
def stopped(started: Started) -> Iterator[None]:
    """While the block runs, the controller does not."""
    started.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        started.signal(signal.SIGCONT)


def owner() -> str:
    return f"{os.environ.get('USER') or 'root'}@{os.uname().nodename}"


@pytest.mark.fault("F24")
@pytest.mark.parametrize("races", rounds([1, RACES], in_ci=1))
def test_of_two_controllers_one_works(lab: Lab, served: Project, other: Project, races: int) -> None:
    """Started at once, one converges and the other ends with exit 6 and harms nothing; no host saw two at work."""
    for number in range(races):
        wanted = 2 if number % 2 == 0 else 1
        for each in (served, other):
            each.want(version=wanted)
        both = [each.start("deploy") for each in (served, other)]
        ends = [each.end(timeout_s=180) for each in both]
        codes = sorted(end.code for end in ends)
        assert codes in ([0, 6], [0, 0]), [str(end) for end in ends]
        if codes == [0, 0]:  # one came when the other had ended
            assert any(end.last_line == "OK: 3 hosts, nothing to do" for end in ends), [str(end) for end in ends]
        serves(lab, wanted)
        for host in machines(lab):
            one_at_a_time(lab, host)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("task", rounds(["activate", "stage"], in_ci=1))
def test_a_holder_that_was_late_changes_nothing_more(lab: Lab, served: Project, other: Project, task: str) -> None:
    """Stopped in the middle past its TTL, overtaken, and let go on: it exits 4, says who took over, and leaves every
    host as the other one made it.
    """
    served.want(version=2)
    other.want(version=4)
    started = served.deploy_until("--lease-ttl", f"{TTL_S}s", kind="step_started", task=task)
    with stopped(started):
        result = other.deploy("--wait-lock", "60s", timeout_s=180)
        assert "changed" in result.last_line
        serves(lab, 4)
        before = everything(lab)
    late = started.end()
    assert late.code == 4, str(late)
    assert f"run {other.events()[0]['run']} of {owner()}" in late.text
    assert everything(lab) == before
    assert other.deploy().last_line == "OK: 3 hosts, nothing to do"


@pytest.mark.fault("F26")
def test_overlapping_runs_print_one_line(lab: Lab, served: Project, other: Project) -> None:
    """Every one that begins while another one works exits 6 within 5 s with one line, here and elsewhere."""
    for each in (served, other):  # alike, as the last one may come when the first has just ended
        each.want(version=2, image="fleetdeploy/standin:1.1")
    # It lasts for several turns of the others, also where the machine is busy and these take long.
    served.edit("    - drain:\n", "    - drain:\n    - pause: {seconds: 10s}\n", file=PLAYBOOK)
    started = served.deploy_until(kind="leases_taken")
    run, took_s = served.events()[0]["run"], list[float]()
    while started.process.poll() is None:
        for each in (served, other):
            began = time.monotonic()
            result = each.deploy("-q", expect=None)
            ended = time.monotonic()
            if started.process.poll() is not None:
                break
            line = told_of(result)
            assert f"run {run} of " in line
            assert "--wait-lock" in line
            # Less what this machine takes now to start a command, read the inventory and connect to the hosts, which is
            # its load's and not the lock's: no model is read for that.
            each.run("lock", "show", expect=None)
            took_s.append((ended - began) - (time.monotonic() - ended))
    assert started.end().code == 0
    assert len(took_s) >= 2
    assert median_low(took_s) < 5, took_s  # one that the machine held up is not the lock's
    serves(lab, 2)


@pytest.mark.long
@pytest.mark.fault("F26")
def test_a_host_that_does_not_answer_keeps_nobody_waiting_for_the_owners_name(
    lab: Lab, served: Project, other: Project
) -> None:
    """Who comes second is told who works there by the hosts that answer, however long the others may be waited for."""
    for each in (served, other):
        each.want(version=2)
    started = served.deploy_until(kind="leases_taken")
    run, patience_s = served.events()[0]["run"], 300
    with stopped(started), without_ssh(lab, "gpu3"):
        result = other.deploy("-q", "--timeout", str(patience_s), expect=None, timeout_s=patience_s / 4)
        assert f"run {run} of {owner()}" in told_of(result)
    assert started.end().code == 0
    serves(lab, 2)


@pytest.mark.long
@pytest.mark.fault("F25")
def test_a_killed_holder_holds_for_its_time_and_no_longer(lab: Lab, served: Project, other: Project) -> None:
    """After a SIGKILL another controller is told who held it and for how long still; then it works without a hand."""
    for each in (served, other):
        each.want(version=2)
    started = served.deploy_until("--lease-ttl", f"{KILLED_TTL_S}s", kind="step_started", task="activate")
    run = served.events()[0]["run"]
    started.signal(signal.SIGKILL)
    started.end()
    result = other.deploy(expect=6)
    assert re.search(rf"run {run} of {owner()}, for \d+ s; free in \d+ s", result.stderr), result.stderr
    assert "nothing" not in other.deploy("--wait-lock", "60s", timeout_s=180).last_line
    serves(lab, 2)


@pytest.mark.long
@pytest.mark.fault("F1")
def test_a_killed_run_is_followed_at_once_on_its_controller(lab: Lab, served: Project) -> None:
    """The lock that died with the run proves to the next one here that nobody holds the lease: it does not wait."""
    served.want(version=2)
    started = served.deploy_until(kind="step_started", task="activate")
    started.signal(signal.SIGKILL)
    started.end()
    served.deploy()
    serves(lab, 2)
    for host in machines(lab):
        one_at_a_time(lab, host)


@pytest.mark.long
@pytest.mark.fault("F25")
def test_a_broken_lease_fences_its_holder(lab: Lab, served: Project, other: Project) -> None:
    """`lock show` names the holder, `lock break` ends its hold for a reason that it is told, and it changes nothing."""
    served.want(version=2)
    started = served.deploy_until(kind="step_started", task="activate", host="gpu1")
    run = served.events()[0]["run"]
    with stopped(started):
        shown = other.run("lock", "show", "--json").json
        assert [(row["host"], row["run"], row["owner"]) for row in shown["leases"]] == [
            (host, run, owner()) for host in machines(lab)
        ]
        broken = other.run("lock", "break", "--reason", "it hangs")
        assert broken.stdout.splitlines()[-1].startswith("LOCKS: 3 leases broken")
        assert other.run("lock", "show", "--json").json["leases"] == []
        before = everything(lab)
    late = started.end()
    assert late.code == 4, str(late)
    assert f"{owner()} broke the lease: it hangs" in late.text
    assert everything(lab) == before
    assert any("broken by" in text and "it hangs" in text for _, _, text in audit(lab, "gpu1"))
    other.want(version=2)
    other.deploy()
    serves(lab, 2)


@pytest.mark.long
def test_a_run_with_nothing_to_do_takes_no_lease(lab: Lab, served: Project) -> None:
    """It leaves the hosts exactly as they were, their locks included."""
    before = everything(lab)
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"
    assert everything(lab) == before
