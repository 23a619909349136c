"""A rollback that is carried on: what it had found out holds, whatever hosts have proven since."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.observed import ProvenRelease
from fleetdeploy.planning.rollback import Goal, Key, Past, goals

SERVICES = ("tagging", "ranking")
HOSTS = ("gpu1", "gpu2", "gpu3")
KEYS = [(host, service) for host in HOSTS for service in SERVICES]


def past(key: Key, back: bool, *, kinds: dict[str, str]) -> Past:
    """Three releases were proven; who is ``back`` went from the third to the second. Hosts of a kind share contents."""
    releases = [
        ProvenRelease(f"T{number}-{key[1]}{kinds[key[0]]}{number}", {"m": (number,)}, "") for number in (1, 2, 3)
    ]
    if back:
        releases.append(ProvenRelease(f"T4-{key[1]}{kinds[key[0]]}2", {"m": (2,)}, f"{key[1]}{kinds[key[0]]}3"))
    return Past(tuple(releases), releases[-1].content_hash)


@given(
    kinds=st.fixed_dictionaries({host: st.sampled_from("ab") for host in HOSTS}),
    back=st.frozensets(st.sampled_from(KEYS)),
    unasked=st.frozensets(st.sampled_from(HOSTS)),
)
def test_however_far_it_came_all_services_end_where_it_would_have_brought_them(
    kinds: dict[str, str], back: frozenset[Key], unasked: frozenset[str]
) -> None:
    """Hosts of several kinds with several services, some back already; whom it could not ask makes one step."""
    begun = goals({key: past(key, False, kinds=kinds) for key in KEYS}, "")
    aims = {key: goal.content for key, goal in begun.items() if key[0] not in unasked}
    now = {key: past(key, key in back and key in aims, kinds=kinds) for key in KEYS}
    assert goals(now, "", aims) == begun


@pytest.mark.parametrize("wanted", ["", "a", "ranker=1"])
def test_an_aim_stands_above_what_was_typed(wanted: str) -> None:
    """What a name stood for when the run began is what it stands for."""
    releases = tuple(ProvenRelease(f"T{text}-{text}", {"ranker": (1,)}, "") for text in "abc")
    assert goals({("one", "s"): Past(releases, "c")}, wanted, {("one", "s"): "b"}) == {("one", "s"): Goal("b")}
