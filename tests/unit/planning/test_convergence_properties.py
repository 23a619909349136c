"""What holds for plans made again and again, after anything has been cut off anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from simulation.controller import config_text, desired
from simulation.seen import settled_host

from fleetdeploy.domain.observed import Absent, ObservedHost, Present
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.planning.before import our_config
from fleetdeploy.tfserving import status

from .effects import plan_of, seen_of, steps, with_service
from .struck_hosts import as_asked, cut_off, hosts, services, struck

PROPERTY = settings.get_profile("property")
SLOW = settings(PROPERTY, max_examples=PROPERTY.max_examples // 2)
RANK = {
    Activation.NOTHING: 0,
    Activation.VERIFY: 1,
    Activation.RELOAD: 2,
    Activation.START: 3,
    Activation.REPLACE: 3,
}
LABELLED = replace(
    desired(models={"ranker": (3,)}), config_text=config_text((("ranker", (3,), (("canary", 3), ("stable", 3))),))
)
THREE_MODELS = desired(models={"embedder": (2,), "ranker": (2,), "tagger": (1, 2, 3)})


def not_reached(host: ObservedHost, wanted: DesiredService) -> list[str]:
    """What of ``wanted`` is not there."""
    goal, seen = seen_of(settled_host(wanted)), seen_of(host)
    assert isinstance(goal.container, Present)
    assert isinstance(goal.release, Present)
    assert isinstance(seen.container, Present)
    assert isinstance(seen.release, Present)
    assert isinstance(seen.versions, Present)
    here, there = seen.container.value, goal.container.value
    hashes = [item.value.id.rpartition("-")[2] for item in (seen.release, goal.release)]
    serves = {name: status.available(item.value) for name, item in seen.served.items() if isinstance(item, Present)}
    checks = {
        "container": (here.running, here.image_id, here.labels) == (True, there.image_id, there.labels),
        "file": seen.config_text == goal.config_text,
        "record": hashes[0] == hashes[1],
        "drained": seen.drained_by == Absent(),
        "serves": serves == {model.name: model.wanted for model in wanted.models},
        "versions": all(
            version.number in seen.versions.value[model.name] for model in wanted.models for version in model.versions
        ),
    }
    return [what for what, fine in checks.items() if not fine]


@SLOW
@given(host=hosts(), tries=st.lists(st.tuples(services(), st.integers(0, 14)), max_size=3), wanted=services())
def test_whatever_was_cut_off_the_next_run_gets_there(
    host: ObservedHost, tries: Sequence[tuple[DesiredService, int]], wanted: DesiredService
) -> None:
    """After runs to anything, each ended anywhere, one more brings what is wanted now, and leaves nothing to do."""
    for other, at in tries:
        host = cut_off(host, other, at)
    plan = plan_of(as_asked(host, wanted), wanted)
    assert plan.refusals == ()
    *_, end = [as_asked(host, wanted), *steps(as_asked(host, wanted), wanted)]
    assert not_reached(end, wanted) == []
    again = plan_of(end, wanted)
    assert (again.refusals, again.changed) == ((), False)
    assert again.services[0].changes == ()
    assert again.services[0].server.phases == ()


@SLOW
@given(host=hosts(), wanted=services())
@example(host=struck(settled_host(LABELLED), "file gone"), wanted=LABELLED)
def test_no_step_of_a_run_is_ever_taken_back(host: ObservedHost, wanted: DesiredService) -> None:
    """Planned again after each step, there is never more left to do than before it, and in the end nothing."""
    reached = [as_asked(host, wanted), *steps(as_asked(host, wanted), wanted)]
    plans = [plan_of(state, wanted) for state in reached]
    assert all(plan.refusals == () for plan in plans)
    left = [plan.services[0] for plan in plans]
    for before, after in pairwise(left):
        assert numbers(after) <= numbers(before)
        assert after.pull_image <= before.pull_image
        assert RANK[after.activation] <= RANK[before.activation]
    assert not plans[-1].changed


@SLOW
@given(before=services(), wanted=services(), at=st.integers(0, 14))
def test_the_record_changes_only_with_the_proof(before: DesiredService, wanted: DesiredService, at: int) -> None:
    """A run that was cut off before it recorded anything is not done, whatever its server says by then."""
    host = cut_off(settled_host(before), wanted, at)
    plan = plan_of(as_asked(host, wanted), wanted).services[0]
    goal, release = seen_of(settled_host(wanted)).release, seen_of(host).release
    assert isinstance(goal, Present)
    assert isinstance(release, Present)
    recorded = release.value.id.rpartition("-")[2] == goal.value.id.rpartition("-")[2]
    if not recorded:
        assert plan.activation is not Activation.NOTHING
    assert (plan.activation is Activation.NOTHING) is (recorded and not_served(host, wanted) == [])


def not_served(host: ObservedHost, wanted: DesiredService) -> list[str]:
    """What of the file and the server is not as it shall be."""
    found = not_reached(host, wanted) if isinstance(seen_of(host).container, Present) else ["container"]
    return [what for what in found if what in {"container", "file", "serves"}]


def numbers(plan: ServicePlan) -> set[tuple[str, int]]:
    """What is still to be staged."""
    return {(item.model, item.version.number) for item in plan.stage}


@SLOW
@given(host=hosts(), wanted=services(), data=st.data())
def test_the_order_of_models_and_versions_decides_nothing(
    host: ObservedHost, wanted: DesiredService, data: st.DataObject
) -> None:
    """The same plan comes of models, versions and readings in any order, up to the order of what is staged."""
    mixed = replace(
        wanted,
        wish=replace(wanted.wish, models=tuple(data.draw(st.permutations(wanted.wish.models)))),
        models=tuple(
            replace(model, versions=tuple(data.draw(st.permutations(model.versions))))
            for model in data.draw(st.permutations(wanted.models))
        ),
    )
    seen = seen_of(as_asked(host, wanted))
    assert isinstance(seen.versions, Present)
    shuffled = with_service(
        host,
        served=dict(data.draw(st.permutations(list(seen.served.items())))),
        versions=Present(
            {
                name: dict(data.draw(st.permutations(list(there.items()))))
                for name, there in data.draw(st.permutations(list(seen.versions.value.items())))
            }
        ),
    )
    _same_plan(as_asked(host, wanted), wanted, shuffled, mixed)
    assert our_config(seen) == our_config(seen_of(shuffled))


def test_a_silent_server_is_told_in_the_same_words_in_any_order() -> None:
    """Of several models that the server does not answer for, the reason names the same one in any order."""
    host = struck(settled_host(THREE_MODELS), "silent")
    models = (*THREE_MODELS.models[1:], THREE_MODELS.models[0])
    _same_plan(host, THREE_MODELS, host, replace(THREE_MODELS, models=models))


def _same_plan(host: ObservedHost, wanted: DesiredService, shuffled: ObservedHost, mixed: DesiredService) -> None:
    (one,), (two,) = (plan_of(host, wanted).services, plan_of(shuffled, mixed).services)
    for name in ("activation", "reason", "release_id", "container", "pull_image", "undrain", "server", "apart"):
        assert getattr(one, name) == getattr(two, name), name
    assert numbers(one) == numbers(two)
    links = [{(item.model, item.version.number, item.link_from, item.files) for item in p.stage} for p in (one, two)]
    assert links[0] == links[1]
    assert set(one.changes) == set(two.changes)
