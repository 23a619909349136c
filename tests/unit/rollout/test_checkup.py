"""The look that ``doctor`` takes: each host once, each balancer once, and nobody's silence hides another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fleetdeploy.domain.checkup import HostFacts
from fleetdeploy.domain.inventory import BalancerWish, Connection, Host
from fleetdeploy.domain.observed import Absent, ObservedHost, PoolMember, Present, Traffic, Unknown
from fleetdeploy.errors import BalancerFailed
from fleetdeploy.rollout.checkup import look
from fleetdeploy.rollout.debt.ledger import Debt, Debts, address_of

WISH = BalancerWish("haproxy", "lb", "/run/admin.sock", "gpu1", {"ranking": ("rest", "grpc")})
HOSTS = [
    Host("gpu1", Connection("10.0.0.1"), balancer=WISH),
    Host("gpu2", Connection("10.0.0.2"), balancer=replace(WISH, server="gpu2", pools={"ranking": ("rest",)})),
    Host("lb", Connection("10.0.0.3")),
]


class Scripted:
    """A balancer whose pool ``grpc`` is not there."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        self.asked.update(pools)
        if "grpc" in pools:
            raise BalancerFailed("there is no pool grpc", hint="mend it")
        return tuple(PoolMember(pool, name, Traffic.UP, 0, 1) for pool in pools for name in ("gpu1", "gpu2"))

    def obeys(self) -> bool:
        return False


def examined(host: Host) -> HostFacts:
    return HostFacts(host, ObservedHost(host.name, docker=Absent()))


def test_each_balancer_is_asked_once(tmp_path: Path) -> None:
    """However many hosts a balancer has, each of its pools is asked about once; a pool that it lacks costs only those
    hosts that need it.
    """
    balancer = Scripted()
    found = look(HOSTS, examined, lambda _: balancer, Debts(tmp_path), forks=3)  # type: ignore[arg-type, return-value]
    assert [facts.host.name for facts in found] == ["gpu1", "gpu2", "lb"]
    assert balancer.asked == {"rest": 1, "grpc": 1}
    assert found[0].members == Unknown("there is no pool grpc (mend it)")
    assert found[1].members == Present((PoolMember("rest", "gpu2", Traffic.UP, 0, 1),))
    assert found[2].members == Absent()
    assert found[0].balancer_obeys == Present(value=False)


def test_a_balancer_that_is_lost_is_unknown(tmp_path: Path) -> None:
    """Without a connection to the balancer's host its pools and its level are unknown, never empty."""

    def lost(_: BalancerWish) -> Scripted:
        raise BalancerFailed("no connection")

    found = look(HOSTS[:2], examined, lost, Debts(tmp_path), forks=1)  # type: ignore[arg-type]
    assert {facts.members for facts in found} | {facts.balancer_obeys for facts in found} == {Unknown("no connection")}


def test_what_a_host_owes_is_told(tmp_path: Path) -> None:
    """A debt that this controller has on record stands in the host's facts, and in no other's."""
    debts = Debts(tmp_path)
    debts.write(Debt("gpu2", address_of(HOSTS[1]), "run-1", "2026-01-01", "no SSH connection"))
    found = look(HOSTS, examined, lambda _: Scripted(), debts, forks=2)  # type: ignore[arg-type, return-value]
    assert [facts.owes for facts in found] == ["", "since 2026-01-01, no SSH connection", ""]
