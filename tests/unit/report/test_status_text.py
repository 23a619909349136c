"""Status as text: everything that was seen is shown, and nothing is claimed of what was not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.text import Text
from simulation.controller import desired, sim_host
from simulation.seen import empty_host, settled_host

from fleetdeploy.domain.inventory import BalancerWish, Connection, Host
from fleetdeploy.domain.observed import (
    ObservedHost,
    PoolMember,
    Present,
    Traffic,
    Unknown,
)
from fleetdeploy.domain.plan import HostPlan, Plan, Refusal
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report import status
from fleetdeploy.report.fleet_state import FleetState, Members
from fleetdeploy.rollout.debt.ledger import Debt

V1, V2 = desired(1), desired(2)
POOLS = ("ranking_grpc", "ranking_rest")


def printed(*texts: Text) -> str:
    return "\n".join(text.plain for text in texts)


def plan_of(wanted: DesiredService, before: DesiredService | None = None) -> HostPlan:
    seen = settled_host(before) if before else empty_host(wanted)
    return plan_host(sim_host("gpu1"), [wanted], seen, stamp="T1")


def refused(plan: HostPlan, *, exit_code: int = 5) -> HostPlan:
    return replace(plan, services=(), refusals=(Refusal("gpu1", "port 8500 is taken", "see `ss`", exit_code),))


def key_refused() -> HostPlan:
    observed = ObservedHost("gpu1", docker=Unknown("the host key has changed"))
    return HostPlan(sim_host("gpu1"), observed, (), (Refusal("gpu1", "the host key has changed", "compare", 2),))


def docker_dead() -> HostPlan:
    seen = replace(settled_host(V1), docker=Unknown("no answer"))
    service = replace(seen.services["ranking"], container=Unknown("Docker does not answer"))
    return plan_host(sim_host("gpu1"), [V1], replace(seen, services={"ranking": service}), stamp="T1")


def drained() -> HostPlan:
    seen = settled_host(V1)
    service = replace(seen.services["ranking"], drained_by=Present("run-0"))
    return plan_host(sim_host("gpu1"), [V1], replace(seen, services={"ranking": service}), stamp="T1")


def traffic(state: Traffic, *pools: str) -> Members:
    return {"gpu1": Present(tuple(PoolMember(pool, "gpu1", state, 0, 100) for pool in pools or POOLS))}


def test_what_a_host_owes_is_shown() -> None:
    """Since when, which run drained it, and why; the same as JSON, whether the host can be reached by now or not."""
    debt = Debt("gpu1", "gpu1:22", "run-1", "2026-01-31T00:00:00+00:00", "no route to host", drained=True)
    plan = Plan({}, {"gpu1": "no route to host"})
    line = "gpu1: OWES since 2026-01-31T00:00:00+00:00, drained by run run-1: no route to host"
    assert line in printed(*status.lines(plan, {}, {"gpu1": debt}))
    assert "OWES" not in printed(*status.lines(plan, {}))
    owed = status.as_json(plan, {}, {"gpu1": debt})["owed"]
    assert isinstance(owed, dict)
    assert (owed["gpu1"]["run"], owed["gpu1"]["drained"]) == ("run-1", True)


def test_status_shows_a_host_as_it_is() -> None:
    """Release, container, versions, balancer, and where it differs from the inventory."""
    text = printed(*status.lines(Plan({"gpu1": plan_of(V2, V1)}), traffic(Traffic.DRAINED)))
    assert "container  fleetdeploy-ranking running" in text
    assert "ranker     1 AVAILABLE" in text
    assert "balancer   ranking_rest drained" in text
    assert "drift      reload" in text
    assert "drift      models.ranker.versions: [1] -> [2]" in text
    assert "2 x A100" in text


def test_status_of_an_empty_host() -> None:
    """A host nobody deployed to has no release and no container, and is told so."""
    text = printed(*status.lines(Plan({"gpu1": plan_of(V1)}), {}))
    assert "release none recorded" in text
    assert "container  none" in text
    assert "not served" in text


def test_a_hint_that_hosts_share_is_told_once() -> None:
    """What to do stands at the first host alone, also where nothing but the host's address differs in it."""
    hosts = {
        name: replace(key_refused(), host=Host(name, Connection(f"10.0.0.{number}", 2222)), refusals=(
            Refusal(name, "no key is pinned", f"`ssh-keyscan -p 2222 10.0.0.{number} >> known_hosts`", 2),))
        for number, name in enumerate(("gpu1", "gpu2", "gpu3"))
    }  # fmt: skip
    other = replace(hosts["gpu3"], refusals=(Refusal("gpu3", "no key is pinned", "mend it", 2),))
    text = printed(*status.lines(Plan({**hosts, "gpu3": other}), {}))
    assert text.count("ssh-keyscan -p 2222 10.0.0.0 ") == text.count("ssh-keyscan") == 1
    assert text.count("HOST KEY REFUSED: no key is pinned") == 3
    assert text.endswith("mend it")
    down = {name: f"nothing answers at {name} (refused) (is it up?)" for name in ("gpu1", "gpu2")}
    assert printed(*status.lines(Plan({}, down), {})).splitlines() == [
        "gpu1: UNREACHABLE: nothing answers at gpu1 (refused) (is it up?)",
        "gpu2: UNREACHABLE: nothing answers at gpu2 (refused)",
    ]


