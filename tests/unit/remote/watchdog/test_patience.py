"""How long a watchdog tries to go back, what it leaves when it gives up, and how long others wait for it."""

from __future__ import annotations

import re
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import DeadlineExceeded
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.directory import watchdog
from fleetdeploy.remote.directory.watchdog import RemoteWatchdog
from fleetdeploy.remote.ssh.channels import CommandResult

from .machine import DEADLINE_S, DOCKER, NEW, RUN, Connected, Machine, lease

FAILS_TWICE = '[ "$(wc -l <log)" -gt 2 ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }\ncase $1 in'


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watchdog that is armed now gives up after 2 s."""
    monkeypatch.setattr(watchdog, "RESTORE_S", 2.0)


def gave_up(machine: Machine, why: str) -> None:
    """It has ended, with a reason that whoever comes next is told."""
    assert machine.verdict() == Watch(WatchState.FAILED, RUN, NEW, why)
    machine.none_left()
    assert machine.kept() == ["verdict"]
    assert machine.dog.disarm() == machine.verdict()
    log = (machine.service / "audit.log").read_text()
    assert f"watchdog of run {RUN} over release {NEW}: failed, {why}" in log


def refuses_to_replace(machine: Machine, path: Path) -> None:
    machine.program("mv", f'#!/bin/sh\ncase "$*" in *" {path}") exit 1 ;; *) exec /usr/bin/mv "$@" ;; esac\n')


@pytest.mark.usefixtures("hasty")
def test_without_the_lease_nothing_is_touched(machine: Machine) -> None:
    """A watchdog that cannot take the lease away from its run gives up at its deadline, and leaves all as it is."""
    machine.token = lease(machine, RUN)
    machine.program("flock", '#!/bin/sh\n[ "$1" != -x ] || exit 69\nexec /usr/bin/flock "$@"\n')
    machine.arm(after_s=1)
    gave_up(machine, f"the lease of run {RUN} could not be broken")
    assert machine.config() == "new\n"
    assert not (machine.containers / "log").exists()
    machine.arm(after_s=600)  # by the lease, which is the run's as before
    assert machine.dog.disarm() is None


@pytest.mark.usefixtures("hasty")
def test_without_the_configuration_no_container_is_touched(one: Machine) -> None:
    """Where the file of before cannot be put in place, the server goes on with what it has, and the verdict says so."""
    refuses_to_replace(one, one.service / "config/model.config")
    one.arm(after_s=1)
    gave_up(one, "the configuration cannot be written")
    assert one.config() == "new\n"
    assert not (one.containers / "log").exists()
    assert list((one.service / "config").iterdir()) == [one.service / "config/model.config"]


@pytest.mark.usefixtures("hasty")
def test_a_record_that_cannot_be_written_is_no_way_back(one: Machine) -> None:
    """A host that serves what was before, and records what came after it, is not told as one that went back."""
    (one.service / "releases/current").write_text(f"{NEW}\n")
    refuses_to_replace(one, one.service / "releases/current")
    one.arm(after_s=1)
    gave_up(one, "releases/current cannot be written")
    assert (one.service / "releases/current").read_text() == f"{NEW}\n"


def test_what_passes_within_its_patience_is_tried_again(machine: Machine) -> None:
    """A Docker that answers after a while is asked until it does: nobody else would ask."""
    machine.program("docker", DOCKER.replace("case $1 in", FAILS_TWICE))
    machine.arm(after_s=1)
    assert machine.verdict().state is WatchState.RESTORED
    assert machine.runs() == {"fleetdeploy-ranking": "anew"}


def test_it_tries_for_as_long_as_the_release_was_given(one: Machine) -> None:
    """Models that were given half an hour to come up have that to come back, and never less than two minutes."""
    for after_s, patience in ((1800.5, "1801"), (1, "120")):
        one.arm(after_s=after_s)
        armed = dict(line.split(" ", 1) for line in (one.service / "watchdog/armed").read_text().splitlines())
        assert armed["patience"] == patience
        one.dog.disarm()


class Timed(Connected):
    """Notes for how many seconds each command waits on the host, and the connection for it. Before the second one the
    models come up.
    """

    def __init__(self, machine: Machine, server: ThreadingHTTPServer) -> None:
        super().__init__(machine)
        self.server = server
        self.asked: list[tuple[float, float]] = []

    def script(self, text: str, *args: str, stdin: bytes = b"", deadline_s: float) -> CommandResult:
        if self.asked:
            cast("Any", self.server).states = {"1": "AVAILABLE", "2": "AVAILABLE"}
        self.asked.append((float(args[-1]), deadline_s))
        return super().script(text, *args, stdin=stdin, deadline_s=deadline_s)


def test_what_only_counts_down_is_ended_by_one_command(one: Machine, server: ThreadingHTTPServer) -> None:
    """Nobody waits for a watchdog that has not begun, however long it was given."""
    one.arm(after_s=600)
    timed = Timed(one, server)
    assert RemoteWatchdog(cast("Any", timed), one.wish).disarm() is None
    assert len(timed.asked) == 1


def test_who_disarms_waits_for_longer_than_it_tries(
    one: Machine, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes its time is waited for beyond what it still has, and the connection beyond that."""
    cast("Any", server).states = {"1": "AVAILABLE", "2": "LOADING"}
    monkeypatch.setattr(watchdog, "RESTORE_S", 600.0)
    one.arm(after_s=1)
    wait_until((one.containers / "log").exists, "it is at it", deadline_s=DEADLINE_S)
    monkeypatch.setattr(watchdog, "CALL_S", 1.0)
    timed = Timed(one, server)
    found = RemoteWatchdog(cast("Any", timed), one.wish).disarm()
    assert found == Watch(WatchState.RESTORED, RUN, NEW, "nobody confirmed it within 1 s")
    (first_s, _), (second_s, deadline_s) = timed.asked
    assert first_s == 1
    assert 500 < second_s < deadline_s < 610


def test_one_that_takes_too_long_is_told_and_goes_on(
    one: Machine, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited for it in vain changes nothing, is told why, and finds its verdict later."""
    cast("Any", server).states = {"1": "AVAILABLE", "2": "LOADING"}
    one.arm(after_s=1)
    wait_until((one.containers / "log").exists, "it is at it", deadline_s=DEADLINE_S)
    firing, new = one.service / "watchdog/firing", one.service / "watchdog/new"
    new.write_text(re.sub(r"(?m)^deadline .*", "deadline 1", firing.read_text()))  # its time is over, and it hangs
    new.replace(firing)
    with monkeypatch.context() as patch:
        patch.setattr(watchdog, "CALL_S", 1.0)
        with pytest.raises(DeadlineExceeded, match="goes back to the release before, and is not done within 1 s"):
            one.dog.disarm()
    assert "firing" in one.kept()
    cast("Any", server).states = {"1": "AVAILABLE", "2": "AVAILABLE"}
    assert one.verdict().state is WatchState.RESTORED
