"""What ``prune`` leaves alone, whatever lies on a host and whatever was deployed there before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import desired, sim_host, version
from simulation.seen import on_disk, settled_host
from simulation.world import SERVICE

from fleetdeploy.domain.observed import (
    Absent,
    Present,
    ProvenRelease,
    Reading,
    Release,
    State,
    Unknown,
    VersionState,
)
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.planning.host import plan_host
from fleetdeploy.planning.rollback import last_good, past_of, proven_here, taken_back
from fleetdeploy.tasks.prune import prunable

PROPERTY = settings.get_profile("property")
MODELS = ("ranker", "tagger")
NUMBERS = st.frozensets(st.integers(1, 9), max_size=6)
SERVING = st.dictionaries(st.sampled_from(MODELS), NUMBERS.map(lambda found: tuple(sorted(found))))
RELEASES = st.lists(st.tuples(st.sampled_from("abcd"), SERVING, st.sampled_from(["", "", "a", "b"])), max_size=6)
STATES = st.dictionaries(st.integers(1, 9), st.sampled_from(list(State)), max_size=4)
SERVED = st.fixed_dictionaries({"ranker": st.none() | STATES})


def said(states: dict[int, State] | None) -> Reading[tuple[VersionState, ...]]:
    """What a server says of a model; None is a server that does not answer."""
    if states is None:
        return Unknown("timeout")
    return Present(tuple(VersionState(number, state) for number, state in states.items()))


def proven(releases: list[tuple[str, dict[str, tuple[int, ...]], str]]) -> Reading[tuple[ProvenRelease, ...]]:
    """A history, the oldest release first; the same letter is the same content, the last one was taken back for it."""
    return Present(tuple(ProvenRelease(f"T{at}-{letter}", *told) for at, (letter, *told) in enumerate(releases)))


@st.composite
def plans(draw: st.DrawFn) -> ServicePlan:
    """A service with one model on a host that has any versions of two, any history, any record and any server."""
    wanted = desired(*sorted(draw(NUMBERS.filter(bool))))
    seen = settled_host(wanted).services[SERVICE]
    assert isinstance(seen.release, Present)
    models = draw(st.none() | SERVING)
    history: Reading[tuple[ProvenRelease, ...]] = draw(st.just(Absent()) | RELEASES.map(proven))
    release: Reading[Release] = Absent() if models is None else Present(replace(seen.release.value, models=models))
    there = {name: {number: on_disk(version(name, number)) for number in draw(NUMBERS)} for name in MODELS}
    served = {name: said(states) for name, states in draw(SERVED).items()}
    (plan,) = plan_host(sim_host("gpu1"), [wanted], settled_host(wanted), stamp="T1").services
    return replace(
        plan, observed=replace(seen, release=release, history=history, versions=Present(there), served=served)
    )


def gone(plan: ServicePlan, keep: int) -> set[tuple[str, int]]:
    return {(name, number) for name, numbers in prunable(plan, keep).items() for number in numbers}


def here(plan: ServicePlan) -> set[tuple[str, int]]:
    assert isinstance(plan.observed.versions, Present)
    return {(name, number) for name, found in plan.observed.versions.value.items() for number in found}


@PROPERTY
@given(plan=plans(), keep=st.integers(1, 4))
def test_nothing_that_is_wanted_recorded_or_served_is_ever_removed(plan: ServicePlan, keep: int) -> None:
    """Nor one of the releases proven last, and of a server that does not answer nothing; only what is there goes."""
    removed = gone(plan, keep)
    assert removed <= here(plan)
    assert not removed & {("ranker", number) for number in plan.desired.models[0].wanted}
    if isinstance(plan.observed.release, Present):
        models = plan.observed.release.value.models
        assert not removed & {(name, number) for name, numbers in models.items() for number in numbers}
    reading = plan.observed.served["ranker"]
    if isinstance(reading, Present):
        assert not removed & {("ranker", item.number) for item in reading.value if item.state is State.AVAILABLE}
    else:
        assert "ranker" not in {name for name, _ in removed}
    if isinstance(plan.observed.history, Present):
        # The current release is one of those that stay, and so is the one that a rollback goes to.
        left = taken_back(proven_here(plan.observed))
        good = [item for item in plan.observed.history.value[::-1] if item.content_hash not in left]
        last = last_good(past_of(plan.observed))
        for release in good[: keep - 1] + [item for item in good if item.content_hash == last]:
            assert not removed & {(name, number) for name, numbers in release.models.items() for number in numbers}
        return
    for name in MODELS:
        newest = sorted((number for model, number in here(plan) if model == name), reverse=True)[:keep]
        assert not removed & {(name, number) for number in newest}


@PROPERTY
@given(plan=plans(), keep=st.integers(1, 4), more=st.integers(0, 3))
def test_pruning_twice_is_pruning_once_and_keeping_more_removes_less(plan: ServicePlan, keep: int, more: int) -> None:
    """What is left after it is left alone by the next, and a larger ``keep`` never costs a version."""
    removed = gone(plan, keep)
    assert gone(plan, keep + more) <= removed
    assert isinstance(plan.observed.versions, Present)
    left = {
        name: {number: item for number, item in found.items() if (name, number) not in removed}
        for name, found in plan.observed.versions.value.items()
    }
    assert gone(replace(plan, observed=replace(plan.observed, versions=Present(left))), keep) == set()


@PROPERTY
@given(plan=plans(), keep=st.integers(1, 4), blind=st.sampled_from(["versions", "served", "history"]))
def test_what_could_not_be_read_is_never_pruned(plan: ServicePlan, keep: int, blind: str) -> None:
    """A reading that fails never makes it remove more, and of what it was about nothing."""
    unknown = Unknown("no answer")
    changed = {"served": {"ranker": unknown}} if blind == "served" else {blind: unknown}
    after = gone(replace(plan, observed=replace(plan.observed, **changed)), keep)  # type: ignore[arg-type]
    assert after <= gone(plan, keep)
    assert {name for name, _ in after} <= ({"tagger"} if blind == "served" else set())


def settled_on(*numbers: int) -> ServicePlan:
    """A host with these versions of ``ranker``, that serves, and shall serve, the last of them."""
    wanted = desired(numbers[-1])
    (plan,) = plan_host(sim_host("gpu1"), [wanted], settled_host(wanted), stamp="T1").services
    there = {number: on_disk(version("ranker", number)) for number in numbers}
    return replace(plan, observed=replace(plan.observed, versions=Present({"ranker": there})))


def test_a_directory_without_a_manifest_of_ours_is_never_removed() -> None:
    """Somebody else's numbered directory stays, whatever its number."""
    plan = settled_on(1, 2, 3)
    assert isinstance(plan.observed.versions, Present)
    there = dict(plan.observed.versions.value["ranker"])
    there[1] = replace(there[1], manifest_digest="", manifest_text="")
    theirs = replace(plan, observed=replace(plan.observed, versions=Present({"ranker": there})))
    assert gone(theirs, 1) == {("ranker", 2)}


@pytest.mark.parametrize("state", [State.START, State.LOADING, State.UNLOADING])
def test_a_version_that_the_server_is_reading_is_never_removed(state: State) -> None:
    """A server that is just loading a version, or still answers requests with one that leaves, has its files open."""
    plan = settled_on(1, 2)
    served = {"ranker": said({1: state, 2: State.AVAILABLE})}
    assert gone(replace(plan, observed=replace(plan.observed, served=served)), 1) == set()


def test_a_version_that_the_file_on_the_host_lists_is_never_removed() -> None:
    """A server that restarts reads its file, also one that nothing has proven or that another inventory wrote."""
    plan = settled_on(3)
    there = {name: {number: on_disk(version(name, number)) for number in (1, 2)} for name in ("ranker", "tagger")}
    listed = desired(models={"ranker": (3,), "tagger": (1,)}).config_text
    seen = replace(plan.observed, versions=Present(there), config_text=Present(listed))
    assert ("tagger", 1) not in gone(replace(plan, observed=seen), 1)
