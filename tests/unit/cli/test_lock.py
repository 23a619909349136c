"""``lock show`` and ``lock break``, and what a run says that is turned away."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from simulation import contract
from simulation.leases import ELSEWHERE, SimLease, take_over
from simulation.world import SERVICE

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.lease import Holder, Lease
from fleetdeploy.report import lock_text
from fleetdeploy.rollout.locks import local as lock
from fleetdeploy.rollout.locks import view

from .conftest import Project

pytestmark = pytest.mark.simulation


@pytest.fixture
def held(project: Project) -> Project:
    """A deployed fleet, on whose gpu2 a run of another controller has been at work for 20 s."""
    assert project.run("deploy").code == 0
    take_over(project.world.hosts["gpu2"])
    project.world.clock.wait(20.0)
    return project


def test_show_names_every_holder(held: Project) -> None:
    """A row for each lease with its owner, run, age, remaining time and number; exit 0, and nothing is changed."""
    shown = held.run("lock", "show")
    assert shown.code == 0
    head, row, last = shown.out.splitlines()
    assert head.split("  ")[0] == "HOST"
    assert row.split() == ["gpu2", SERVICE, "somebody@another", "run-elsewhere", "20", "s", "40", "s", "2"]
    assert last == "LOCKS: 1 run works on 1 host"
    assert held.acts == []
    assert held.run("lock", "show", "gpu1").out == "LOCKS: nobody works on these hosts\n"
    assert held.run("lock", "show", "--json").json["leases"] == [
        {
            "host": "gpu2",
            "service": SERVICE,
            "owner": "somebody@another",
            "run": "run-elsewhere",
            "held_for": 20,
            "free_in": 40,
            "number": 2,
        }
    ]


def test_a_table_that_is_too_wide_is_told_run_by_run() -> None:
    """On a terminal of 80 columns no row breaks in its middle, and each host of a run has one line."""
    held = {
        ("gpu07.rack1.example.net", "ranking-eu"): Lease(ELSEWHERE, 7, 80.0, 40.0),
        ("gpu1.rack1.example.net", "ranking"): Lease(ELSEWHERE, 12, 5.0, 40.0),
    }
    here = {host: lock.Note("run-elsewhere", "somebody", 41, 90.0) for host in [*(host for host, _ in held), "lb"]}
    here["gpu9"] = lock.Note("run-2", "me", 42, 1.0)
    shown = [line.plain for line in lock_text.lines(view.Seen(held, {}), here, width=80)]
    assert max(map(len, shown)) <= 80
    assert shown == [
        "run run-elsewhere of somebody@another",
        "  gpu07.rack1.example.net  ranking-eu",
        "      held for 1 min 20 s, free in 40 s, number 7",
        "  gpu1.rack1.example.net   ranking     held for 5 s, free in 40 s, number 12",
        "  locked on this machine until it ends: lb",
        "run run-2 of me, pid 42 on this machine",
        "  locked on this machine until it ends: gpu9",
        "LOCKS: 2 runs work on 4 hosts",
    ]
    alone = [line.plain for line in lock_text.lines(view.Seen(held, {}), here)]
    assert [row.split()[0] for row in alone[1:-1]] == [*(host for host, _ in held), "lb", "gpu9"]


def test_show_tells_of_runs_on_this_machine(project: Project) -> None:
    """A host whose local lock a run here holds has a row too, with the process."""
    host = Host("another name", Connection("gpu1"))
    with lock.hold(project.path / "home/fleetdeploy/locks", [host], "run-1", project.world.clock):
        shown = project.run("lock", "show")
        local = project.run("lock", "show", "--json").json["local"]
    assert "gpu1" in shown.out
    assert "run-1" in shown.out
    assert [(row["host"], row["run"]) for row in local] == [("gpu1", "run-1")]
    assert project.run("lock", "show", "--json").json["local"] == []


def test_show_names_no_run_whose_number_is_another_process_s(project: Project) -> None:
    """The note of a run that was killed is not shown for whoever got its process number."""
    place, host = project.path / "home/fleetdeploy/locks", Host("gpu1", Connection("gpu1"))
    with lock.hold(place, [host], "killed", project.world.clock):
        note = json.loads((place / "killed.json").read_text())
    (place / "killed.json").write_text(json.dumps({**note, "process": "another-boot 1"}))
    assert project.run("lock", "show").out == "LOCKS: nobody works on these hosts\n"


@pytest.mark.parametrize("verb", [["show"], ["break", "--reason", "x"]])
def test_hosts_that_cannot_be_asked_are_named(held: Project, verb: list[str]) -> None:
    """Exit 4 with their names; what the others hold is shown all the same."""
    held.world.hosts["gpu1"].reachable = False
    shown = held.run("lock", *verb)
    assert shown.code == 4
    assert "gpu1: CANNOT BE ASKED: no route to host" in shown.out
    assert "gpu2" in shown.out
    assert shown.out.splitlines()[-1].endswith("; 1 host cannot be asked")


def test_break_says_what_it_broke(held: Project) -> None:
    """The lease is gone with its reason, the holder is named, and the next run goes on at once."""
    assert held.run("deploy").code == 6
    done = held.run("lock", "break", "--reason", "its controller burnt")
    assert done.code == 0
    assert "run-elsewhere" in done.out
    assert done.out.splitlines()[-1] == "LOCKS: 1 lease broken: the holder changes nothing more there"
    found = held.world.hosts["gpu2"].leases[SERVICE]
    assert (found.state, found.why, found.fence) == ("broken", "its controller burnt", 3)
    again = held.run("lock", "break", "--reason", "once more")
    assert (again.code, again.out) == (0, "LOCKS: nobody held a lease\n")
    assert held.run("deploy").code == 0


def test_who_came_after_the_look_is_not_broken(held: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was seen is broken: another holder by then keeps its lease, is named, and the exit code is 6."""
    real = view.check_agreed

    def meanwhile(*arguments: Any) -> None:
        take_over(held.world.hosts["gpu2"], Holder("run-next", "next@x"))
        real(*arguments)

    monkeypatch.setattr(view, "check_agreed", meanwhile)
    done = held.run("lock", "break", "--reason", "x")
    assert done.code == 6
    assert f"gpu2: NOT BROKEN: {SERVICE} is leased by run run-next of next@x by now" in done.out
    assert done.out.splitlines()[-1] == "LOCKS: no lease was broken"
    assert held.world.hosts["gpu2"].leases[SERVICE].state == "held"


