"""How long a watchdog tries to go back, what it leaves when it gives up, and how long others wait for it."""

from __future__ import annotations

from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import DeadlineExceeded
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.directory import watchdog
from fleetdeploy.remote.directory.watchdog import CALL_S, RemoteWatchdog
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


def test_who_disarms_waits_for_longer_than_it_tries(one: Machine) -> None:
    """The host waits beyond the patience that was armed there, and its connection beyond that."""
    asked: list[tuple[float, float]] = []

    class Timed(Connected):
        def script(self, text: str, *args: str, stdin: bytes = b"", deadline_s: float) -> CommandResult:
            asked.append((float(args[-1]), deadline_s))
            return super().script(text, *args, stdin=stdin, deadline_s=deadline_s)

    one.arm(after_s=600)
    armed = dict(line.split(" ", 1) for line in (one.service / "watchdog/armed").read_text().splitlines())
    RemoteWatchdog(cast("Any", Timed(one)), one.wish).disarm()
    ((on_the_host_s, deadline_s),) = asked
    assert 0 < float(armed["patience"]) < on_the_host_s < deadline_s


def test_one_that_takes_too_long_is_told_and_goes_on(
    one: Machine, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited for it in vain changes nothing, is told why, and finds its verdict later."""
    cast("Any", server).states = {"1": "AVAILABLE", "2": "LOADING"}
    one.arm(after_s=1)
    wait_until((one.containers / "log").exists, "it is at it", deadline_s=DEADLINE_S)
    with monkeypatch.context() as patch:
        patch.setattr(watchdog, "RESTORE_S", 1 - CALL_S)
        with pytest.raises(DeadlineExceeded, match="goes back to the release before, and is not done within 1 s"):
            one.dog.disarm()
    assert "firing" in one.kept()
    cast("Any", server).states = {"1": "AVAILABLE", "2": "AVAILABLE"}
    assert one.verdict().state is WatchState.RESTORED
