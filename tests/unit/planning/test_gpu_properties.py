"""What holds for GPU memory in every plan, whatever is wanted and loaded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.observed import ObservedHost
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.service import DesiredService

from .gpu_hosts import activations, host_with, needing, plan_for

NUMBERS = st.lists(st.integers(1, 3), unique=True, min_size=1, max_size=2).map(lambda found: tuple(sorted(found)))
SHAPES = st.fixed_dictionaries(
    {
        "gib": st.integers(0, 20),
        "devices": st.sampled_from([(0,), (1,), (0, 1), (1, 2)]),
        "before": st.none() | NUMBERS,
        "after": NUMBERS,
    }
)


def fleet(shapes: list[dict[str, object]], size: float) -> tuple[ObservedHost, list[DesiredService]]:
    before, after = [], []
    for index, shape in enumerate(shapes):
        common = {"name": f"s{index}", "devices": shape["devices"]}
        gib = {"m": shape["gib"]}
        after.append(needing(gib, **common, m=shape["after"]))  # type: ignore[arg-type]
        if shape["before"]:
            before.append(needing(gib, **common, m=shape["before"]))  # type: ignore[arg-type]
    return host_with(*before, gib=size, count=3), after


@settings(max_examples=60, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=3), st.integers(10, 60))
def test_nothing_is_planned_that_overfills_a_gpu(shapes: list[dict[str, object]], size: int) -> None:
    """No plan has a moment in which GPUs hold more than they have, whatever the order of changes."""
    observed, wanted = fleet(shapes, size)
    plan = plan_for(observed, *wanted)
    for fit in plan.gpu_fits if not plan.refusals else ():
        assert fit.peak_bytes <= fit.capacity_bytes
        for service in plan.services:
            if service.activation in {Activation.START, Activation.REPLACE} and fit.shall_hold(service.desired.name):
                assert fit.swap_bytes(service.desired.name) <= fit.capacity_bytes
    for service, shape in zip(plan.services, shapes, strict=False):
        before, after = shape["before"], shape["after"]
        assert isinstance(after, tuple)
        gib, devices = shape["gib"], shape["devices"]
        assert isinstance(gib, int)
        assert isinstance(devices, tuple)
        together = len({*after, *(before if isinstance(before, tuple) else ())}) * gib
        assert service.activation is not Activation.RELOAD or together <= size * len(devices)


@settings(max_examples=30, deadline=None)
@given(st.lists(SHAPES, min_size=2, max_size=3), st.integers(10, 60), st.randoms(use_true_random=False))
def test_the_order_of_services_decides_nothing(shapes: list[dict[str, object]], size: int, random: object) -> None:
    """The same activations, the same refusals and the same sums come of any order."""
    observed, wanted = fleet(shapes, size)
    mixed = list(wanted)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one, two = plan_for(observed, *wanted), plan_for(observed, *mixed)
    assert activations(one) == activations(two)
    assert len(one.refusals) == len(two.refusals)
    sums = [sorted((str(f.cards), f.steady_bytes, f.peak_bytes) for f in plan.gpu_fits) for plan in (one, two)]
    assert sums[0] == sums[1]


@settings(max_examples=30, deadline=None)
@given(SHAPES, st.integers(10, 60))
def test_more_memory_never_makes_a_plan_worse(shape: dict[str, object], size: int) -> None:
    """What is reloaded on a small card is reloaded on a larger one, and what is not refused stays so."""
    rank = {"nothing": 0, "start": 1, "reload": 1, "replace": 2}
    ranks = []
    for gib in (size, size + 10):
        observed, wanted = fleet([shape], gib)
        plan = plan_for(observed, *wanted)
        ranks.append(rank[activations(plan)["s0"]] if not plan.refusals else 3)
    assert ranks[1] <= ranks[0]