def test_what_break_did_as_json(held: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was broken, and what another run had taken by then, each with its holder; what cannot be asked is named."""
    held.world.hosts["gpu1"].reachable = False
    done = held.run("lock", "break", "--reason", "x", "--json").json
    assert [(row["host"], row["run"]) for row in done["broken"]] == [("gpu2", "run-elsewhere")]
    assert (done["format"], list(done["failed"]), done["anew"]) == (1, ["gpu1"], [])
    take_over(held.world.hosts["gpu2"])
    real = view.check_agreed

    def meanwhile(*arguments: Any) -> None:
        take_over(held.world.hosts["gpu2"], Holder("run-next", "next@x"))
        real(*arguments)

    monkeypatch.setattr(view, "check_agreed", meanwhile)
    late = held.run("lock", "break", "gpu2", "--reason", "x", "--json").json
    assert (late["broken"], [row["run"] for row in late["anew"]]) == ([], ["run-next"])
    assert contract.wrong("lock", {**late, "broken": [{}]}) != []


def test_break_wants_a_reason(held: Project) -> None:
    """Without one it is not even tried."""
    assert held.run("lock", "break").code == 2
    assert held.world.hosts["gpu2"].leases[SERVICE].state == "held"


def test_leases_of_several_runs_are_not_broken_unasked(held: Project) -> None:
    """Where nobody can answer it ends with exit 9 and breaks nothing; --yes or a narrower pattern go on."""
    now_s = held.world.clock.monotonic_s()
    held.world.hosts["gpu1"].leases[SERVICE] = SimLease(Holder("run-third", "third@x"), 9, now_s, now_s, 60.0)
    refused = held.run("lock", "break", "--reason", "x")
    assert refused.code == 9
    assert "leases of several runs" in refused.err
    assert {host.leases[SERVICE].state for host in held.world.hosts.values()} == {"held"}
    assert held.run("lock", "break", "gpu1", "--reason", "x").code == 0
    take_over(held.world.hosts["gpu1"], Holder("run-fourth", "fourth@x"))
    assert held.run("lock", "break", "--reason", "x", "--yes").code == 0
    assert {host.leases[SERVICE].state for host in held.world.hosts.values()} == {"broken"}


@pytest.mark.parametrize("options", [[], ["-q"], ["-v"]])
def test_a_run_that_is_turned_away_prints_one_line(held: Project, options: list[str]) -> None:
    """What cron mails: one line on stderr with the holder and what to do, whichever lock it was."""
    elsewhere = held.run("deploy", *options)
    host = Host("another name", Connection("gpu2"))
    with lock.hold(held.path / "home/fleetdeploy/locks", [host], "run-1", held.world.clock):
        here = held.run("deploy", *options)
    for result, name in ((elsewhere, str(ELSEWHERE)), (here, "run run-1 of ")):
        assert (result.code, result.out) == (6, "")
        assert len(result.err.splitlines()) == 1
        assert name in result.err
        assert "--wait-lock" in result.err
    assert re.search(r", since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ; ", here.err)


def test_json_of_a_run_that_is_turned_away(held: Project) -> None:
    """The usual object of an error, on stdout."""
    found = held.run("deploy", "--json").json
    assert (found["exit_code"], found["error"]) == (6, "LockHeld")


def test_waiting_for_another_controller(held: Project) -> None:
    """--wait-lock waits until the lease's time is over, then looks anew and converges; a shorter wait ends with 6."""
    began_s = held.world.clock.monotonic_s()
    assert held.run("deploy", "--wait-lock", "10s").code == 6
    assert held.world.clock.monotonic_s() - began_s == pytest.approx(10.0, abs=1.0)
    held.edit("versions: [1]", "versions: [2]")
    assert held.run("deploy", "--wait-lock", "60s").code == 0
    assert "OK: 2 hosts, nothing to do" in held.run("deploy").err
