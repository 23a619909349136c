"""What stays in service through a wave, held against every order in which hosts could leave and come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import sim_host

from fleetdeploy.domain.forecast import Expected, together
from fleetdeploy.domain.playbook import Play, Quantity
from fleetdeploy.planning.waves import may_take_out
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.foresight.durations import Durations
from fleetdeploy.rollout.foresight.parts import Part
from fleetdeploy.rollout.foresight.wave_capacity import Standings, seconds_of
from fleetdeploy.rollout.work import Call, Work
from fleetdeploy.tasks import registry

HOSTS = tuple("abcde")


def part(host: str, *tasks: str) -> Part:
    """A host's part, as far as anybody asks for it here."""
    plan = SimpleNamespace(desired=SimpleNamespace(name="ranking"))
    works = (Work(Call(registry()[task], SimpleNamespace()), plan, task) for task in tasks)  # type: ignore[arg-type]
    return Part(host, tuple(works))


def play_of(domains: Mapping[str, str], allowed: int, least: Quantity) -> BoundPlay:
    play = Play("p", "all", (), max_unavailable=Quantity(allowed), min_available=least)
    return BoundPlay(play, HOSTS, {name: sim_host(name) for name in HOSTS}, (), (), domains)


def lowest(bound: BoundPlay, busy: Sequence[str], *, out: set[str], new: set[str], forks: int) -> int:
    """The fewest that serve in any course that capacity allows, by trying them all."""
    done: set[tuple[frozenset[str], frozenset[str], frozenset[str]]] = set()
    todo = [(frozenset(out), frozenset(new), frozenset[str]())]
    fewest = len(HOSTS)
    while todo:
        here = todo.pop()
        if here in done:
            continue
        done.add(here)
        away, unborn, over = here
        fewest = min(fewest, len(HOSTS) - len(away | unborn))
        for name in busy:
            if name in over:
                continue
            if name in away or name in unborn:
                todo.append((away - {name}, unborn - {name}, over | {name}))
            elif (
                len(away - out) < forks
                and may_take_out(name, out=away, max_unavailable=bound.max_unavailable)
                and not bound.floor.denies(name, out=away | unborn)
            ):
                todo.append((away | {name}, unborn, over))
    return fewest


@settings(deadline=None, max_examples=200)
@given(
    racks=st.lists(st.sampled_from(["r1", "r2"]), min_size=len(HOSTS), max_size=len(HOSTS)),
    spread=st.booleans(),
    allowed=st.integers(1, 5),
    least=st.builds(Quantity, st.integers(0, 3)) | st.builds(Quantity, st.sampled_from([34, 67]), st.just(True)),
    busy=st.sets(st.sampled_from(HOSTS), min_size=1),
    out=st.sets(st.sampled_from(HOSTS), max_size=2),
    new=st.sets(st.sampled_from(HOSTS), max_size=2),
    forks=st.integers(1, 5),
)
def test_the_lowest_number_is_exact(
    *, racks: list[str], spread: bool, allowed: int, least: Quantity, busy: set[str], out: set[str], new: set[str],
    forks: int,
) -> None:  # fmt: skip
    """It is reached in some course of the wave, and no course goes below it."""
    bound = play_of(dict(zip(HOSTS, racks, strict=True)) if spread else {}, allowed, least)
    names, fresh = sorted(busy), new - out
    standings = Standings(bound, out=out, new=fresh, forks=forks)
    wave = [part(name, "activate") for name in names]
    found = standings.wave(wave)
    assert found.before == len(HOSTS) - len(out | fresh)
    assert found.lowest == lowest(bound, names, out=out, new=fresh, forks=forks)
    assert set(found.taken_out) == busy - out - fresh
    standings.after(wave)
    assert standings.wave([]).before == len(HOSTS) - len((out | fresh) - busy)


def test_what_touches_no_traffic_takes_nothing_out() -> None:
    """Copying files leaves every host in service, and repairs none."""
    standings = Standings(play_of({}, 5, Quantity(0)), out={"a"}, new={"b"}, forks=5)
    wave = [part(name, "stage", "prune") for name in HOSTS]
    assert (standings.wave(wave).taken_out, standings.wave(wave).lowest) == ((), 3)
    standings.after(wave)
    assert standings.wave(wave).before == 3


def test_the_domain_that_comes_closest_is_named() -> None:
    """Of the racks that a wave takes hosts from, the one with the least beyond what has to stay."""
    racks = {"a": "r1", "b": "r1", "c": "r1", "d": "r2", "e": "r2"}
    standings = Standings(play_of(racks, 5, Quantity(1)), out=(), new=(), forks=5)
    domain = standings.wave([part("a", "drain"), part("d", "drain")]).domain
    assert domain is not None
    assert (domain.name, domain.lowest, domain.total, domain.least) == ("r2", 1, 2, 1)


class Known(Durations):
    """Every task takes as many seconds as its name has letters; nobody has seen a ``prune``."""

    def of(self, work: Work, host: str) -> float | None:  # noqa: ARG002
        return None if work.name == "prune" else float(len(work.name))


@pytest.mark.parametrize(
    ("forks", "places", "seconds"),
    [(5, 5, 13.0), (5, 1, 5.0 + 5 * 8), (1, 5, 5 * 13.0), (2, 5, 3 * 13.0), (5, 2, 5.0 + 3 * 8)],
)
def test_hosts_side_by_side(forks: int, places: int, seconds: float) -> None:
    """Five hosts that stage (5 s) and activate (8 s): at most ``forks`` at a time, and ``places`` of them out."""
    wave = [part(name, "stage", "activate") for name in HOSTS]
    assert seconds_of(wave, Known(), forks=forks, side_by_side=places) == Expected(seconds)
    assert seconds_of(wave, Known(), forks=5, side_by_side=1, free=HOSTS) == Expected(13.0)
    back = [part(name, "undrain") for name in HOSTS]
    assert seconds_of(back, Known(), forks=5, side_by_side=1) == Expected(7.0), "who is put back waits for no room"


def test_what_is_not_known_is_said() -> None:
    """Partly known is at least so much; of nothing known nothing is said; nothing to do takes no time."""
    assert seconds_of([part("a", "stage", "prune")], Known(), forks=1, side_by_side=1) == Expected(5.0, at_least=True)
    assert seconds_of([part("a", "prune")], Known(), forks=1, side_by_side=1) is None
    assert seconds_of([part("a")], Known(), forks=1, side_by_side=1) == Expected(0.0)


def test_what_follows_one_another_is_summed() -> None:
    """Unknown parts make the sum a least one, and nothing but unknown parts make none."""
    assert together([Expected(1.0), Expected(2.0)], more_s=4.0) == Expected(7.0)
    assert together([Expected(1.0), None]) == Expected(1.0, at_least=True)
    assert together([Expected(1.0, at_least=True), Expected(1.0)]) == Expected(2.0, at_least=True)
    assert together([None, None], more_s=4.0) is None
    assert together([]) is None
