"""A host behind a slow link (F20): waited for while its copy arrives in time, and no longer than that."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.faults.means import RSYNC, constants
from tests.fleet.onlooker import drained, identities, serves, traffic
from tests.fleet.project import INVENTORY, PLAYBOOK, Project
from tests.fleet.test_deploy_interrupted import converges

pytestmark = pytest.mark.fault("F20")
MIB = 1024 * 1024
COPY_BYTES = 3 * MIB


@contextmanager
def slow(lab: Lab, host: str, rate: str) -> Iterator[None]:
    """What goes to the host goes at ``rate`` ("1mbit")."""
    port = f"port{lab.host(host).number}"
    words = f"tc qdisc add dev {port} root tbf rate {rate} burst 16kb latency 200ms".split()
    subprocess.run([*lab.nsenter_argv(), *words], check=True)
    try:
        yield
    finally:
        subprocess.run([*lab.nsenter_argv(), "tc", "qdisc", "delete", "dev", port, "root"], check=True)


def await_up(lab: Lab, host: str) -> None:
    """Behind a full link the balancer's checks of a host that serves fail as well, whatever is copied there."""
    wait_until(lambda: traffic(lab)[host] == {"UP"}, f"{host} is up again", deadline_s=60)


@pytest.fixture
def large(served: Project) -> Project:
    """Version 2 has some MiB that no link makes smaller, and is wanted."""
    extra = served.root / INVENTORY / "models/ranker/2/assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "noise").write_bytes(os.urandom(COPY_BYTES))
    served.want(version=2)
    return served


def staged(project: Project) -> list[object]:
    """The hosts in the order in which their copies were whole."""
    done = [event for event in project.events() if event["kind"] == "step_finished"]
    return [event["host"] for event in done if event["task"] == "stage"]


@pytest.mark.long
def test_a_slow_host_is_waited_for(lab: Lab, large: Project) -> None:
    """A copy that goes on arrives, however late after the others, and then the rollout begins."""
    with slow(lab, "gpu2", "6mbit"):
        large.deploy()
    assert staged(large)[-1] == "gpu2"
    await_up(lab, "gpu2")
    serves(lab, 2)


def test_a_host_that_is_too_slow_fails_by_its_rate(lab: Lab, large: Project) -> None:
    """A copy that cannot be whole in the time for its size fails its host before anything is drained; the others stop,
    and the next run takes up what has arrived.
    """
    before = identities(lab)
    with slow(lab, "gpu2", "1mbit"), _impatient(large):
        result = large.deploy("--json", expect=3)
    assert result.last_line == "FAILED: gpu2; every host serves what it served before"
    assert "gpu2  stage     FAILED: the copy did not end in time" in result.stderr
    assert "what has arrived is kept and resumed by the next run" in result.stderr
    assert identities(lab) == before
    await_up(lab, "gpu2")
    serves(lab, 1)
    converges(lab, large, 2)


@pytest.mark.long
def test_the_others_go_on_without_a_host_that_is_too_slow(lab: Lab, large: Project) -> None:
    """Where the play allows for a failed host the others are switched over; the next run brings the slow one there."""
    large.edit("max_fail_percentage: 0 ", "max_fail_percentage: 50 ", file=PLAYBOOK)
    large.edit("  hosts: gpu                               #", "  hosts: gpu\n  max_fail_percentage: 50 #",
               file=PLAYBOOK)  # fmt: skip
    with slow(lab, "gpu2", "1mbit"), _impatient(large):
        result = large.deploy("--json", expect=None)
        assert result.states()["gpu2"] == "failed", str(result)
        assert result.code == 4, str(result)
        serves(lab, 2, hosts=["gpu1", "gpu3"])
        await_up(lab, "gpu2")
        serves(lab, 1, hosts=["gpu2"])
        assert drained(lab) == []
    await_up(lab, "gpu2")
    converges(lab, large, 2)


def _impatient(project: Project) -> AbstractContextManager[None]:
    """Its commands give a copy 3 seconds and 1 for each MiB."""
    return constants(project, RSYNC, _AT_LEAST_S=3.0, _SLOWEST_BYTES_PER_S=MIB)
