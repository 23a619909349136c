"""Who ends a watchdog, by a confirm or by disarming it, and what is told to whoever comes too late."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from typing import Any, cast

import pytest

from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import DeadlineExceeded, HostError, LeaseLost
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.directory import watchdog
from fleetdeploy.remote.directory.watchdog import watch_from_line

from .machine import DEADLINE_S, NEW, RUN, Machine, lease


def test_what_is_confirmed_stays(machine: Machine) -> None:
    """A confirm ends what counts down, changes nothing else, and may be said again when its answer was lost."""
    machine.arm(after_s=600)
    assert len(machine.guards()) == 1
    machine.lose = 1
    machine.dog.confirm(run=RUN, deadline_s=30)
    assert machine.connections == 2
    machine.none_left()
    assert (machine.verdict().state, machine.config()) == (WatchState.CONFIRMED, "new\n")
    assert machine.kept() == ["verdict"]
    assert machine.dog.disarm() == machine.verdict()


def test_what_is_disarmed_is_as_if_it_had_never_been(machine: Machine) -> None:
    """After a disarm nothing counts down, no verdict is left, and another disarm has nothing to do."""
    machine.arm(after_s=600)
    assert machine.dog.disarm() is None
    machine.none_left()
    assert machine.kept() == []
    assert machine.dog.disarm() is None
    with pytest.raises(HostError, match="came too late to be confirmed: the host knows of no watchdog"):
        machine.dog.confirm(run=RUN, deadline_s=5)


def test_a_confirm_of_another_run_is_none(one: Machine) -> None:
    """Only the run that armed it can confirm."""
    one.arm(after_s=600)
    with pytest.raises(HostError, match="came too late"):
        one.dog.confirm(run="another", deadline_s=5)
    assert "armed" in one.kept()


def test_a_confirm_that_comes_too_late_says_so(one: Machine) -> None:
    """Once the host has gone back a confirm fails with the host's own verdict, and changes nothing."""
    one.arm(after_s=1)
    assert one.verdict().state is WatchState.RESTORED
    with pytest.raises(HostError, match=rf"its watchdog took release {NEW} of run {RUN} back: nobody confirmed"):
        one.dog.confirm(run=RUN, deadline_s=5)
    assert one.verdict().state is WatchState.RESTORED
    found = one.dog.disarm()
    assert found is not None
    assert found.state is WatchState.RESTORED


def test_a_host_that_lets_nobody_in_is_not_confirmed(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A confirm connects anew until its time is over, then fails; the watchdog goes on counting."""
    monkeypatch.setattr(watchdog, "TRY_AGAIN_S", 0.1)
    one.arm(after_s=600)
    one.reachable = False
    with pytest.raises(DeadlineExceeded, match="could not be confirmed over a new connection: no route to host"):
        one.dog.confirm(run=RUN, deadline_s=0.5)
    assert one.connections > 1
    one.reachable = True
    assert "armed" in one.kept()
    assert len(one.guards()) == 1


def test_a_disarm_waits_for_one_that_goes_back_already(one: Machine, server: ThreadingHTTPServer) -> None:
    """Two never go back at once: who comes while the watchdog is at it gets its verdict."""
    cast("Any", server).states = {"1": "AVAILABLE", "2": "LOADING"}
    one.arm(after_s=1)
    wait_until((one.containers / "log").exists, "it is at it", deadline_s=DEADLINE_S)
    found: list[Watch | None] = []

    def ask() -> None:
        found.append(one.dog.disarm())

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(HostError, match="takes the release back now"):
        one.dog.confirm(run=RUN, deadline_s=5)
    assert asking.is_alive()
    cast("Any", server).states = {"1": "AVAILABLE", "2": "AVAILABLE"}
    asking.join(timeout=DEADLINE_S)
    assert [watch and watch.state for watch in found] == [WatchState.RESTORED]


def test_who_has_no_lease_neither_confirms_nor_disarms(one: Machine) -> None:
    """While another run holds the lease, what is armed stays armed for it to take over."""
    one.token = lease(one, RUN)
    one.arm(after_s=600)
    mine, one.token = one.token, ("another", "7")
    with pytest.raises(LeaseLost, match=f"run {RUN} of user@machine took over"):
        one.dog.disarm()
    with pytest.raises(LeaseLost):
        one.dog.confirm(run=RUN, deadline_s=5)
    assert "armed" in one.kept()
    one.token = mine
    one.dog.confirm(run=RUN, deadline_s=5)


@pytest.mark.parametrize(
    ("line", "state", "reason"),
    [
        (f"armed {RUN} {NEW} 2026-01-31T23:59:00Z", WatchState.ARMED, ""),
        (f"armed {RUN} {NEW} T the host was rebooted since", WatchState.ARMED, "the host was rebooted since"),
        (f"firing {RUN} {NEW} 2026-01-31T23:59:00Z", WatchState.ARMED, "it takes the release back now"),
        (f"failed {RUN} {NEW} T Docker:\x1b[31m no", WatchState.FAILED, "Docker:[31m no"),
    ],
)
def test_a_line_is_read(line: str, state: WatchState, reason: str) -> None:
    """Every word that a host leaves behind is understood, and safe to print."""
    assert watch_from_line(line) == Watch(state, RUN, NEW, reason)


@pytest.mark.parametrize("line", ["", "armed", "armed x", "gone RUN RELEASE T"])
def test_a_line_that_means_nothing_is_refused(line: str) -> None:
    """What is no verdict is an error, never a state."""
    with pytest.raises(ValueError, match="not"):
        watch_from_line(line)
