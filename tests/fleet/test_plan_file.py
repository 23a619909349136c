"""A plan file on real hosts: applied as it was shown, refused when somebody was there in between."""

from __future__ import annotations

import json

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.load import lost_only_on
from tests.fleet.onlooker import available, drained, everything, identities, on, serves, traffic
from tests.fleet.project import CONTAINER, Project

PLAN = "next.plan"


def test_a_plan_file_is_applied_or_refused(lab: Lab, served: Project) -> None:
    """Refused with exit 5 and the place while a container is stopped by hand, applied once the fleet is as planned."""
    served.want(version=2)
    shown = served.run("plan", "playbooks/at_once.yml", "--json", "--out", PLAN)
    assert json.loads((served.root / PLAN).read_text(encoding="utf-8"))["plan"]["hosts"] == shown.json["hosts"]

    with lost_only_on(lab, served, "gpu2", rule="somebody stops a server that has requests"):
        on(lab, "gpu2", "docker", "stop", "--time", "5", CONTAINER)
        before = everything(lab)
        for words in ([], ["--check"]):
            refused = served.deploy(*words, PLAN, expect=5)
            assert "the fleet has changed since this was planned" in refused.stderr
            assert "gpu2 services.ranking.observed.container.status: running -> exited" in refused.stderr
            assert "gpu1 services" not in refused.stderr
        assert everything(lab) == before
        assert drained(lab) == []
        on(lab, "gpu2", "docker", "start", CONTAINER)
        wait_until(lambda: available(lab, "gpu2") == [1] and traffic(lab)["gpu2"] == {"UP"}, "it serves", deadline_s=60)

    checked = served.deploy("--check", PLAN)
    assert "service ranking: reload" in checked.stdout
    running = identities(lab)
    done = served.deploy(PLAN)
    assert done.last_line == "OK: 3 of 3 hosts changed"
    serves(lab, 2)
    assert identities(lab) == running, "reloaded, as it was planned"

    assert served.deploy(PLAN).last_line == "OK: 3 hosts, nothing to do"
