"""The balancer: each case on a simulated one and on the lab's HAProxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from fleetdeploy.domain.balancer import Balancer
from fleetdeploy.domain.observed import Note, Traffic
from fleetdeploy.errors import BalancerFailed, InMaintenance
from tests.fleet.contract.places import HOST, IDLE, Place, Server
from tests.simulation.world import POOLS

SHORT_S = 0.5


def traffic(balancer: Balancer, server: str = HOST) -> list[Traffic]:
    """Pool by pool."""
    found = {member.pool: member.traffic for member in balancer.members(POOLS) if member.server == server}
    return [found[pool] for pool in POOLS]


def way_of(balancer: Balancer, way: str) -> Callable[..., None]:
    found: Callable[..., None] = getattr(balancer, way)
    return partial(found, run="r1") if way == "keep_out" else found


def noted(balancer: Balancer) -> list[Note | None]:
    """Pool by pool."""
    found = {member.pool: member.note for member in balancer.noted([*POOLS, "nowhere"]) if member.server == HOST}
    return [found[pool] for pool in POOLS]


@pytest.fixture
def balancer(place: Place, server: Server) -> Iterator[Balancer]:
    """One that holds the host for healthy, and was told nothing of any."""
    made = place.balancer()
    place.until(lambda: traffic(made) == [Traffic.UP] * 2, "the balancer finds the host healthy")
    yield made
    for each in (HOST, IDLE):
        place.operator(each, "ready")


def test_every_server_of_the_pools_is_told(balancer: Balancer) -> None:
    """Each in each pool: one that serves is up, one that does not is down; nothing is in flight."""
    found = balancer.members(POOLS)
    assert {member.pool for member in found} == set(POOLS)
    assert [member.sessions for member in found if member.server == HOST] == [0, 0]
    assert (traffic(balancer), traffic(balancer, IDLE)) == ([Traffic.UP] * 2, [Traffic.DOWN] * 2)
    assert {member.pool for member in balancer.members(POOLS[:1])} == {POOLS[0]}


@pytest.mark.parametrize("way", ["drain", "keep_out"])
def test_taken_out_and_put_back(balancer: Balancer, way: str) -> None:
    """Out of all its pools and back; said twice it is the same; nobody else is touched."""
    for _ in range(2):
        way_of(balancer, way)(POOLS, HOST, deadline_s=20)
        assert traffic(balancer) == [Traffic.DRAINED] * 2
    assert traffic(balancer, IDLE) == [Traffic.DOWN] * 2
    for _ in range(2):
        balancer.undrain(POOLS, HOST, deadline_s=20)
        assert traffic(balancer) == [Traffic.UP] * 2


def test_one_pool_alone(balancer: Balancer) -> None:
    """Only the pools that are named are drained. (In the lab the other way round would take both: one follows.)"""
    balancer.drain(POOLS[1:], HOST, deadline_s=20)
    assert traffic(balancer) == [Traffic.UP, Traffic.DRAINED]


@pytest.mark.parametrize("way", ["drain", "keep_out"])
def test_one_that_is_down_is_taken_out_too(balancer: Balancer, way: str) -> None:
    """It counts as drained, although nothing answers there."""
    way_of(balancer, way)(POOLS, IDLE, deadline_s=20)
    assert traffic(balancer, IDLE) == [Traffic.DRAINED] * 2


def test_one_that_is_down_is_not_back(balancer: Balancer) -> None:
    """BalancerFailed at the deadline; it is told all the same, and would get its requests once it is healthy."""
    balancer.drain(POOLS, IDLE, deadline_s=20)
    with pytest.raises(BalancerFailed):
        balancer.undrain(POOLS, IDLE, deadline_s=SHORT_S)
    assert traffic(balancer, IDLE) == [Traffic.DOWN] * 2


@pytest.mark.parametrize("way", ["drain", "keep_out", "undrain"])
def test_what_the_balancer_does_not_know_is_refused(balancer: Balancer, way: str) -> None:
    """A server that stands in none of the pools, and a pool that there is not: BalancerFailed, and nothing was told."""
    for pools, server in ((POOLS, "gpu9"), ((*POOLS, "nowhere"), HOST)):
        with pytest.raises(BalancerFailed):
            way_of(balancer, way)(pools, server, deadline_s=SHORT_S)
        assert traffic(balancer) == [Traffic.UP] * 2
    with pytest.raises(BalancerFailed):
        balancer.members(["nowhere"])


def test_a_drain_by_hand_is_seen(place: Place, balancer: Balancer) -> None:
    """What a person drained is told as drained; undrained it is back."""
    place.operator(HOST, "drain")
    assert traffic(balancer) == [Traffic.DRAINED] * 2
    balancer.undrain(POOLS, HOST, deadline_s=20)
    assert traffic(balancer) == [Traffic.UP] * 2


@pytest.mark.parametrize("way", ["drain", "undrain"])
@pytest.mark.parametrize("before", ["ready", "drain"])
def test_maintenance_by_hand_is_left_as_it_is(place: Place, balancer: Balancer, way: str, before: str) -> None:
    """Neither drained nor put back, whether we had drained the host before or not; who set it ends it."""
    if before == "drain":
        balancer.drain(POOLS, HOST, deadline_s=20)
    place.operator(HOST, "maint")
    with pytest.raises(InMaintenance) as refused:
        way_of(balancer, way)(POOLS, HOST, deadline_s=20)
    assert not refused.value.told
    assert "state ready" in refused.value.hint
    assert traffic(balancer) == [Traffic.MAINTENANCE] * 2
    place.operator(HOST, "ready")
    balancer.undrain(POOLS, HOST, deadline_s=20)
    assert traffic(balancer) == [Traffic.UP] * 2


@pytest.mark.parametrize(("way", "before"), [("drain", "ready"), ("undrain", "drain")])
def test_maintenance_that_comes_between_is_left_too(place: Place, balancer: Balancer, way: str, before: str) -> None:
    """It is looked for right before every pool is told, after what there was to check."""
    place.operator(HOST, before)
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 2:
            place.operator(HOST, "maint")

    with pytest.raises(InMaintenance) as refused:
        way_of(balancer, way)(POOLS, HOST, deadline_s=20, check=check)
    assert refused.value.told
    assert traffic(balancer) == [Traffic.MAINTENANCE] * 2


def test_who_keeps_a_server_out_is_noted_there(place: Place, balancer: Balancer) -> None:
    """By the last run whose drain it is, in every pool; once the server is put back the note says that this is over.
    Neither a drain by hand nor one by a run that has the host's own word for it changes a note.
    """
    place.operator(HOST, "drain")
    balancer.keep_out(POOLS, HOST, run="r0", deadline_s=20)
    assert not any(note and not note.paid for note in noted(balancer)), "it may be a person's"
    for run in ("r1", "r2"):
        balancer.keep_out(POOLS, HOST, run=run, deadline_s=20, ours=True)
        assert noted(balancer) == [Note(run)] * 2
    balancer.undrain(POOLS, HOST, deadline_s=20)
    assert noted(balancer) == [Note("r2", paid=True)] * 2
    balancer.drain(POOLS, HOST, deadline_s=20)
    assert noted(balancer) == [Note("r2", paid=True)] * 2


def test_a_note_of_a_server_that_a_person_put_back_is_struck(place: Place, balancer: Balancer) -> None:
    """By who meets that very note, and only then; nothing else changes by that."""
    balancer.keep_out(POOLS, HOST, run="r1", deadline_s=20)
    balancer.forget(POOLS, HOST, run="r1")
    place.operator(HOST, "ready")
    balancer.forget(POOLS, HOST, run="r0")
    assert noted(balancer) == [Note("r1")] * 2
    balancer.forget(POOLS, HOST, run="r1")
    assert noted(balancer) == [Note("r1", paid=True)] * 2
    assert traffic(balancer) == [Traffic.UP] * 2


def test_who_is_in_maintenance_is_out_already(place: Place, balancer: Balancer) -> None:
    """One that is to be kept out stays in maintenance."""
    place.operator(HOST, "maint")
    balancer.keep_out(POOLS, HOST, run="r1", deadline_s=20)
    assert traffic(balancer) == [Traffic.MAINTENANCE] * 2
