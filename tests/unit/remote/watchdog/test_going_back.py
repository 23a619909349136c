"""What a host does when nobody confirms: the release before comes back, or its verdict says why not."""

from __future__ import annotations

from http.server import ThreadingHTTPServer
from typing import Any, cast

import pytest

from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import LeaseLost
from fleetdeploy.remote.directory import watchdog
from fleetdeploy.remote.directory.verbs import UNLEASED
from fleetdeploy.tfserving import model_config

from .machine import DOCKER, NEW, OLD, RUN, Machine, lease


def test_nobody_confirms_and_the_container_that_was_kept_comes_back(machine: Machine) -> None:
    """When its time is over the host has the configuration, the container and the record of before, and says so."""
    (machine.containers / "fleetdeploy-ranking").rename(machine.containers / "fleetdeploy-ranking.previous")
    machine.container("fleetdeploy-ranking", "another")
    machine.arm(after_s=1)
    assert machine.verdict() == Watch(WatchState.RESTORED, RUN, NEW, "nobody confirmed it within 1 s")
    assert machine.config() == "old\n\nend"
    assert machine.runs() == {"fleetdeploy-ranking": "yes"}
    assert machine.spec_of("fleetdeploy-ranking") == machine.spec
    assert (machine.service / "releases/current").read_text() == f"{OLD}\n"
    machine.none_left()
    assert machine.kept() == ["verdict"]
    log = (machine.service / "audit.log").read_text()
    assert f"watchdog of run {RUN} over release {NEW}: restored" in log


def test_after_a_reload_the_process_is_started_anew(machine: Machine) -> None:
    """The container that runs the recorded spec stays, and reads the configuration of before."""
    machine.arm(after_s=1)
    assert machine.verdict().state is WatchState.RESTORED
    assert machine.runs() == {"fleetdeploy-ranking": "anew"}
    assert machine.config() == "old\n\nend"


@pytest.mark.parametrize("spoil", ["no docker", "no container", "start fails", "not served", "of somebody else"])
def test_what_cannot_be_restored_is_told(
    one: Machine, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    """A watchdog that does not get the release back gives up at its deadline, with the reason in its verdict; a file
    that no new process has read stays marked.
    """
    monkeypatch.setattr(watchdog, "RESTORE_S", 2.0)
    reason = "Cannot connect to the Docker daemon"
    if spoil == "no docker":
        (one.containers / "broken").touch()
    elif spoil == "no container":
        (one.containers / "fleetdeploy-ranking/labels").write_text("ranking|another\n")
        reason = f"the container of release {OLD} is no longer on the host"
    elif spoil == "start fails":
        (one.containers / "fails").touch()
        reason = "docker restart: no such device"
    elif spoil == "not served":
        cast("Any", server).states = {"1": "AVAILABLE", "2": "END"}
        reason = "ranker 2 was not AVAILABLE again within 2 s"
    else:
        (one.containers / "fleetdeploy-ranking/labels").write_text(f"|{one.spec}\n")
        reason = "the container fleetdeploy-ranking is not the service's"
    one.arm(after_s=1)
    found = one.verdict()
    assert found.state is WatchState.FAILED
    assert reason in found.reason
    assert one.config() == ("old\n\nend" if spoil == "not served" else model_config.in_doubt("old\n\nend"))
    assert f"could not take release {NEW} of run {RUN} back: " in found.told
    if spoil == "of somebody else":
        assert one.runs() == {"fleetdeploy-ranking": "yes"}


@pytest.mark.parametrize("killed_at", ["inspect", "stop", "rm", "rename", "start"])
def test_one_that_is_killed_at_it_has_failed_and_may_be_done_again(one: Machine, killed_at: str) -> None:
    """Wherever it ends, who disarms hears that it failed, and to go back once more from the beginning does it."""
    (one.containers / "fleetdeploy-ranking").rename(one.containers / "fleetdeploy-ranking.previous")
    one.container("fleetdeploy-ranking", "another")
    killing = DOCKER.replace(
        "case $1 in", f'[ "$1" != {killed_at} ] || kill -s KILL -- "-$(cut -d" " -f2 ../pid)"\ncase $1 in'
    )
    one.program("docker", killing)
    one.arm(after_s=1)
    (guard,) = one.guards()
    (one.home / "pid").write_text(f"x {guard}\n")
    one.none_left()
    found = one.dog.disarm()
    assert found == Watch(WatchState.FAILED, RUN, NEW, "it was ended while it went back")
    one.program("docker", DOCKER)
    one.arm(after_s=1)
    assert one.verdict().state is WatchState.RESTORED
    assert one.runs()["fleetdeploy-ranking"] in {"yes", "anew"}
    assert one.spec_of("fleetdeploy-ranking") == one.spec


def test_what_docker_warns_of_is_no_answer(machine: Machine) -> None:
    """A client that complains on stderr and answers all the same is understood."""
    warning = '#!/bin/sh\necho "WARNING: Error loading config file: permission denied" >&2\n'
    machine.program("docker", warning + DOCKER.split("\n", 1)[1])
    machine.arm(after_s=1)
    assert machine.verdict().state is WatchState.RESTORED
    assert machine.runs() == {"fleetdeploy-ranking": "anew"}


def test_it_takes_the_lease_before_it_goes_back(machine: Machine) -> None:
    """A controller that comes back with the number of before changes nothing more, and is told why."""
    machine.token = lease(machine, RUN)
    machine.arm(after_s=1)
    assert machine.verdict().state is WatchState.RESTORED
    with pytest.raises(LeaseLost, match=f"the host's watchdog broke the lease: release {NEW} went back"):
        machine.arm(after_s=600)
    assert int((machine.service / "lock/fence").read_text()) == int(machine.token[1]) + 1
    found = machine.dog.disarm()
    assert found is not None
    assert found.state is WatchState.RESTORED, "to read a verdict takes no lease"


def test_the_lease_of_a_newcomer_is_left_alone(one: Machine) -> None:
    """A run that has taken the lease over changes nothing before it has disarmed; it keeps its lease."""
    one.token = UNLEASED
    one.arm(after_s=1)
    newcomer = lease(one, "20260201T000000Z-0002")
    assert one.verdict().state is WatchState.RESTORED
    one.token = newcomer
    one.arm(after_s=600)
    assert one.dog.disarm() is None
