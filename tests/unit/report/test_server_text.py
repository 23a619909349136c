"""What a model server does under a plan, as people read it and as programs do."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from simulation.controller import desired, sim_host
from simulation.seen import empty_host, settled_host

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.observed import ObservedHost, Present, Reading, State, Unknown, VersionState
from fleetdeploy.domain.plan import HostPlan, Plan, ServicePlan
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.domain.signatures import KnownSignatures, Signature, TensorSpec
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report.plan import as_json
from fleetdeploy.report.plan import text as text_of_plan
from fleetdeploy.report.plan.server_json import server
from fleetdeploy.report.plan.server_text import server_lines

Seen = Reading[tuple[VersionState, ...]]
V1, V2 = desired(1, labels={"stable": 1}), desired(2, labels={"stable": 2})


def plan_of(wanted: DesiredService, seen: ObservedHost, name: str = "gpu1") -> HostPlan:
    found = plan_host(sim_host(name), [wanted], seen, stamp="T1", allow_remove=True)
    assert found.refusals == ()
    return found


def service_of(wanted: DesiredService, seen: ObservedHost) -> ServicePlan:
    return plan_of(wanted, seen).services[0]


def shown(wanted: DesiredService, seen: ObservedHost) -> list[str]:
    return [line.plain for line in server_lines(service_of(wanted, seen))]


def serving(service: DesiredService, **served: Seen) -> ObservedHost:
    """A settled host whose server says this of its models."""
    host = settled_host(service)
    return replace(host, services={"ranking": replace(host.services["ranking"], served=served)})


def test_a_reload_has_two_numbered_steps() -> None:
    """Loads with golden requests first, then labels and unloads."""
    assert shown(V2, settled_host(V1)) == [
        "    server: 1. loads ranker/2 beside ranker/1, golden requests",
        "            2. label stable moves 1 -> 2, unloads ranker/1",
    ]


def test_a_single_step_has_no_number() -> None:
    """A first start, and a reload after which old and new go on together."""
    assert shown(V1, empty_host(V1)) == [
        "    server: a new process starts, loads ranker/1, label stable is set to 1,",
        "              golden requests",
    ]
    assert shown(desired(1, 2), settled_host(desired(1))) == [
        "    server: loads ranker/2 beside ranker/1, golden requests"
    ]


def test_a_replacement_says_what_ends() -> None:
    """Between its two steps nothing serves."""
    assert shown(desired(1, image="serving:2"), settled_host(desired(1))) == [
        "    server: 1. the process ends, and with it ranker/1",
        "            2. a new process starts, loads ranker/1, golden requests",
    ]


def test_labels_alone() -> None:
    """Nothing is loaded for them, but golden requests are sent; a label that is left out goes."""
    assert shown(desired(1, labels={"canary": 1}), settled_host(V1)) == [
        "    server: 1. loads nothing new, golden requests",
        "            2. label canary is set to 1, label stable goes (was 1)",
    ]


def test_a_model_that_is_no_longer_listed() -> None:
    """It is named as unloaded for that reason, and labels name their model where there is more than one."""
    before = desired(models={"ranker": (1,), "embedder": (1, 3)}, labels={"stable": 1})
    assert shown(V2, settled_host(before)) == [
        "    server: 1. loads ranker/2 beside ranker/1, golden requests",
        "            2. label stable of embedder goes (was 1),",
        "               label stable of ranker moves 1 -> 2, unloads ranker/1,",
        "               unloads embedder/1 and embedder/3 (no longer listed)",
    ]


def test_what_is_waited_for() -> None:
    """The configuration is the same and a version still loads."""
    loading: Seen = Present((VersionState(1, State.LOADING),))
    assert shown(V1, serving(V1, ranker=loading)) == ["    server: waits for ranker/1, golden requests"]


def test_a_server_that_does_not_answer() -> None:
    """What is told then stands on its configuration, and why it did not answer is left to the JSON form: it differs
    from host to host.
    """
    silent = Unknown("timeout: no answer from 10.0.0.7 port 8501 within 2 s")
    plan = service_of(desired(1, 2), serving(desired(1), ranker=silent))
    assert [line.plain for line in server_lines(plan)] == [
        "    server: loads ranker/2 beside ranker/1, waits for ranker/1, golden requests",
        "            (it did not answer for ranker: told from its configuration)",
    ]


def test_versions_without_golden_requests_are_named() -> None:
    """Nobody takes a load for a proof."""
    without = replace(V2, models=(replace(V2.models[0], golden=()),))
    assert shown(without, settled_host(V1))[0].endswith("loads ranker/2 beside ranker/1, no golden requests")
    both = desired(models={"ranker": (2,), "embedder": (1, 2)})
    models = tuple(replace(model, golden=model.golden[:1]) for model in both.models)
    text = shown(replace(both, models=models), settled_host(desired(1)))
    assert "            golden requests (none for embedder/2)" in "\n".join(text).replace("   golden", "golden")


def test_only_other_settings_change() -> None:
    """A reload in which nothing happens to any version says so."""
    host = settled_host(desired(1))
    deprecated = desired(1).config_text.replace('model_platform: "tensorflow"', "model_type: TENSORFLOW")
    seen = replace(host.services["ranking"], config_text=Present(deprecated))
    assert shown(desired(1), replace(host, services={"ranking": seen})) == [
        "    server: loads nothing new, golden requests"
    ]


def test_nothing_is_said_of_a_server_that_is_left_alone() -> None:
    """Neither numbers nor an empty heading."""
    assert shown(V1, settled_host(V1)) == []


def test_names_on_a_host_cannot_drive_a_terminal() -> None:
    """A label that somebody wrote into the configuration there is shown with escapes."""
    host = settled_host(desired(1))
    evil = settled_host(desired(1, labels={"\N{ESCAPE}[2J": 1})).services["ranking"].config_text
    seen = replace(host.services["ranking"], config_text=evil)
    assert "label \\x1b[2J goes (was 1)" in shown(desired(1), replace(host, services={"ranking": seen}))[1]


@given(
    names=st.lists(st.text("abcdefghij_-0123456789", min_size=1, max_size=30), min_size=1, max_size=12, unique=True),
    before=st.lists(st.integers(1, 10**9), min_size=1, max_size=3, unique=True),
    after=st.lists(st.integers(1, 10**9), min_size=1, max_size=3, unique=True),
)
def test_every_line_fits_a_terminal(names: list[str], before: list[int], after: list[int]) -> None:
    """80 columns for any number of models, and nothing is left out."""
    old = desired(models=dict.fromkeys(names, tuple(sorted(before))), labels={"stable": before[0]})
    new = desired(models=dict.fromkeys(names, tuple(sorted(after))), labels={"stable": after[0]})
    lines = shown(new, settled_host(old))
    assert all(len(line) <= 80 for line in lines)
    assert all(f"{name}/{number}" in "".join(lines) for name in names for number in {*before} ^ {*after})


def test_alike_hosts_stand_together() -> None:
    """Also where their servers did not answer for different reasons."""
    hosts = {}
    for number in (1, 2):
        silent = Unknown(f"timeout: no answer from 10.0.0.{number} port 8501 within 2 s")
        hosts[f"gpu{number}"] = plan_of(V2, serving(V1, ranker=silent), f"gpu{number}")
    text = [line.plain for line in text_of_plan.lines(Forecast(Plan(hosts)))]
    assert text[0] == "gpu1, gpu2"
    assert sum("server:" in line for line in text) == 1


def test_as_json() -> None:
    """Values, phase by phase, with what hinders a reload."""
    failed: Seen = Present((VersionState(1, State.AVAILABLE), VersionState(2, State.END, "NOT_FOUND: no")))
    plan = Plan({"gpu1": plan_of(V2, serving(V1, ranker=failed))})
    value = as_json.plan(Forecast(plan))
    hosts = value["hosts"]
    assert isinstance(hosts, dict)
    stay = {"beside": [], "waits": [], "listed": True}
    assert hosts["gpu1"]["services"]["ranking"]["server"] == {
        "phases": [
            {
                "kind": "stop",
                "models": {"ranker": {**stay, "loads": [], "unloads": [1], "labels": {}}},
                "golden": {},
            },
            {
                "kind": "start",
                "models": {
                    "ranker": {**stay, "loads": [2], "unloads": [], "labels": {"stable": {"before": 1, "after": 2}}}
                },
                "golden": {"ranker": [2]},
            },
        ],
        "burnt": [{"model": "ranker", "version": 2, "error": "NOT_FOUND: no"}],
        "obstacles": [],
        "removed": [],
        "unread": {},
    }


def test_what_hinders_and_what_was_not_read_as_json() -> None:
    """Reasons stand there in full."""
    before = desired(models={"ranker": (1,), "embedder": (1,)})
    host = serving(before, ranker=Unknown("timeout"))
    moved = before.config_text.replace("/models/", "/elsewhere/")
    seen = replace(host.services["ranking"], config_text=Present(moved))
    plan = service_of(desired(1), replace(host, services={"ranking": seen}))
    value = server(plan.server)
    assert value["removed"] == ["embedder"]
    assert value["unread"] == {"ranker": "timeout"}
    assert value["obstacles"] == ["model 'ranker' changes its base_path from '/elsewhere/ranker' to '/models/ranker'"]


def test_a_comparison_names_its_label() -> None:
    """In text and in JSON."""
    before = KnownSignatures({"s": Signature({"x": TensorSpec("x", "float32", (None,))}, {})}, graph_bytes=100)
    after = KnownSignatures({"s": Signature({"y": TensorSpec("y", "float32", (None,))}, {})}, graph_bytes=100)
    model = replace(V2.models[0], signatures={1: before, 2: after}, allow_signature_change=True)
    plan = plan_of(replace(V2, models=(model,)), settled_host(V1))
    text = "\n".join(line.plain for line in text_of_plan.lines(Forecast(Plan({"gpu1": plan}))))
    assert (
        "    signature of ranker/2 (label stable): s input 'x': float32 [?] (removed), breaks callers, allowed" in text
    )
    unknown = replace(plan, signatures=(replace(plan.signatures[0], unknown="why", changes=()),))
    text = "\n".join(line.plain for line in text_of_plan.lines(Forecast(Plan({"gpu1": unknown}))))
    assert "    signatures of ranker/2 (label stable) not compared: why" in text
    hosts = as_json.plan(Forecast(Plan({"gpu1": plan})))["hosts"]
    assert isinstance(hosts, dict)
    assert [item["label"] for item in hosts["gpu1"]["signatures"]] == ["stable"]
