"""Whose a drain is, by the ledger and by what balancers note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from simulation.controller import sim_host
from simulation.debts import SimDebts
from simulation.world import POOLS

from fleetdeploy.domain.observed import Note, PoolMember, Traffic
from fleetdeploy.errors import BalancerFailed
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.rollout.debt.ledger import Debt, address_of

HOST = sim_host("gpu1")
OWED = Debt("gpu1", address_of(HOST), "mine", "2026-01-31T23:59:00Z", "it was off", drained=True)


@dataclass
class Balancers:
    """A fleet with one balancer, of which only the members are asked."""

    said: Sequence[PoolMember] = ()
    silent: bool = False
    asked: int = 0
    struck: list[tuple[str, str, str]] = field(default_factory=list)

    def balancer(self, _: object) -> Balancers:
        return self

    def noted(self, _: Sequence[str]) -> Sequence[PoolMember]:
        self.asked += 1
        if self.silent:
            raise BalancerFailed("the socket is gone")
        return self.said

    def forget(self, pools: Sequence[str], server: str, *, run: str) -> None:
        self.struck += [(pool, server, run) for pool in pools]


def hear(drains: Drains, balancers: Balancers, *hosts: Any) -> frozenset[str]:
    return drains.hear(hosts or (HOST,), balancers)  # type: ignore[arg-type]


def member(note: str | None, *, pool: str = POOLS[0], traffic: Traffic = Traffic.DRAINED) -> PoolMember:
    """``note`` is a run, behind a minus where its debt is paid."""
    told = Note(note.removeprefix("-"), note.startswith("-")) if note else None
    return PoolMember(pool, "gpu1", traffic, 0, 100, note=told)


def owing(run: str = "mine") -> Drains:
    return Drains(SimDebts(kept={OWED.address: replace(OWED, run=run)}))


def test_what_is_noted_is_forgotten_with_the_debt() -> None:
    """A host that has what it owed is nobody's drain any longer, whatever the balancer had said before."""
    drains = Drains(SimDebts())
    assert hear(drains, Balancers([member("theirs")])) == {"gpu1"}
    assert drains.by(HOST) == "theirs"
    assert drains.forget(HOST) == "theirs"
    assert (drains.by(HOST), drains.forget(HOST)) == ("", "")


def test_a_silent_balancer_says_nothing() -> None:
    """Then the ledger's word stands, and whoever needs the balancer tells of it."""
    drains = owing()
    assert hear(drains, Balancers(silent=True)) == frozenset()
    assert drains.by(HOST) == "mine"


def test_pools_that_are_not_the_hosts_say_nothing() -> None:
    """A server of that name in another pool may be anybody's."""
    assert hear(Drains(SimDebts()), Balancers([member("theirs"), member(None, pool="batch")])) == {"gpu1"}
    assert hear(Drains(SimDebts()), Balancers([member("theirs", pool="batch")])) == frozenset()


@pytest.mark.parametrize("other", [None, "-theirs"], ids=["no note", "a paid one"])
def test_a_drain_without_a_note_of_its_own_may_be_a_persons(other: str | None) -> None:
    """In one of its pools is enough: a host is put back in all of them. One that is up elsewhere is no such case."""
    members = [member("theirs"), member(other, pool=POOLS[1])]
    assert hear(Drains(SimDebts()), Balancers(members)) == frozenset()
    up = [members[0], replace(members[1], traffic=Traffic.UP)]
    assert hear(Drains(SimDebts()), Balancers(up)) == {"gpu1"}


@pytest.mark.parametrize("traffic", [Traffic.UP, Traffic.DOWN])
def test_a_note_that_outlived_its_drain_is_struck(traffic: Traffic) -> None:
    """It is no word on a host that somebody put back, and shall be none on the next drain, which is a person's."""
    drains, balancers = Drains(SimDebts()), Balancers([member("theirs", traffic=traffic)])
    assert hear(drains, balancers) == frozenset()
    drains.strike([HOST], balancers)  # type: ignore[arg-type]
    assert balancers.struck == [(POOLS[0], "gpu1", "theirs")]


@pytest.mark.parametrize("traffic", [Traffic.MAINTENANCE, Traffic.DRAINED])
def test_a_note_whose_drain_is_there_or_may_be_is_not_struck(traffic: Traffic) -> None:
    """Beneath a person's maintenance a drain may lie."""
    drains, balancers = Drains(SimDebts()), Balancers([member("theirs", traffic=traffic)])
    hear(drains, balancers)
    drains.strike([HOST], balancers)  # type: ignore[arg-type]
    assert balancers.struck == []


@pytest.mark.parametrize(("run", "by"), [("r1", ""), ("r2", ""), ("r3", "r3")], ids=["older", "same", "newer"])
@pytest.mark.parametrize("traffic", [Traffic.DRAINED, Traffic.UP])
def test_a_note_ends_debts_that_are_as_old(run: str, by: str, traffic: Traffic) -> None:
    """The ledger is believed of a newer one alone: its note may not have come about."""
    drains = owing(run)
    hear(drains, Balancers([member("-r2", traffic=traffic)]))
    assert drains.by(HOST) == by


@pytest.mark.parametrize("place", [0, 1])
def test_in_one_pool_a_persons_drain_is_heeded_where_a_run_noted_the_other(place: int) -> None:
    """Whatever the ledger says: a host is put back in all of its pools."""
    drains = owing("r1")
    pools = POOLS if place else POOLS[::-1]
    hear(drains, Balancers([member("r1", pool=pools[0]), member(None, pool=pools[1])]))
    assert drains.by(HOST) == ""


def test_what_is_known_already_is_no_news() -> None:
    """The controller that made the debt plans no host twice."""
    assert hear(owing(), Balancers([member("mine")])) == frozenset()
    assert hear(Drains(SimDebts()), Balancers([member("-mine")])) == frozenset()


def test_each_balancer_is_asked_once() -> None:
    """For all the hosts behind it; hosts without one ask nobody."""
    balancers = Balancers([member("theirs")])
    hear(Drains(SimDebts()), balancers, HOST, sim_host("gpu2"), replace(sim_host("gpu3"), balancer=None))
    assert balancers.asked == 1
