"""Two documents held against each other: every difference is found, at its place, and nothing else is one."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import desired, plays, sim_host
from simulation.seen import settled_host

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.observed import Present, Unknown, VersionOnDisk
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.errors import PlanOutdated
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report.plan import as_json
from fleetdeploy.report.plan_file import agreement, document
from fleetdeploy.report.plan_file.differences import KEYS, Difference, differences, rows, shown
from fleetdeploy.report.plan_file.stored import Inputs, StoredPlan
from fleetdeploy.rollout.targets import Target
from fleetdeploy.rollout.work import UNDECIDED

NAMES = ("gpu1", "gpu2")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


SEEN = settled_host(desired(1))


def made() -> StoredPlan:
    """The plan of a change from version 1 to 2 on two hosts, as it is read back from a file."""
    service, before = desired(2), SEEN
    targets = {name: Target(sim_host(name), (service,)) for name in NAMES}
    plan = Plan({name: plan_host(sim_host(name), [service], before, stamp="T1") for name in NAMES})
    parts = [
        agreement.as_stored(part, Redactor())
        for part in (
            document.wanted(targets, plays(NAMES), {"lb": sim_host("lb")}),
            document.observed(plan, targets),
            as_json.plan(Forecast(plan)),
        )
    ]
    inputs = Inputs(
        directory="/srv/project", inventory=["inventory.yml"], playbook="deploy.yml", project=".", limit=None,
        tags=[], skip_tags=[], start_at_task="", allow_remove=False, allow_signature_change=[], extra_vars=[], forks=20,
    )  # fmt: skip
    return StoredPlan(inputs, *parts, "2026-01-31T00:00:00Z", "0.1.0")


MADE = made()
PARTS = {"wanted": MADE.wanted, "observed": MADE.observed, "plan": MADE.plan}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value that holds no other."""
    if isinstance(value, dict) and value:
        return [found for key, item in value.items() for found in leaves(item, (*path, key))]
    if isinstance(value, list) and value:
        return [found for number, item in enumerate(value) for found in leaves(item, (*path, number))]
    return [path]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at the end of the way."""
    copied = copy.deepcopy(value)
    inner = copied
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return copied


def place(value: Any, path: tuple[Any, ...]) -> tuple[str, tuple[str, ...]]:
    """The host and the place that a change at the end of the way has to be told by."""
    steps: list[str] = []
    for step in path:
        if isinstance(step, int) and (key := KEYS.get(str(steps[-1]))):
            steps.append(value[step][key])
        elif isinstance(step, int):
            if not all(isinstance(item, dict) for item in value):
                break  # a list of plain values is told as one
            steps.append(f"#{step + 1}")
        else:
            steps.append(step)
        value = value[step]
    return (steps[1], tuple(steps[2:])) if steps[0] == "hosts" and len(steps) > 1 else ("", tuple(steps))


PLACES = [
    (part, path)
    for part, value in PARTS.items()
    for path in leaves(value)
    if len(path) < 3 or KEYS.get(path[-3]) != path[-1]
]
"""Every value but those by which another one is known; see the test of them."""


@settings(deadline=None)
@given(where=st.sampled_from(PLACES), new=LEAVES)
def test_a_change_anywhere_is_found_there(where: tuple[str, tuple[Any, ...]], new: Any) -> None:
    """Whatever one value of a real document becomes, there is one difference, and it is at that value's place."""
    part, path = where
    before = PARTS[part]
    after = changed(before, path, new)
    old: Any = before
    for step in path:
        old = old[step]
    found = differences(before, after)
    if type(old) is type(new) and old == new:
        assert found == ()
    else:
        assert [(item.host, item.place) for item in found] == [place(before, path)]


@settings(deadline=None)
@given(where=st.sampled_from([item for item in PLACES if isinstance(item[1][-1], str)]))
def test_what_is_gone_is_found(where: tuple[str, tuple[Any, ...]]) -> None:
    """A key that is not there any more is one difference, from either side."""
    part, path = where
    before = PARTS[part]
    after = copy.deepcopy(before)
    inner: Any = after
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    for one, other in ((before, after), (after, before)):
        (found,) = differences(one, other)
        assert (found.host, found.place) == place(before, path)
        assert "(not there)" in {found.before, found.after}


@settings(deadline=None)
@given(value=VALUES)
def test_the_same_is_no_difference(value: object) -> None:
    """A document has nothing against itself."""
    assert differences(value, copy.deepcopy(value)) == ()


@settings(deadline=None)
@given(one=VALUES, other=VALUES)
def test_any_two_documents_can_be_held_against_each_other(one: object, other: object) -> None:
    """There is a difference exactly when they are not the same, told alike from both sides, in lines that end."""
    found, back = differences(one, other), differences(other, one)
    assert {(item.host, item.place, item.before, item.after) for item in found} == {
        (item.host, item.place, item.after, item.before) for item in back
    }
    assert all("\n" not in line.split(": ", 1)[-1] for line in rows(found) if "\n" not in str(one) + str(other))


