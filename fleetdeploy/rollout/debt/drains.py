"""Which run took a host out of its balancer behind the host's back: by this controller's ledger, or by a note that the
balancer has of it, which runs of other controllers leave there as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import PoolMember, Traffic
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import HostError
from fleetdeploy.rollout.debt.ledger import Debts, address_of
from fleetdeploy.rollout.pool_members import members_of

_DRAINED = frozenset({Traffic.DRAINING, Traffic.DRAINED})


@dataclass(frozen=True)
class Drains:
    """What balancers said, by the hosts' addresses: ``kept_out`` the run that keeps a host out, ``paid`` runs whose
    debts somebody has paid since, so that a ledger that still has them is not believed. ``stale`` are notes of servers
    that somebody put back by hand: pools of one server each.
    """

    ledger: Debts
    kept_out: dict[str, str] = field(default_factory=dict)
    paid: dict[str, frozenset[str]] = field(default_factory=dict)
    stale: list[tuple[BalancerWish, tuple[str, ...]]] = field(default_factory=list)

    def by(self, host: Host) -> str:
        """The run; empty where none did. Raises InputError for a debt that cannot be read."""
        address, debt = address_of(host), self.ledger.of(host)
        if debt is not None and debt.drained and debt.run not in self.paid.get(address, ()):
            return debt.run
        return self.kept_out.get(address, "")

    def hear(self, hosts: Iterable[Host], fleet: Fleet) -> frozenset[str]:
        """The names of those of whom the balancers' notes tell something that was not known. Asks each balancer once.

        One that cannot be asked says nothing here; whoever needs it tells of that.
        """

        def ask(wish: BalancerWish, pools: Sequence[str]) -> Sequence[PoolMember]:
            with suppress(HostError):
                return fleet.balancer(wish).noted(pools)
            return ()

        by_name = {host.name: host for host in hosts if host.balancer is not None}
        before = {name: self.by(host) for name, host in by_name.items()}
        for name, members in members_of(by_name, ask).items():
            self._note(by_name[name], members)
        return frozenset(name for name, host in by_name.items() if self.by(host) != before[name])

    def _note(self, host: Host, members: Sequence[PoolMember]) -> None:
        self.paid[address_of(host)] = frozenset(item.note.run for item in members if item.note and item.note.paid)
        drained = [item for item in members if item.traffic in _DRAINED]
        runs = {item.note.run if item.note and not item.note.paid else "" for item in drained}
        if runs and "" not in runs:  # in a pool without a note it may be a person's
            self.kept_out[address_of(host)] = max(runs)
        if host.balancer and (stale := tuple(_outlived(members))):
            self.stale.append((host.balancer, stale))

    def strike(self, fleet: Fleet) -> None:
        """Take back notes that outlived their drains, so that the next drain, a person's, is not taken for a run's.

        Where that fails they are met again.
        """
        for wish, pools in self.stale:
            with suppress(HostError):
                fleet.balancer(wish).forget(pools, wish.server)
        self.stale.clear()

    def forget(self, host: Host) -> str:
        """For good. The run that a note told of, or "". Raises OSError."""
        self.ledger.forget(host)
        return self.kept_out.pop(address_of(host), "")


def _outlived(members: Iterable[PoolMember]) -> Iterator[str]:
    """Pools in which a server gets requests, or would if it were healthy, although a note says that it is kept out.

    In maintenance a drain may lie beneath.
    """
    for item in members:
        if item.note and not item.note.paid and item.traffic in {Traffic.UP, Traffic.DOWN}:
            yield item.pool
