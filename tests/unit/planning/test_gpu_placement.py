"""Whole versions on whole cards: what the sums allow and no placement does."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.gpu_fit import Card, GpuFit, ModelNeed
from fleetdeploy.domain.observed import Gpu, Present
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.planning.gpu_placement import NODES, decided, left_over, reloading, steady, without_place
from fleetdeploy.planning.gpu_sums import as_planned
from fleetdeploy.report.plan.gpu_text import gpu_lines

from .gpu_hosts import GIB, activations, host_with, needing, plan_for

BOTH = (0, 1)


def only(plan: HostPlan) -> str:
    (refusal,) = plan.refusals
    assert refusal.exit_code == 5
    assert refusal.hint
    return refusal.message


def test_three_models_for_two_cards() -> None:
    """150 of 160 GiB, and two of them would need 100 on one card; with smaller ones there is a place."""
    three = needing({"a": 50, "b": 50, "c": 50}, devices=BOTH, a=(1,), b=(1,), c=(1,))
    assert only(plan_for(host_with(gib=80), three)) == (
        "models require 150.0 of 160.0 GiB on GPU 0, 1, and no GPU has room for c/1 (50.0 GiB), wherever the others "
        "go: a/1 50.0 GiB, b/1 50.0 GiB, c/1 50.0 GiB"
    )
    less = needing({"a": 50, "b": 40, "c": 40}, devices=BOTH, a=(1,), b=(1,), c=(1,))
    assert plan_for(host_with(gib=80), less).refusals == ()


def test_what_first_fit_does_not_find() -> None:
    """Largest first puts 36 and 24 together, where only 36 with 18 and 18 leaves the other card to the three of 24."""
    models = {"a": 36.0, "b": 24.0, "c": 24.0, "d": 24.0, "e": 18.0, "f": 18.0}
    service = needing(models, devices=BOTH, **dict.fromkeys(models, (1,)))
    assert plan_for(host_with(gib=72), service).refusals == ()


def test_a_reload_that_has_no_place_is_a_swap() -> None:
    """Old and new are 150 of 160 GiB; swapped, the two new ones have a card each."""
    old = needing({"a": 50, "b": 50}, devices=BOTH, a=(1,), b=(1,))
    new = needing({"a": 50, "b": 50}, devices=BOTH, a=(2,), b=(1,))
    plan = plan_for(host_with(old, gib=80), new)
    (service,) = plan.services
    assert (service.activation.value, service.apart) == ("replace", True)
    assert service.reason == (
        "old and new versions do not fit together: 150.0 of 160.0 GiB on GPU 0, 1, and no GPU has room for b/1 "
        "(50.0 GiB), wherever the others go; swapped while drained"
    )
    assert activations(plan_for(host_with(old, gib=100), new)) == {"ranking": "reload"}


def test_services_that_share_cards_have_only_their_own() -> None:
    """50 and 50 stand on GPU 0 and 1, and a third service has both and room on neither; one with a free card has."""
    left = needing({"m": 50}, name="left", devices=(0,), m=(1,))
    right = needing({"m": 50}, name="right", devices=(1,), m=(1,))
    pair = needing({"m": 40}, name="pair", devices=BOTH, m=(1,))
    text = only(plan_for(host_with(gib=80, count=3), left, right, pair))
    assert "140.0 of 160.0 GiB on GPU 0, 1, and no GPU has room for pair/m/1 (40.0 GiB)" in text
    wider = replace(pair, wish=replace(pair.wish, gpus=replace(pair.wish.gpus, devices=(0, 1, 2))))
    assert plan_for(host_with(gib=80, count=3), left, right, wider).refusals == ()


def test_a_card_of_one_service_is_no_place_for_another() -> None:
    """Over all three cards everything has a place, but not on the cards that each service has."""
    left = needing({"m": 50}, name="left", devices=(0, 1), m=(1, 2))
    right = needing({"m": 30}, name="right", devices=(1, 2), m=(1, 2, 3, 4))
    assert "no GPU has room for" in only(plan_for(host_with(gib=80, count=3), left, right))
    fewer = needing({"m": 30}, name="right", devices=(1, 2), m=(1, 2, 3))
    assert plan_for(host_with(gib=80, count=3), left, fewer).refusals == ()


def test_a_neighbour_may_be_on_either_side_of_its_change() -> None:
    """Before and after it holds 60 GiB, as two halves or whole: beside the halves the reload has a place, else not."""
    halves = needing({"x": 30, "y": 60}, name="other", devices=BOTH, x=(1, 2), y=())
    whole = needing({"x": 30, "y": 60}, name="other", devices=BOTH, x=(), y=(1,))
    old, new = (needing({"m": 45}, devices=BOTH, m=(number,)) for number in (1, 2))
    assert activations(plan_for(host_with(old, halves, gib=80), new, halves))["ranking"] == "reload"
    changing = plan_for(host_with(old, halves, gib=80), new, whole)
    assert "replace" in activations(changing).values() or changing.refusals
    assert not any(
        service.activation.value == "reload" and service.desired.name == "ranking" for service in changing.services
    )


def test_what_other_programs_leave_on_each_card() -> None:
    """60 GiB are free, and two versions of 25 GiB have 10 and 50 to share: one card must hold both."""
    host = host_with(gib=80)
    assert isinstance(host.gpus, Present)
    used = [replace(gpu, memory_used_bytes=taken * GIB) for gpu, taken in zip(host.gpus.value, (52, 40), strict=True)]
    host = replace(host, gpus=Present(tuple[Gpu, ...](used)))
    fits = needing({"m": 25}, devices=BOTH, m=(1, 2))
    assert plan_for(host, fits).refusals == ()
    tight = needing({"m": 22}, devices=BOTH, m=(1, 2, 3))
    assert only(plan_for(host, tight)) == (
        "other programs hold 92.0 GiB of GPU 0, 1, and no GPU has room for m/3 (22.0 GiB), wherever the others go: "
        "m/1, m/2, m/3 22.0 GiB each"
    )


ROOM = st.lists(st.integers(1, 30), min_size=1, max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_place_is_found_exactly_where_there_is_one(data: st.DataObject) -> None:
    """Against all ways to put up to six items on up to three cards; one that is named has no place in any."""
    room = data.draw(ROOM)
    cards = st.lists(st.sampled_from(range(len(room))), min_size=1, unique=True).map(lambda found: tuple(sorted(found)))
    items = sorted(data.draw(st.lists(st.tuples(st.integers(1, 20), cards), max_size=6)), reverse=True)
    possible = False
    for chosen in product(*(allowed for _, allowed in items)):
        held = [0] * len(room)
        for (size, _), card in zip(items, chosen, strict=True):
            held[card] += size
        possible = possible or all(mine <= there for mine, there in zip(held, room, strict=True))
    found = left_over(tuple(room), tuple(items))
    assert found is not None
    assert (found < 0) is possible


def hard() -> GpuFit:
    """Sizes with nothing in common, on many cards that they would fill to the last GiB."""
    sizes = [101 + 7 * number % 37 for number in range(60)]
    needs = tuple(ModelNeed("s", f"m{number}", size, (1,)) for number, size in enumerate(sizes))
    cards = 16
    return GpuFit(tuple(Card(number, "card", -(-sum(sizes) // cards)) for number in range(cards)), needs)


def test_what_cannot_be_decided_is_accepted_and_said() -> None:
    """The search has an end; nothing is refused for what it left open, and the plan says so."""
    fit = hard()
    assert not decided(fit, steady(fit))
    assert without_place(fit, [steady(fit)]) == ""
    (planned,) = as_planned([fit], ())
    assert planned.undecided
    plan = plan_for(host_with(gib=80), needing({"m": 1}, m=(1,)))
    (line,) = gpu_lines(replace(plan, gpu_fits=(replace(plan.gpu_fits[0], undecided=True),)))
    assert line.plain.endswith("required; not found out whether whole versions can be placed card by card")
    assert not any(fit.undecided for fit in plan.gpu_fits)


def test_many_versions_are_not_searched() -> None:
    """No recursion without an end, and no refusal."""
    need = ModelNeed("s", "m", 30, tuple(range(1, 301)))
    fit = GpuFit(tuple(Card(number, "card", 50) for number in range(290)), (need,))
    assert not decided(fit, steady(fit))
    assert NODES > 1000


@pytest.mark.parametrize("count", [8, 16])
def test_alike_cards_and_versions_are_decided_at_once(count: int) -> None:
    """Two on each of many cards, and one more."""
    for more in (0, 1):
        need = ModelNeed("s", "m", 35, tuple(range(1, 2 * count + 1 + more)))
        fit = GpuFit(tuple(Card(number, "card", 80) for number in range(count)), (need,))
        assert decided(fit, steady(fit))
        assert bool(without_place(fit, [steady(fit)])) is bool(more)


def test_every_mix_of_a_few_neighbours_is_looked_at() -> None:
    """Of many, only the larger side."""

    def fit(count: int) -> GpuFit:
        needs = tuple(ModelNeed(f"s{number}", "m", 1, (1, 2), (1,)) for number in range(count))
        return GpuFit((Card(0, "card", 100),), needs)

    assert len(list(reloading(fit(1), "s0"))) == 1
    assert len(list(reloading(fit(5), "s0"))) == 16
    (moment,) = reloading(fit(6), "s0")
    assert len(moment) == 12