def test_of_a_release_only_its_content_counts() -> None:
    """The time in a release's id is that of the plan; another hash behind it is another release."""
    old, new = (
        {"hosts": {"a": {"release": f"{time}-{'ab' * 6}"}}} for time in ("20260101T000000Z", "20260202T000000Z")
    )
    other = {"hosts": {"a": {"release": f"20260101T000000Z-{'cd' * 6}"}}}
    assert differences(old, new) == ()
    assert len(differences(old, other)) == 1


def test_one_change_more_is_one_row() -> None:
    """Changes are known by what they are of, and entries by their names, wherever they stand in their list."""

    def host(*changes: object) -> Any:
        return {"hosts": {"gpu1": {"changes": list(changes)}}}

    def change(what: str, *entries: str) -> Any:
        return {"what": what, "after": "2", "entries": [{"name": name, "after": "x"} for name in entries]}

    before = host(change("container.image"), change("container.user", "b"))
    after = host(change("container.command"), change("container.image"), change("container.user", "a", "b"))
    assert [item.where for item in differences(before, after)] == [
        "changes.container.command",
        "changes.container.user.entries.a",
    ]
    twice = host(change("x"), change("x"), change("y"))
    assert [item.where for item in differences(host(change("x"), change("y")), twice)] == [
        "changes #2.what",
        "changes #3",
    ]


def test_alike_hosts_stand_together() -> None:
    """One row for each place and values, with at most three names; at most so many rows, then how many more."""
    found = [Difference(f"gpu{number}", ("services", "x"), "1", "2") for number in range(5)]
    assert rows(found) == ["gpu0, gpu1, gpu2 and 2 hosts more services.x: 1 -> 2"]
    many = [Difference("gpu1", (f"{number:02}",), "1", "2") for number in range(30)]
    lines = rows(many)
    assert (len(lines), lines[0], lines[-1]) == (20, "gpu1 00: 1 -> 2", "and 11 more")
    assert rows([Difference("", ("plays", "#2", "tasks", "#1", "task"), "a", "b")]) == [
        "plays #2.tasks #1.task: a -> b"
    ]


def test_values_are_short() -> None:
    """Digests by their first twelve digits, lists without quotes, nothing as (none), long texts cut."""
    assert shown("a" * 64) == "a" * 12
    assert shown("sha256:" + "b" * 64) == "b" * 12
    assert shown(["gpu1", 2]) == "[gpu1, 2]"
    assert shown(None) == shown("") == "(none)"
    assert shown({"a": [1]}) == '{"a": [1]}'
    assert len(shown("x" * 1000)) == 63


def check(**changes: Any) -> None:
    parts = {name: changes.get(name, part) for name, part in PARTS.items()}
    agreement.check_fleet(MADE, parts["wanted"], parts["observed"], parts["plan"], again="again")


def test_inputs_and_fleet_are_told_apart() -> None:
    """Which of the two has changed is in the words; when it is neither, it is said what else it may be."""
    check()
    wanted = changed(MADE.wanted, ("hosts", "gpu1", "services", "ranking", "wanted", "image"), "serving:9")
    observed = changed(MADE.observed, ("hosts", "gpu1", "services", "ranking", "observed", "drained_by"), "run-1")
    plan = changed(MADE.plan, ("hosts", "gpu1", "services", "ranking", "activation"), "replace")
    with pytest.raises(PlanOutdated, match="the inputs have changed") as inputs:
        check(wanted=wanted, observed=observed)
    assert inputs.value.detail.splitlines()[0] == "gpu1 services.ranking.wanted.image: serving:1 -> serving:9"
    with pytest.raises(PlanOutdated, match="the fleet has changed") as fleet:
        check(observed=observed, plan=plan)
    assert fleet.value.detail.splitlines() == [
        "gpu1 services.ranking.observed.drained_by: (none) -> run-1",
        "gpu1 services.ranking.activation: reload -> replace",
    ]
    with pytest.raises(PlanOutdated, match="otherwise") as neither:
        check(plan=plan)
    assert "secret" in neither.value.message
    assert neither.value.exit_code == 5


def test_masked_places_wait_for_all_secrets() -> None:
    """Before hosts are seen not every secret is known to be one, so what was masked in the file is looked at later."""
    way = ("hosts", "gpu1", "services", "ranking", "wanted", "image")
    stored = StoredPlan(
        MADE.inputs, changed(MADE.wanted, way, f"{'x' * 80}<secret>"), *list(PARTS.values())[1:], "", ""
    )
    agreement.check_wanted(stored.wanted, MADE.wanted, again="again")
    with pytest.raises(PlanOutdated):
        agreement.check_fleet(stored, *PARTS.values(), again="again")
    with pytest.raises(PlanOutdated):
        agreement.check_wanted(MADE.wanted, changed(MADE.wanted, way, "serving:9"), again="again")


