"""A host that a rollout went without: kept from its requests until it has what the others have."""

from __future__ import annotations

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.load import POWER, load, lost_only_on, nothing_failed
from tests.fleet.onlooker import available, drained, serves, traffic
from tests.fleet.project import PLAYBOOK, Project

WORDS = ("--allow-unreachable", "--timeout", "3s")


@pytest.mark.long
def test_a_host_that_was_away_serves_nothing_old_when_it_is_back(lab: Lab, served: Project) -> None:
    """Back on power it has the old release and gets no request; `status` names it, and the next run makes it good,
    wherever that keeps its journal.
    """
    served.edit("max_unavailable: 1 ", "max_unavailable: 2 ", file=PLAYBOOK)
    served.want(version=2)
    with lost_only_on(lab, served, "gpu2", rule=POWER):
        lab.power_off("gpu2")
        wait_until(lambda: traffic(lab)["gpu2"] == {"DOWN"}, "the balancer finds gpu2 down", deadline_s=15)
        result = served.deploy(*WORDS, expect=8)
    assert result.last_line == "PARTLY: 2 of 3 hosts changed, skipped as unreachable: gpu2"
    assert "owes what this run switched over to" in result.stderr
    debts = served.root / "home/fleetdeploy/debts"
    (entry,) = debts.iterdir()
    assert entry.stat().st_mode & 0o777 == 0o600
    assert "gpu2: OWES since " in served.run("status", expect=None).stdout

    with load(served) as report:
        lab.power_on("gpu2")
        wait_until(lambda: available(lab, "gpu2") == [1], "gpu2 has what it had", deadline_s=60)
        wait_until(lambda: traffic(lab)["gpu2"] == {"DRAIN"}, "the balancer keeps gpu2 out", deadline_s=15)
        assert "not put back yet" in served.run("status").stdout
        result = served.deploy("--state-dir", str(served.root / "elsewhere"))
    nothing_failed(report)
    assert set(report["versions"]) == {"ranker/2"}
    assert result.last_line == "OK: 1 of 3 hosts changed"
    assert "has what it owed since " in result.stderr
    serves(lab, 2)
    assert drained(lab) == []
    assert list(debts.iterdir()) == []
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"


def test_any_controller_makes_good_what_another_left(lab: Lab, served: Project) -> None:
    """By the balancer's note: a `sync` that shares nothing with the run that went without the host brings it there
    before its first request, and says whose debt that was; the first controller then finds nothing to do.
    """
    served.edit("max_unavailable: 1 ", "max_unavailable: 2 ", file=PLAYBOOK)
    served.want(version=2)
    with lost_only_on(lab, served, "gpu2", rule=POWER):
        lab.power_off("gpu2")
        wait_until(lambda: traffic(lab)["gpu2"] == {"DOWN"}, "the balancer finds gpu2 down", deadline_s=15)
        served.deploy(*WORDS, expect=8)
    first = served.events()[0]["run"]
    with load(served) as report:
        lab.power_on("gpu2")
        wait_until(lambda: available(lab, "gpu2") == [1], "gpu2 has what it had", deadline_s=60)
        wait_until(lambda: traffic(lab)["gpu2"] == {"DRAIN"}, "the balancer keeps gpu2 out", deadline_s=15)
        served.environment = {"XDG_STATE_HOME": str(served.root / "another")}
        result = served.run("sync", "--state-dir", str(served.root / "elsewhere"))
    nothing_failed(report)
    assert set(report["versions"]) == {"ranker/2"}
    assert result.last_line == "OK: 1 of 3 hosts changed"
    assert f"has what it owed since run {first}" in result.stderr
    serves(lab, 2)
    assert drained(lab) == []
    served.environment = {}
    assert served.deploy().last_line.startswith("OK: ")
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"
    assert list((served.root / "home/fleetdeploy/debts").iterdir()) == []
