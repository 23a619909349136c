"""Whose a drain is, by the ledger and by what balancers note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from simulation.controller import sim_host
from simulation.debts import SimDebts
from simulation.world import POOLS

from fleetdeploy.domain.observed import PoolMember, Traffic
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

    def balancer(self, _: object) -> Balancers:
        return self

    def members(self, _: Sequence[str]) -> Sequence[PoolMember]:
        self.asked += 1
        if self.silent:
            raise BalancerFailed("the socket is gone")
        return self.said


def hear(drains: Drains, balancers: Balancers, *hosts: Any) -> frozenset[str]:
    return drains.hear(hosts or (HOST,), balancers)  # type: ignore[arg-type]


def member(noted: str | None, *, pool: str = POOLS[0], traffic: Traffic = Traffic.DRAINED) -> PoolMember:
    return PoolMember(pool, "gpu1", traffic, 0, 100, noted=noted)


def test_what_is_noted_is_forgotten_with_the_debt() -> None:
    """A host that has what it owed is nobody's drain any longer, whatever the balancer had said before."""
    drains = Drains(SimDebts())
    assert hear(drains, Balancers([member("theirs")])) == {"gpu1"}
    assert drains.by(HOST) == "theirs"
    assert drains.forget(HOST) == "theirs"
    assert (drains.by(HOST), drains.forget(HOST)) == ("", "")


def test_a_silent_balancer_says_nothing() -> None:
    """Then the ledger's word stands, and whoever needs the balancer tells of it."""
    drains = Drains(SimDebts(kept={OWED.address: OWED}))
    assert hear(drains, Balancers(silent=True)) == frozenset()
    assert drains.by(HOST) == "mine"


def test_pools_that_are_not_the_hosts_say_nothing() -> None:
    """A server of that name in another pool may be anybody's."""
    drains = Drains(SimDebts())
    assert hear(drains, Balancers([member("theirs"), member(None, pool="batch")])) == {"gpu1"}
    assert hear(Drains(SimDebts()), Balancers([member("theirs", pool="batch")])) == frozenset()


def test_only_a_drain_has_a_note_that_counts() -> None:
    """One that outlived its drain is no word on a host that gets its requests."""
    assert hear(Drains(SimDebts()), Balancers([member("theirs", traffic=Traffic.UP)])) == frozenset()


def test_a_note_that_was_taken_away_ends_what_the_ledger_says() -> None:
    """A drain of today is not the one that was remembered."""
    drains = Drains(SimDebts(kept={OWED.address: OWED}))
    assert hear(drains, Balancers([member("")])) == {"gpu1"}
    assert drains.by(HOST) == ""


def test_what_is_known_already_is_no_news() -> None:
    """The controller that made the debt looks at no host twice."""
    assert hear(Drains(SimDebts(kept={OWED.address: OWED})), Balancers([member("mine")])) == frozenset()
    assert hear(Drains(SimDebts()), Balancers([member("")])) == frozenset()


def test_each_balancer_is_asked_once() -> None:
    """For all the hosts behind it; hosts without one ask nobody."""
    balancers = Balancers([member("theirs")])
    hear(Drains(SimDebts()), balancers, HOST, sim_host("gpu2"), replace(sim_host("gpu3"), balancer=None))
    assert balancers.asked == 1