SERVICE = ("hosts", "gpu1", "services", "ranking")
UNREAD = (*SERVICE, "server", "unread")


@pytest.mark.parametrize(
    ("way", "one", "same", "other"),
    [
        (UNREAD, {"ranker": "no answer in 1 s"}, {"ranker": "no answer in 2 s"}, {"another": "no answer in 1 s"}),
        (UNREAD, {"ranker": "no answer in 1 s"}, {"ranker": "refused"}, {}),
        (("hosts", "gpu1", "signatures"), [{"unknown": "in 1 s"}], [{"unknown": "in 2 s"}], [{"unknown": ""}]),
        (("hosts", "gpu1", "further"), [f"x{UNDECIDED}1 s)"], [f"x{UNDECIDED}2 s)"], [f"y{UNDECIDED}1 s)"]),
    ],
)  # fmt: skip
def test_why_something_is_unknown_is_no_difference(way: Any, one: Any, same: Any, other: Any) -> None:
    """A reason has times and addresses in it, and is worded anew at each look; of what it is, is compared."""
    plans = [changed(MADE.plan, way, value) for value in (one, same, other)]
    stored = StoredPlan(MADE.inputs, MADE.wanted, MADE.observed, plans[0], MADE.made_at, MADE.made_by)
    agreement.check_fleet(stored, MADE.wanted, MADE.observed, plans[1], again="again")
    with pytest.raises(PlanOutdated, match="otherwise"):
        agreement.check_fleet(stored, MADE.wanted, MADE.observed, plans[2], again="again")


TARGETS = {name: Target(sim_host(name), (desired(2),)) for name in NAMES}


def at_its_turn(stored: StoredPlan, seen: Any = SEEN, *, prepared: bool = False) -> HostPlan:
    """What becomes of a host that is seen when its turn comes."""
    plan = plan_host(sim_host("gpu1"), [desired(2)], seen, stamp="T1")
    return agreement.host_as_planned(stored, TARGETS, plan, prepared=prepared, redactor=Redactor())


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("activation", "replace", "services.ranking.activation: replace -> reload"),
        (("container", "user"), "1:1", "services.ranking.container.user: 1:1 -> 65534:65534"),
        ("stage", [], "services.ranking.stage"),
    ],
)
def test_what_is_done_is_compared_by_itself(key: Any, value: Any, told: str, *, prepared: bool) -> None:
    """Where a host looks as it did and something else would be done all the same, it is refused."""
    assert at_its_turn(MADE, prepared=prepared).services
    way = (*SERVICE, *(key if isinstance(key, tuple) else (key,)))
    stored = StoredPlan(MADE.inputs, MADE.wanted, MADE.observed, changed(MADE.plan, way, value), "", "")
    (refusal,) = at_its_turn(stored, prepared=prepared).refusals
    assert refusal.message.startswith(f"changed since it was planned: {told}")


def test_what_this_run_has_put_in_place_is_no_difference() -> None:
    """The versions that were to be staged are there, and the host is drained; only for a host that is prepared."""
    service = SEEN.services["ranking"]
    assert isinstance(service.versions, Present)
    manifest = desired(2).models[0].versions[0].manifest
    new = VersionOnDisk(2, manifest.digest, {item.path: item.size_bytes for item in manifest.files})
    both = {**service.versions.value["ranker"], 2: new}
    staged = replace(service, versions=Present({"ranker": both}), drained_by=Present("run"))
    seen = replace(SEEN, services={"ranking": staged})
    assert at_its_turn(MADE, seen, prepared=True).refusals == ()
    assert "versions.ranker.2" in at_its_turn(MADE, seen).refusals[0].message


def test_a_host_that_is_refused_keeps_its_own_words() -> None:
    """What stands in the way by itself is what has to be mended, not that it was otherwise before."""
    seen = replace(SEEN, docker=Unknown("no answer"))
    plan = plan_host(sim_host("gpu1"), [desired(2)], seen, stamp="T1")
    assert plan.refusals
    assert at_its_turn(MADE, seen) == plan


def test_how_long_it_may_take_is_no_difference() -> None:
    """What earlier runs took is learnt anew from each of them."""
    wave = {"number": 1, "hosts": ["gpu1"], "seconds": 3.0, "seconds_at_least": False}
    plan = {**MADE.plan, "plays": [{"name": "x", "waves": [wave], "seconds": 3.0}]}
    later = {**plan, "seconds": 9.0, "plays": [{"name": "x", "waves": [{**wave, "seconds": 4.0}], "seconds": 8.0}]}
    stored = StoredPlan(MADE.inputs, MADE.wanted, MADE.observed, plan, MADE.made_at, MADE.made_by)
    agreement.check_fleet(stored, MADE.wanted, MADE.observed, later, again="again")
    later["plays"][0]["waves"][0]["hosts"] = ["gpu2"]
    with pytest.raises(PlanOutdated):
        agreement.check_fleet(stored, MADE.wanted, MADE.observed, later, again="again")
