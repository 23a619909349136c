"""``plan`` and ``deploy --diff``: waves, capacity and durations of a whole project."""

from __future__ import annotations

import json
import re

import pytest
from simulation.world import POOLS

from .conftest import Project


@pytest.fixture
def served(project: Project) -> Project:
    """Version 1 is served and was started in 30 s a host; version 2 is wanted in a new container."""
    for host in project.world.hosts.values():
        host.load_s = 30.0
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    project.edit("image: serving:1", "image: serving:2")
    return project


def test_plan_shows_waves_and_later_also_how_long(served: Project) -> None:
    """After the first replacement its duration is known; the journal of the run is where it comes from."""
    out = served.run("plan", "-q").out
    assert "  wave 1: gpu1  1 of 2 stay in service\n  wave 2: gpu2  1 of 2 stay in service\n" in out
    assert 'play "Put every file in place": 2 hosts, takes none out of service' in out
    assert served.run("deploy").code == 0
    served.edit("image: serving:2", "image: serving:1")
    found = served.run("plan", "-q").out
    # Twice 30 s to load and 2 s in which the server has to go on, and 2 s of soak between the waves.
    assert re.search(r'^play "Switch over, wave by wave": 2 waves, about 6[6-9] s$', found, re.MULTILINE)
    assert re.fullmatch(r"PLAN: 2 of 2 hosts would change, about 6[6-9] s", found.splitlines()[-1])
    elsewhere = served.run("plan", "-q", "--state-dir", str(served.path / "other")).out
    assert "about" not in elsewhere


def test_a_journal_that_is_damaged_changes_no_plan(served: Project) -> None:
    """Whatever lies in the state directory, a plan is made."""
    before = served.run("plan", "-q").out
    (served.path / "state" / "runs" / "99999999T000000Z-0000").mkdir()
    (served.path / "state" / "runs" / "99999999T000000Z-0000" / "events.jsonl").write_bytes(b'"step_finished"\xff[[[\n')
    assert served.run("plan", "-q").out == before


def test_diff_shows_the_waves(served: Project) -> None:
    """``deploy --diff`` says before it acts what the run then does."""
    result = served.run("deploy", "--diff")
    assert result.code == 0
    assert result.err.index("wave 2: gpu2  1 of 2 stay in service") < result.err.index("wave 1 of 2: gpu1")


def test_plan_is_refused_where_deploy_would_be(served: Project) -> None:
    """A host drained by hand: both exit 5 with the same sentence, the plan shows everything else as well."""
    served.world.drained |= {(pool, "gpu2") for pool in POOLS}
    plan, deploy = served.run("plan"), served.run("deploy")
    sentence = "gpu2 drained or in maintenance in the balancer, and nothing here tells that fleetdeploy did it"
    assert (plan.code, deploy.code) == (5, 5)
    assert sentence in plan.out
    assert sentence in deploy.err
    assert "service ranking: replace" in plan.out
    assert plan.out.splitlines()[-1].endswith("the run would be refused")
    assert served.acts == []


def test_a_balancer_that_is_down_refuses_a_plan_with_changes_only(served: Project) -> None:
    """Exit 5 with deploy's sentence; where nothing is to do nobody is asked."""
    served.world.balancer_down = True
    plan = served.run("plan", "--json")
    assert plan.code == 5
    (refusal,) = plan.json["refusals"]
    assert refusal["message"] == "nobody can say which hosts are in service: the balancer does not answer"
    assert refusal["message"] in served.run("deploy").err
    served.edit("versions: [2]", "versions: [1]")
    served.edit("image: serving:2", "image: serving:1")
    assert served.run("plan").code == 0


def test_waves_as_json(served: Project) -> None:
    """Plays with waves, hosts, what is in service and seconds, which are null before anything is known."""
    found = served.run("plan", "--json", "--state-dir", str(served.path / "other")).json
    assert [play["name"] for play in found["plays"]] == [
        "Put every file in place",
        "Switch over, wave by wave",
        "Tidy up",
    ]
    switch = found["plays"][1]
    assert [wave["hosts"] for wave in switch["waves"]] == [["gpu1"], ["gpu2"]]
    assert [wave["in_service"]["lowest"] for wave in switch["waves"]] == [1, 1]
    assert (switch["soak_seconds"], switch["seconds"], found["seconds"]) == (2.0, None, None)
    json.dumps(found, allow_nan=False)
