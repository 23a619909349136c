"""Two failures that rolling updates with Ansible are known for, as tests: what must happen here instead."""

from __future__ import annotations

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.faults.means import partitioned
from tests.fleet.load import POWER, lost_only_on
from tests.fleet.onlooker import available, drained, identity, serves, traffic
from tests.fleet.project import PLAYBOOK, Project


@pytest.mark.fault("F29")
def test_an_unreachable_host_under_serial_with_max_fail_percentage_0_stops_the_rollout(
    lab: Lab, served: Project
) -> None:
    """A host that loses its power between two waves is a failure: no later wave is touched, exit 4, and the next run
    converges. Requests are lost on that host alone, by the balancer's own count for each server.
    """
    served.edit("soak: 0s", "soak: 5s", file=PLAYBOOK)
    served.want(version=2)
    later = identity(lab, "gpu3")
    with lost_only_on(lab, served, "gpu2", rule=POWER):
        started = served.deploy_until("--timeout", "4s", kind="soak_started")
        lab.power_off("gpu2")
        result = started.end()
    assert result.code == 4, str(result)
    assert "gpu2" in result.last_line
    assert "the fleet is mixed: gpu1 changed" in result.last_line
    touched = {event["host"] for event in served.events() if event.get("task") in {"drain", "activate"}}
    assert touched == {"gpu1"}
    serves(lab, 2, hosts=["gpu1"])
    serves(lab, 1, hosts=["gpu3"])
    assert identity(lab, "gpu3") == later

    served.edit("soak: 5s", "soak: 0s", file=PLAYBOOK)  # it was there for the moment
    lab.power_on("gpu2")
    wait_until(lambda: available(lab, "gpu2") == [1], "gpu2 has what it had", deadline_s=60)
    # It serves what the others are to leave: no request reaches it before it has what it owes.
    wait_until(lambda: traffic(lab)["gpu2"] == {"DRAIN"}, "the balancer keeps gpu2 out", deadline_s=30)
    served.deploy()
    serves(lab, 2)
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"


@pytest.mark.fault("F6")
def test_a_drained_host_that_drops_comes_back_into_its_balancer(lab: Lab, served: Project) -> None:
    """A host that loses its network right after its drain is told, exit 4; once it is back, the next run brings it to
    the release and into its balancer. It gets no request meanwhile, so that none at all is lost.
    """
    assert "always: [undrain]" in (served.root / PLAYBOOK).read_text(encoding="utf-8")
    pause = "    - pause: {seconds: 5s}\n"
    served.edit("    - drain:\n", f"    - drain:\n{pause}", file=PLAYBOOK)
    served.want(version=2)
    started = served.deploy_until("--timeout", "4s", kind="step_finished", task="drain", host="gpu1")
    with partitioned(lab, "gpu1"):
        result = started.end(timeout_s=300)
        assert result.code == 4, str(result)
        assert result.last_line.startswith("FAILED: gpu1: not known to serve what it served before")
    wait_until(lambda: traffic(lab)["gpu1"] == {"DRAIN"}, "the balancer keeps gpu1 out", deadline_s=30)
    touched = {event["host"] for event in served.events() if event.get("task") == "drain"}
    assert touched == {"gpu1"}
    served.edit(pause, "", file=PLAYBOOK)  # it was there for the moment
    served.deploy()
    serves(lab, 2)
    assert drained(lab) == []
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"
