"""Faults of the controller itself: its power, and its clock."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.rollout.debt.ledger import Debt, Debts, address_of
from fleetdeploy.rollout.journal.record import JOURNAL
from fleetdeploy.rollout.journal.recorded_run import RecordedRun
from tests.fleet.faults.means import stopped
from tests.fleet.faults.power import CrashDisk
from tests.fleet.onlooker import drained, machines, on, serves
from tests.fleet.project import DIRECTORY, REPOSITORY, Project, Started


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[CrashDisk]:
    made = CrashDisk(tmp_path)
    yield made
    made.close()


# Power


MOMENTS: list[dict[str, object]] = [
    {"kind": "leases_taken"},
    {"kind": "step_started", "task": "stage"},
    {"kind": "step_started", "task": "drain", "host": "gpu1"},
    {"kind": "step_finished", "task": "activate", "host": "gpu1"},
]
LAST: dict[str, object] = {"kind": "step_started", "task": "activate", "host": "gpu2"}


@pytest.mark.fault("F3")
def test_a_controller_that_loses_its_power_is_carried_on_from_its_disk(
    lab: Lab, served: Project, disk: CrashDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment the disk has each record that was told and what the run is to bring about, all whole; after the
    power came back `resume` ends the run.
    """
    _everything_on(disk, served)
    served.want(version=2)
    started = served.deploy_until("--lease-ttl", "6s", "--wait-lock", "60s", **MOMENTS[0])
    for moment in MOMENTS:
        _comes_to(served, started, moment)
        with stopped(started):
            told = served.events()
            with disk.after_power_loss() as seen:
                _readable(seen, told)
    _comes_to(served, started, LAST)
    with stopped(started):
        disk.lose_power(then=lambda: started.signal(signal.SIGKILL))
    started.end()
    _readable(disk.place, [])
    monkeypatch.setattr(served, "argv", lambda *words: (*words, "--state-dir", str(served.state)))
    assert served.run("resume").last_line == "OK: 2 of 3 hosts changed"
    monkeypatch.undo()
    serves(lab, 2)
    assert drained(lab) == []
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"


def _everything_on(disk: CrashDisk, project: Project) -> None:
    """State directory and XDG_STATE_HOME, which the local lock lies in, are on the disk from now on."""
    project.state, home = disk.place / "state", disk.place / "home"
    home.mkdir()
    shutil.rmtree(project.root / "home")
    (project.root / "home").symlink_to(home)


def _comes_to(project: Project, started: Started, event: dict[str, object]) -> None:
    def there() -> bool:
        assert started.process.poll() is None, f"ended before {event}: {started.end()}"
        return any(event.items() <= found.items() for found in project.events())

    wait_until(there, f"the deploy comes to {event}", deadline_s=60)


def _readable(seen: Path, told: list[dict[str, object]]) -> None:
    """The journal there has no damage and all that was ``told`` but for what is being written; the wish is whole."""
    (directory,) = (seen / "state/runs").iterdir()
    run = RecordedRun.read(directory)
    assert run.damage is None
    assert run.records >= len(told) - 1
    text = (directory / JOURNAL).read_text(encoding="utf-8")
    there = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    assert there[: len(told)] == told[: len(there)]
    assert json.loads((directory / "wanted.json").read_text(encoding="utf-8"))
    assert list(Debts(seen / "home/fleetdeploy/debts").everybodys()) == []


HOST = Host("gpu1", Connection("10.0.0.1", port=22), {})


@pytest.mark.fault("F3")
def test_what_a_host_owes_is_remembered_through_a_power_loss(disk: CrashDisk) -> None:
    """A debt is there, whole, when the power goes right after it was written, and stays away once it was forgotten."""
    debt = Debt("gpu1", address_of(HOST), "run-1", "2026-01-31T23:59:00Z", "it was off", drained=True, balancer="lb")
    Debts(disk.place / "debts").write(debt)
    with disk.after_power_loss() as seen:
        assert Debts(seen / "debts").of(HOST) == debt
    Debts(disk.place / "debts").forget(HOST)
    with disk.after_power_loss() as seen:
        assert Debts(seen / "debts").of(HOST) is None


# Clock


CLOCK = """
import sys, time
_true_time, _ahead = time.time, {file!r}
def _time():
    if sys._getframe(1).f_globals.get("__name__", "").startswith("grpc"):
        return _true_time()
    with open(_ahead) as file:
        return _true_time() + float(file.read())
time.time = _time
"""
"""Read by Python before anything else. gRPC sees the true clock: its core asks the kernel, and must agree with it."""
YEAR_S = 365 * 86400


@contextmanager
def wall_clock(project: Project, ahead_s: int) -> Iterator[Callable[[int], None]]:
    """Commands of the project see a wall clock that is ahead by so much; what is yielded moves it at once."""
    place = project.root / "clock"
    place.mkdir()
    file = place / "ahead"

    def move(to_s: int) -> None:
        new = place / "new"
        new.write_text(str(to_s), encoding="ascii")
        new.replace(file)

    move(ahead_s)
    (place / "sitecustomize.py").write_text(CLOCK.format(file=str(file)), encoding="utf-8")
    project.environment = {"PYTHONPATH": f"{place}:{REPOSITORY}"}
    try:
        yield move
    finally:
        project.environment = {}


@pytest.mark.fault("F21")
def test_a_controller_whose_clock_is_wrong_and_jumps(lab: Lab, served: Project, tmp_path: Path) -> None:
    """A wall clock that is a year behind, ahead and two behind within one run moves no deadline, ends no lease, and
    does not change which release came before which.
    """
    served.want(version=2)
    other = Project(lab, tmp_path / "other")
    other.want(version=4)
    with wall_clock(served, -YEAR_S) as move, wall_clock(other, YEAR_S):
        started = served.deploy_until(kind="step_started", task="activate", host="gpu1")
        move(YEAR_S)
        with stopped(started):
            assert "another run works on gpu" in other.deploy(expect=6).stderr
        _comes_to(served, started, {"kind": "step_started", "task": "activate", "host": "gpu2"})
        move(-2 * YEAR_S)
        result = started.end()
        assert (result.code, result.last_line) == (0, "OK: 3 of 3 hosts changed")
        assert served.deploy().last_line == "OK: 3 hosts, nothing to do"
    serves(lab, 2)
    for host in machines(lab):
        lines = on(lab, host, "cat", f"{DIRECTORY}/releases/history").splitlines()
        first, second = (json.loads(line)["id"] for line in lines)
        assert first > second, "what came later has the earlier stamp"
    assert served.run("rollback").last_line == "OK: 3 of 3 hosts rolled back"
    serves(lab, 1)
