"""What ``prune`` makes of the history of releases, of pinned versions, and of records that nothing needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.controller import desired, sim_host, version
from simulation.seen import on_disk, settled_host

from fleetdeploy.domain.observed import Present, ProvenRelease, Reading, Unknown
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.planning.host import plan_host
from fleetdeploy.rollout.work import Call, Work
from fleetdeploy.tasks import registry
from fleetdeploy.tasks.prune import RECORDS, Arguments, forgettable, prunable


def release(number: int, content: str = "", took_back: str = "") -> ProvenRelease:
    return ProvenRelease(f"T{number:03}-{content or f'c{number}'}", {"ranker": (number,)}, took_back)


def plan(current: int, *history: ProvenRelease, there: range = range(1, 10)) -> ServicePlan:
    """A host that serves version ``current``, with the versions ``there`` and this history."""
    wanted = desired(current)
    (found,) = plan_host(sim_host("gpu1"), [wanted], settled_host(wanted), stamp="T1").services
    seen = found.observed
    assert isinstance(seen.release, Present)
    recorded = replace(seen.release.value, id=history[-1].id, took_back=history[-1].took_back)
    versions = {number: on_disk(version("ranker", number)) for number in there}
    lines: Reading[tuple[ProvenRelease, ...]] = Present(history)
    seen = replace(seen, release=Present(recorded), versions=Present({"ranker": versions}), history=lines)
    return replace(found, observed=seen)


def stays(found: ServicePlan, keep: int) -> list[int]:
    assert isinstance(found.observed.versions, Present)
    gone = prunable(found, keep).get("ranker", ())
    return sorted(set(found.observed.versions.value["ranker"]) - set(gone))


@pytest.mark.parametrize(("keep", "left"), [(1, [4, 6]), (2, [4, 6]), (3, [2, 4, 6]), (9, [1, 2, 4, 6])])
def test_only_proven_releases_count(keep: int, left: list[int]) -> None:
    """Versions that were staged and never proven count for nothing and go, also those with the largest numbers."""
    assert stays(plan(6, release(1), release(2), release(4), release(6)), keep) == left


def test_a_release_that_changes_no_version_pushes_none_out() -> None:
    """New images and flags are releases too, and ``keep`` counts those with other versions."""
    history = (release(1), release(2), release(3), release(3, "image"), release(3, "flags"))
    assert stays(plan(3, *history), 2) == [2, 3]


def test_the_last_good_one_stays_whatever_came_between() -> None:
    """What a rollback would go to is kept beyond ``keep``, past everything that was taken back."""
    history = (release(1), release(2), release(3), release(2, "c2", "c3"), release(5))
    assert stays(plan(5, *history), 1) == [2, 5]


def test_what_was_taken_back_pushes_nothing_good_out() -> None:
    """Releases that a rollback left go first: who goes back twice still finds what was good before."""
    tried = (release(4), release(3, took_back="c4"), release(5), release(3, took_back="c5"))
    history = (release(1), release(2), release(3), *tried)
    assert stays(plan(3, *history), 3) == [1, 2, 3]
    assert stays(plan(6, *history, release(6)), 3) == [2, 3, 6]
    assert stays(plan(4, *history, release(4)), 2) == [3, 4], "it was proven once more since"
    assert stays(plan(1, release(1), release(2), release(1, took_back="c2")), 3) == [1, 2], "there is room for it"


def test_a_version_of_a_release_that_was_taken_back_stays_where_a_good_one_has_it() -> None:
    """What was taken back may have been another image or configuration of the same versions."""
    history = (release(1), release(2), release(2, "image"), release(2, took_back="image"))
    assert stays(plan(2, *history), 2) == [1, 2]


def test_pinned_versions_stay() -> None:
    """What the inventory pins is never removed."""
    found = plan(6, release(4), release(6))
    models = tuple(replace(model, pinned=(8,)) for model in found.desired.wish.models)
    pinned = replace(found, desired=replace(found.desired, wish=replace(found.desired.wish, models=models)))
    assert stays(pinned, 1) == [4, 6, 8]


@pytest.mark.parametrize("harm", [{"history": Unknown("Permission denied")}, {"history_damaged": 2}])
def test_without_a_whole_history_nothing_is_removed_and_that_is_told(harm: dict[str, object]) -> None:
    """The task says so where something might go, and that is no change of the host."""
    found = plan(6, release(4), release(6))
    blind = replace(found, observed=replace(found.observed, **harm))  # type: ignore[arg-type]
    assert prunable(blind, 1) == {}
    task, arguments = registry()["prune"], Arguments(keep=1)
    assert task.summary(blind, False, arguments).startswith("nothing: ")
    assert not Work(Call(task, arguments), blind, "prune").changes
    assert Work(Call(task, arguments), found, "prune").changes
    few = plan(6, release(4), release(6), there=range(6, 7))
    nothing = replace(few, observed=replace(few.observed, **harm))  # type: ignore[arg-type]
    assert task.summary(nothing, False, arguments) == ""


def test_old_records_without_versions_are_forgotten() -> None:
    """Beyond the newest ones, records of which no version stays go; the current one and needed ones do not."""
    history = tuple(release(number) for number in range(1, RECORDS + 5))
    found = plan(RECORDS + 4, *history, there=range(2, RECORDS + 5))
    assert forgettable(found, RECORDS + 3) == ("T001-c1",)
    assert forgettable(found, 1) == ("T004-c4", "T003-c3", "T002-c2", "T001-c1")
    few = replace(found, observed=replace(found.observed, history=Present(history[: RECORDS - 1])))
    assert forgettable(few, 1) == ()
