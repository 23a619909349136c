"""Which run took a host out of its balancer behind the host's back: by this controller's ledger, or by a note that the
balancer has of it, which runs of other controllers leave there as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import PoolMember, Traffic
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import HostError
from fleetdeploy.rollout.debt.ledger import Debts, address_of

_DRAINED = frozenset({Traffic.DRAINING, Traffic.DRAINED})


@dataclass(frozen=True)
class Drains:
    """``noted`` is what balancers said, by the hosts' addresses; "" where a run has put the host back since. Their word
    counts more than the ledger's: another controller's run may have paid what that still remembers.
    """

    ledger: Debts
    noted: dict[str, str] = field(default_factory=dict)

    def by(self, host: Host) -> str:
        """The run; empty where none did. Raises InputError for a debt that cannot be read."""
        debt = self.ledger.of(host)
        known = debt.run if debt is not None and debt.drained else ""
        return self.noted.get(address_of(host), known)

    def hear(self, hosts: Iterable[Host], fleet: Fleet) -> frozenset[str]:
        """The names of those of whom the balancers' notes tell something that was not known. Asks each balancer once.

        One that cannot be asked says nothing here; whoever needs it tells of that.
        """
        pools: dict[tuple[str, ...], set[str]] = {}
        behind: dict[tuple[str, ...], list[tuple[Host, BalancerWish]]] = {}
        for host in hosts:
            if (wish := host.balancer) is not None:
                pools.setdefault(wish.place, set()).update(wish.all_pools)
                behind.setdefault(wish.place, []).append((host, wish))
        news = set()
        for place, its in behind.items():
            try:
                members = fleet.balancer(its[0][1]).members(tuple(sorted(pools[place])))
            except HostError:
                continue
            of: dict[str, list[PoolMember]] = {}
            for member in members:
                of.setdefault(member.server, []).append(member)
            for host, wish in its:
                said = _said(item for item in of.get(wish.server, ()) if item.pool in wish.all_pools)
                if said is not None and said != self.by(host):
                    self.noted[address_of(host)] = said
                    news.add(host.name)
        return frozenset(news)

    def forget(self, host: Host) -> str:
        """For good. The run of the note that there was, or "". Raises OSError."""
        self.ledger.forget(host)
        return self.noted.pop(address_of(host), "")


def _said(members: Iterable[PoolMember]) -> str | None:
    """Of one server that is drained somewhere: None where a drain has no note, and may be a person's."""
    notes = [member.noted for member in members if member.traffic in _DRAINED]
    if not notes or None in notes:
        return None
    return max(filter(None, notes), default="")
