"""GPU memory in plans, as text and as JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planning.gpu_hosts import GIB, host_with, needing, plan_for
from simulation.controller import sim_host

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.observed import ObservedHost
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.report.plan import as_json
from fleetdeploy.report.plan import text as text_of_plan
from fleetdeploy.report.plan.gpu_text import gpu_lines

R12 = {"ranker": 12.0, "tagger": 4.0}


def lines(observed: ObservedHost, *wanted: DesiredService) -> list[str]:
    return [line.plain for line in gpu_lines(plan_for(observed, *wanted, allow_remove=True))]


@pytest.mark.parametrize(
    ("before", "after", "gib", "said"),
    [
        ((1,), (2,), 80, "12.0 of 160.0 GiB required, 24.0 GiB while ranker/2 loads beside ranker/1"),
        ((1,), (2, 3), 80, "24.0 of 160.0 GiB required, 36.0 GiB while ranker/2, ranker/3 load beside ranker/1"),
        ((1, 2), (2,), 80, "12.0 of 160.0 GiB required, 24.0 GiB before the unload of ranker/1"),
        ((1,), (1, 2), 80, "24.0 of 160.0 GiB required"),
        ((1,), (2,), 12, "12.0 of 24.0 GiB required, 24.0 GiB while ranker/2 loads beside ranker/1"),
        ((1, 2), (2, 3), 16, "24.0 of 32.0 GiB required"),
    ],
)  # fmt: skip
def test_a_line_says_what_is_required_and_how_much_more_meanwhile(
    before: tuple[int, ...], after: tuple[int, ...], gib: float, said: str
) -> None:
    """More is told only where a hot reload needs more; the last of these is swapped instead."""
    service = {number: needing(R12, devices=(0, 1), ranker=number) for number in (before, after)}
    assert lines(host_with(service[before], gib=gib), service[after]) == [f"  GPU 0, 1: {said}"]


def test_a_dropped_model_is_named_as_not_counted() -> None:
    """It stays loaded during a reload, and what it needs is no longer known; a new process does not load it."""
    before = needing(R12, ranker=(1,), tagger=(1,))
    (line,) = lines(host_with(before), needing(R12, ranker=(2,)))
    assert line.endswith("; not counted: tagger, which stays loaded meanwhile and is no longer in the inventory")
    (line,) = lines(host_with(before), needing(R12, image="serving:2", ranker=(2,)))
    assert line == "  GPU 0: 12.0 of 80.0 GiB required"


def test_only_gpus_of_services_that_change_are_shown() -> None:
    """A service that stays as it is, and one that requires nothing, have no line."""
    idle = needing({"m": 5}, name="idle", devices=(1,), m=(1,))
    free = needing({}, name="free", devices=(0,), m=(1,))
    ranking = needing(R12, ranker=(1,))
    observed = host_with(idle, free, ranking)
    assert lines(observed, idle, free, ranking) == []
    (line,) = lines(observed, idle, free, needing(R12, ranker=(2,)))
    assert line.startswith("  GPU 0: 12.0 of 80.0 GiB")


def shown(**hosts: HostPlan) -> str:
    return "\n".join(line.plain for line in text_of_plan.lines(Forecast(Plan(hosts))))


def test_alike_hosts_still_stand_together() -> None:
    """The lines name nothing that is one host's own; hosts with other cards stand apart."""
    old, new = needing(R12, ranker=(1,)), needing(R12, ranker=(2,))
    plan = plan_for(host_with(old), new)
    other = replace(plan_for(host_with(old, gib=40), new), host=sim_host("gpu3"))
    text = shown(gpu1=plan, gpu2=replace(plan, host=sim_host("gpu2")), gpu3=other)
    assert "gpu1, gpu2\n" in text
    assert text.count("  GPU 0: 12.0 of 80.0 GiB required, 24.0 GiB while ranker/2 loads beside ranker/1") == 1
    assert text.count("  GPU 0: 12.0 of 40.0 GiB required") == 1


def test_a_swap_is_told_with_its_sums() -> None:
    """The reason stands where the activation is."""
    plan = plan_for(host_with(needing(R12, ranker=(1,)), gib=16), needing(R12, ranker=(2,)))
    text = shown(gpu1=plan)
    assert (
        "  service ranking: replace, old and new versions do not fit together: 24.0 of 16.0 GiB on GPU 0; "
        "swapped while drained" in text
    )
    assert "  GPU 0: 12.0 of 16.0 GiB required\n" in f"{text}\n"


def fits(plan: HostPlan) -> object:
    hosts = as_json.plan(Forecast(Plan({"gpu1": plan})))["hosts"]
    assert isinstance(hosts, dict)
    return hosts["gpu1"]["gpu_fits"]


def test_json_has_all_sums() -> None:
    """Cards, every model's need, and the three sums; sizes in bytes."""
    plan = plan_for(host_with(needing(R12, ranker=(1,)), used_gib=1), needing(R12, ranker=(2,)))
    assert fits(plan) == [
        {
            "gpus": [{"index": 0, "name": "card", "memory_bytes": 80 * GIB}],
            "capacity_bytes": 80 * GIB,
            "required_bytes": 12 * GIB,
            "peak_bytes": 24 * GIB,
            "models": [
                {
                    "service": "ranking",
                    "model": "ranker",
                    "version_bytes": 12 * GIB,
                    "versions": [2],
                    "loaded": [1],
                    "required_bytes": 12 * GIB,
                    "together_bytes": 24 * GIB,
                }
            ],
            "reloads": ["ranking"],
            "dropped": [],
            "undecided": False,
        }
    ]


def test_json_has_the_sums_of_a_refused_host_too() -> None:
    """Who reads the refusal wants to add up for himself."""
    plan = plan_for(host_with(gib=16), needing(R12, ranker=(1, 2)))
    assert plan.refusals
    (fit,) = fits(plan)  # type: ignore[misc]
    assert (fit["required_bytes"], fit["capacity_bytes"]) == (24 * GIB, 16 * GIB)  # type: ignore[index]
