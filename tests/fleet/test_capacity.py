"""Hosts that leave service while a rollout goes on: by an operator's hand, and by their own fault."""

from __future__ import annotations

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.load import lost_only_on
from tests.fleet.onlooker import available, container, identity, most_out, on, serves, tell, traffic
from tests.fleet.project import CONTAINER, PLAYBOOK, Project


def test_a_host_that_an_operator_drains_between_waves_stops_the_rollout(lab: Lab, served: Project) -> None:
    """With one host allowed out and an operator's host out, no other one is drained; the message names it, exit 4."""
    served.edit("soak: 0s", "soak: 5s", file=PLAYBOOK)
    served.want(version=2)
    before = {host: identity(lab, host) for host in ("gpu2", "gpu3")}
    with most_out(lab) as out:
        started = served.deploy_until(kind="soak_started")
        tell(lab, "gpu3", "drain")
        result = started.end()
    assert result.code == 4, str(result)
    assert (
        "gpu3 out of service, and max_unavailable is 1: gpu2 cannot be taken out as well; "
        "the fleet is mixed: gpu1 changed" in result.last_line
    )
    assert max(map(len, out)) == 1, out
    assert traffic(lab)["gpu3"] == {"DRAIN"}, "it is not ours to put back"
    assert {host: identity(lab, host) for host in before} == before
    assert available(lab, "gpu2") == available(lab, "gpu3") == [1]
    tell(lab, "gpu3", "ready")
    served.deploy()
    serves(lab, 2)


@pytest.mark.long
def test_a_server_that_ends_while_soaking_is_taken_back(lab: Lab, served: Project) -> None:
    """A server that was proven and ends during the soak is a failure, although Docker starts it again: its host goes
    back, the rollout stops, exit 3.
    """
    served.edit("soak: 0s", "soak: 8s", file=PLAYBOOK)
    served.want(version=2)
    before = {host: identity(lab, host) for host in ("gpu2", "gpu3")}
    with lost_only_on(lab, served, "gpu1", rule="a server that is killed takes its requests along"):
        started = served.deploy_until(kind="soak_started")
        on(lab, "gpu1", "sh", "-c", f"kill -9 $(docker inspect --format '{{{{.State.Pid}}}}' {CONTAINER})")
        result = started.end()
    assert result.code == 3, str(result)
    assert "every host that was touched" in result.last_line or "every host serves" in result.last_line
    assert {host: identity(lab, host) for host in before} == before
    found = container(lab, "gpu1")
    assert found is not None
    assert found["State"]["Running"]
    wait_until(lambda: available(lab, "gpu1") == [1], "gpu1 serves what it did", deadline_s=30)
    serves(lab, 1)
