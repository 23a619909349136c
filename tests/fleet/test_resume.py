"""``fleetdeploy resume`` with real hosts and requests: what was done stays, what was begun is ended."""

from __future__ import annotations

import json
import signal

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.onlooker import drained, identity, most_out, serves, traffic
from tests.fleet.project import Project, Result

pytestmark = pytest.mark.fault("F1")


def resume(project: Project, *words: str, expect: int = 0) -> Result:
    """Carry the newest run on that is not done with, or the one that is named."""
    return project.run("resume", *words, expect=expect)


def everybody_is_back(lab: Lab, project: Project) -> None:
    """All hosts serve version 2 and get requests, and neither command finds anything left to do."""
    serves(lab, 2)
    assert drained(lab) == []
    assert traffic(lab) == {host: {"UP"} for host in ("gpu1", "gpu2", "gpu3")}
    assert "nothing to resume" in resume(project).stderr
    assert project.deploy().last_line == "OK: 3 hosts, nothing to do"


def test_a_run_killed_within_a_host_is_carried_on_from_that_host(lab: Lab, served: Project) -> None:
    """SIGKILL while gpu2 is activated: gpu1 is let alone, gpu2 comes first, and no request is lost on the way."""
    served.want(version=2, image="fleetdeploy/standin:1.1")
    with most_out(lab) as out:
        started = served.deploy_until(kind="step_started", task="activate", host="gpu2")
        started.signal(signal.SIGKILL)
        started.end()
        finished, killed = identity(lab, "gpu1"), served.events()[0]["run"]
        result = resume(served)
        events = served.events()
        assert identity(lab, "gpu1") == finished
        everybody_is_back(lab, served)
    assert max(map(len, out)) <= 1, out
    assert result.last_line == "OK: 2 of 3 hosts changed"
    assert f"resuming run {killed}: fleetdeploy deploy" in result.stderr
    assert "killed, or still goes on" in result.stderr
    assert "in the middle of activate: gpu2" in result.stderr
    assert "undrain done: gpu1" in result.stderr
    assert events[0]["data"]["resumes"] == [killed]
    begun = [event["host"] for event in events if event["kind"] == "step_started" and event["task"] != "preflight"]
    assert begun[0] == "gpu2", json.dumps(begun)
    assert "gpu1" not in begun


@pytest.mark.long
def test_a_run_ended_by_a_second_signal_is_carried_on(lab: Lab, served: Project) -> None:
    """After a second signal in the middle of gpu1's activation `resume` ends as an undisturbed run would have."""
    served.want(version=2)
    started = served.deploy_until(kind="step_started", task="activate", host="gpu1")
    started.signal(signal.SIGTERM)
    wait_until(lambda: "SIGTERM: stopping" in started.said(), "the first one was heard", deadline_s=30)
    started.signal(signal.SIGTERM)
    assert started.end().code == 143
    resume(served)
    everybody_is_back(lab, served)


@pytest.mark.long
def test_a_run_that_goes_on_is_not_resumed_beside_itself(lab: Lab, served: Project) -> None:
    """While the run is under way `resume` ends with exit 6 and harms nothing."""
    served.want(version=2)
    started = served.deploy_until(kind="step_started", task="activate", host="gpu1")
    result = resume(served, expect=6)
    assert f"run {served.events()[0]['run']} of root" in result.stderr
    assert started.end().code == 0
    everybody_is_back(lab, served)