def test_a_refusal_hides_nothing_that_was_seen() -> None:
    """A host that refuses still shows container and versions, then why it refuses and what to do."""
    plan = Plan({"gpu1": refused(plan_of(V1, V1))})
    text = printed(*status.lines(plan, traffic(Traffic.UP)))
    assert "container  fleetdeploy-ranking running" in text
    assert "ranker     1 AVAILABLE" in text
    assert "balancer   ranking_rest up" in text
    assert text.endswith("  REFUSED: port 8500 is taken\n    see `ss`")
    service = status.as_json(plan, {})["hosts"]["gpu1"]["services"]["ranking"]  # type: ignore[index]
    assert service["served"] == {"ranker": [{"version": 1, "state": "AVAILABLE", "error": None}]}
    assert status.last_line(plan, {}) == "STATUS: 1 of 1 host differs from the inventory"


def test_a_host_whose_docker_is_dead_is_not_known() -> None:
    """What could not be read is told as unknown, and is no difference."""
    plan = Plan({"gpu1": docker_dead()})
    text = printed(*status.lines(plan, {}))
    assert "container  unknown: Docker does not answer" in text
    assert status.last_line(plan, {}) == "STATUS: 1 host not known"
    assert FleetState.of(plan, {}).exit_code(drift_matters=False) == 4
    service = status.as_json(plan, {})["hosts"]["gpu1"]["services"]["ranking"]  # type: ignore[index]
    assert service["container"] is None
    assert service["unknown"] == {"container": "Docker does not answer"}


def test_a_drained_host_says_who_drained_it() -> None:
    """A host that only has to be put back does not read as if nothing were wrong."""
    plan = Plan({"gpu1": drained()})
    text = printed(*status.lines(plan, traffic(Traffic.DRAINED)))
    assert "drift      drained by run run-0, not put back yet" in text
    assert "it serves what it shall" not in text
    assert status.last_line(plan, traffic(Traffic.DRAINED)) == (
        "STATUS: 1 of 1 host differs from the inventory, 1 host not in service"
    )


def test_a_version_that_is_only_in_memory_is_drift() -> None:
    """A served version whose directory is gone would not survive a restart."""
    seen = settled_host(V1)
    service = replace(seen.services["ranking"], versions=Present({}))
    plan = plan_host(sim_host("gpu1"), [V1], replace(seen, services={"ranking": service}), stamp="T1")
    assert "drift      not on the host's disk: ranker/1" in printed(*status.lines(Plan({"gpu1": plan}), {}))


def test_a_service_has_only_its_own_pools() -> None:
    """Pools of other services stand not under it, and do not count; a pool that lacks the host is told."""
    host = sim_host("gpu1")
    wish = BalancerWish("haproxy", "lb", "/s", "gpu1", {"ranking": POOLS, "search": ("search_rest",)})
    plan = Plan({"gpu1": replace(plan_of(V1, V1), host=replace(host, balancer=wish))})
    members = traffic(Traffic.UP, "ranking_grpc", "search_rest")
    text = printed(*status.lines(plan, members))
    assert "search_rest" not in text
    assert "balancer   ranking_rest has no server gpu1" in text
    assert FleetState.of(plan, members).out_of_service == ("gpu1",)
    bare = replace(host, balancer=replace(wish, pools={"search": ("search_rest",)}))
    plan = Plan({"gpu1": replace(plan_of(V1, V1), host=bare)})
    assert FleetState.of(plan, traffic(Traffic.DOWN, "search_rest")).out_of_service == ()


@pytest.mark.parametrize(
    ("plan", "members", "line", "code"),
    [
        (Plan({"gpu1": plan_of(V1, V1)}), {}, "1 host is as the inventory says", 0),
        (Plan({"gpu1": plan_of(V2, V1)}), {}, "1 of 1 host differs from the inventory", 10),
        (Plan({"gpu1": plan_of(V1, V1)}, {"gpu2": "x"}), {}, "1 host unreachable", 4),
        (
            Plan({"gpu1": plan_of(V2, V1)}, {"gpu2": "x"}),
            {},
            "1 of 2 hosts differs from the inventory, 1 host unreachable",
            4,
        ),
        (Plan({"gpu1": key_refused()}, {"gpu2": "x"}), {}, "1 host with a refused host key, 1 host unreachable", 2),
        (Plan({"gpu1": plan_of(V1, V1)}), traffic(Traffic.DOWN), "1 host not in service", 10),
        (
            Plan({"gpu1": plan_of(V1, V1)}),
            {"gpu1": Unknown("no socket")},
            "1 host is as the inventory says, but balancer lb cannot be asked",
            4,
        ),
        (
            Plan({"gpu1": plan_of(V2, V1)}),
            {"gpu1": Unknown("no socket")},
            "1 of 1 host differs from the inventory, balancer lb cannot be asked",
            4,
        ),
    ],
)
def test_the_last_line_of_status(plan: Plan, members: Members, line: str, code: int) -> None:
    """One true sentence at the end, and the exit code that goes with it."""
    assert status.last_line(plan, members) == f"STATUS: {line}"
    assert FleetState.of(plan, members).exit_code(drift_matters=True) == code
