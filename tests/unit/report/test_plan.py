"""Plans as people and programs read them. Texts are held exactly where scripts may grep them."""

from __future__ import annotations

from dataclasses import replace

from rich.text import Text
from simulation.controller import desired, sim_host
from simulation.seen import empty_host, settled_host

from fleetdeploy.domain.forecast import Forecast, Foreseen
from fleetdeploy.domain.observed import DockerFacts, Present
from fleetdeploy.domain.plan import HostPlan, Plan, Refusal
from fleetdeploy.domain.service import DesiredService, Ports
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report.plan import as_json
from fleetdeploy.report.plan import text as text_of_plan

V1, V2 = desired(1), desired(2)


def printed(*texts: Text) -> str:
    return "\n".join(text.plain for text in texts)


def plan_of(wanted: DesiredService, before: DesiredService | None = None, name: str = "gpu1") -> HostPlan:
    seen = settled_host(before) if before else empty_host(wanted)
    return plan_host(sim_host(name), [wanted], seen, stamp="T1")


def test_a_plan_says_what_and_why() -> None:
    """The host, the activation with its reason, bytes to copy, and the changes."""
    plan = Plan({"gpu1": plan_of(V2, V1)}, {"gpu9": "no route"})
    text = printed(*text_of_plan.lines(Forecast(plan)))
    assert "gpu9: UNREACHABLE: no route" in text
    assert "service ranking: reload, only the model configuration changed" in text
    assert "stage ranker/2: copy 100 B, the rest linked from 1" in text
    assert "models.ranker.versions: [1] -> [2]" in text
    assert text_of_plan.last_line(Forecast(plan)) == "PLAN: 1 of 2 hosts would change, 1 unreachable, 100 B to copy"


def test_a_plan_without_differences() -> None:
    """``-q`` leaves the lines of the configuration out."""
    text = printed(*text_of_plan.lines(Forecast(Plan({"gpu1": plan_of(V2, V1)})), diff=False))
    assert "config/model.config" in text
    assert "@@" not in text


def test_hosts_that_change_alike_stand_together() -> None:
    """A fleet of equal hosts has one block, and hosts without change one line."""
    plans = {name: replace(plan_of(V2, V1), host=sim_host(name)) for name in ("gpu1", "gpu2")}
    text = printed(*text_of_plan.lines(Forecast(Plan({**plans, "gpu3": plan_of(V1, V1, "gpu3")}))))
    assert text.count("service ranking") == 1
    assert "gpu1, gpu2" in text
    assert "no change: gpu3" in text


def test_first_deploys_of_alike_hosts_stand_together() -> None:
    """Addresses differ from host to host; the plan shows the `bind` that they come from."""
    plans = {}
    for number in (1, 2):
        seen = replace(empty_host(V1), addresses=Present((f"10.0.0.{number}",)))
        plans[f"gpu{number}"] = plan_host(sim_host(f"gpu{number}"), [V1], seen, stamp="T1")
    text = printed(*text_of_plan.lines(Forecast(Plan(plans))))
    assert text.splitlines()[0] == "gpu1, gpu2"
    assert text.count("service ranking: start") == 1
    assert "+ ports: gRPC 8500 on 10.0.0.0/8, REST 8501 on 10.0.0.0/8" in text
    assert "{" not in text.partition("config_list")[0].partition("@@")[0]


def stopped(wanted: DesiredService, before: DesiredService) -> str:
    seen = settled_host(before)
    service = seen.services["ranking"]
    assert isinstance(service.container, Present)
    ended = replace(service, container=Present(replace(service.container.value, status="exited", exit_code=137)))
    docker = Present(DockerFacts("29.0", ("runc", "nvidia"), {"serving:1": "sha256:serving:1"}))
    seen = replace(seen, services={"ranking": ended}, listening=Present((22,)), docker=docker)
    return printed(
        *text_of_plan.lines(Forecast(Plan({"gpu1": plan_host(sim_host("gpu1"), [wanted], seen, stamp="T1")})))
    )


def test_a_container_that_only_stopped_is_not_listed_again() -> None:
    """The plan says that it is the same container; one that differs as well shows only what differs."""
    assert "the same container as before" in stopped(V1, V1)
    assert "+ " not in stopped(V1, V1)
    changed = stopped(desired(1, image="serving:2"), V1)
    assert "container.image: serving:1 -> serving:2" in changed
    assert "container.image_id: sha256:serving:1 -> (to be pulled)" in changed
    assert "container.user" not in changed


def test_ports_are_told_in_words() -> None:
    """A changed port reads as people write it, alone, with the inventory's `bind` for the host's own address."""
    moved = replace(V1, wish=replace(V1.wish, ports=Ports(9500, 8501)))
    text = printed(*text_of_plan.lines(Forecast(Plan({"gpu1": plan_of(moved, V1)}))))
    assert "container.ports: gRPC 8500 on 10.0.0.0/8 -> gRPC 9500 on 10.0.0.0/8" in text.splitlines()[2]
    assert "8501" not in text


def test_a_refusal_is_told_with_its_hint() -> None:
    """A refused host has its reason and what to do; it does not count as changing."""
    host = replace(plan_of(V1, V1), services=(), refusals=(Refusal("gpu1", "no space", "free some"),))
    plan = Plan({"gpu1": host})
    assert printed(*text_of_plan.lines(Forecast(plan))) == "gpu1: REFUSED: no space\n    free some"
    assert text_of_plan.last_line(Forecast(plan)) == "PLAN: 0 of 1 host would change, 1 refused"


def test_further_work_of_the_playbook_is_a_change() -> None:
    """Versions to prune make a plan not empty."""
    plan = Plan({"gpu1": plan_of(V1, V1)})
    extra = {"gpu1": (Foreseen("prune", "ranker/1", "ranking"),)}
    assert "prune: ranker/1" in printed(*text_of_plan.lines(Forecast(plan, extra)))
    assert text_of_plan.last_line(Forecast(plan, extra)) == "PLAN: 1 of 1 host would change"
    assert as_json.plan(Forecast(plan, extra))["changed"] is True
    assert as_json.plan(Forecast(plan))["changed"] is False
