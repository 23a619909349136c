"""Which run took a host out of its balancer behind the host's back: by a note that the balancer has of it, as runs of
other controllers leave there too, or by this controller's ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import TOLD_TO_DRAIN, PoolMember
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import HostError, PreflightRefused
from fleetdeploy.rollout.debt.ledger import Debts, address_of
from fleetdeploy.rollout.naming import named
from fleetdeploy.rollout.pool_members import members_of


@dataclass(frozen=True)
class Heard:
    """What a balancer said of a host: ``run`` keeps it out, ``newest`` is the last run that has left a note, whether it
    still does or not. ``silent`` is a balancer that could not be asked. ``outlived`` are notes, by pool and run, of a
    server that somebody put back by hand.
    """

    run: str = ""
    newest: str = ""
    silent: bool = False
    outlived: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Drains:
    """``ledger`` is this controller's; where there is a note as new as its debt, by the runs' ids, which begin with
    their time, it is not believed: somebody may have paid that debt since, and made others. ``heard`` is what balancers
    said when they were last asked, by the hosts' addresses.
    """

    ledger: Debts
    heard: dict[str, Heard] = field(default_factory=dict)

    def by(self, host: Host) -> str:
        """The run; empty where none did. Raises InputError for a debt that cannot be read."""
        heard, owed = self._heard(host), self._owed(host)
        return owed if owed > heard.newest else heard.run

    def hear(self, hosts: Iterable[Host], fleet: Fleet) -> frozenset[str]:
        """The names of those of whom the balancers' notes tell something that was not known. Asks each balancer once.

        One that cannot be asked says nothing here; whoever needs it tells of that.
        """
        by_name = {host.name: host for host in hosts if host.balancer is not None}
        before = {name: self.by(host) for name, host in by_name.items()}
        silent = set[tuple[str, str, str]]()

        def ask(wish: BalancerWish, pools: Sequence[str]) -> Sequence[PoolMember]:
            try:
                return fleet.balancer(wish).noted(pools)
            except HostError:
                silent.add(wish.place)
            return ()

        for name, members in members_of(by_name, ask).items():
            wish = by_name[name].balancer
            of_it = Heard(silent=True) if wish and wish.place in silent else _heard(members)
            self.heard[address_of(by_name[name])] = of_it
        return frozenset(name for name, host in by_name.items() if self.by(host) != before[name])

    def hear_again(self, hosts: Sequence[Host], fleet: Fleet) -> None:
        """Right before anything is changed, when no other run can: a person may have been asked meanwhile.

        Raises PreflightRefused where it is no longer known whose a drain is, or another's than it was.
        """
        news = self.hear(hosts, fleet)
        for host in hosts:
            if self._heard(host).silent and host.balancer and (run := self._owed(host)):
                raise PreflightRefused(
                    f"{host.name}: its balancer cannot be asked whether it is still run {run} that keeps it out",
                    where=host.balancer.host,
                    hint="nothing was touched; mend the balancer first",
                )
        if news:
            raise PreflightRefused(
                f"{named(sorted(news))}: whom the balancer keeps out, and for which run, has changed meanwhile",
                hint="nothing was touched; run again",
            )

    def strike(self, hosts: Iterable[Host], fleet: Fleet) -> None:
        """Take back notes that outlived their drains, so that the next drain, a person's, is not taken for a run's.

        Where that fails they are met again.
        """
        for host in hosts:
            for pool, run in self._heard(host).outlived:
                if (wish := host.balancer) is not None:
                    try:
                        fleet.balancer(wish).forget([pool], wish.server, run=run)
                    except HostError:
                        continue

    def forget(self, host: Host) -> str:
        """For good. The run that a note told of, or "". Raises OSError."""
        self.ledger.forget(host)
        return self.heard.pop(address_of(host), Heard()).run

    def _heard(self, host: Host) -> Heard:
        return self.heard.get(address_of(host), Heard())

    def _owed(self, host: Host) -> str:
        """The run that drained it by the ledger alone."""
        debt = self.ledger.of(host)
        return debt.run if debt is not None and debt.drained else ""


def _heard(members: Sequence[PoolMember]) -> Heard:
    # A pool in which it is drained without a note that is open: that may be a person's.
    runs = {
        item.note.run if item.note and not item.note.paid else "" for item in members if item.traffic in TOLD_TO_DRAIN
    }
    return Heard(
        max(runs) if runs and "" not in runs else "",
        newest=max((item.note.run for item in members if item.note), default=""),
        outlived=tuple((item.pool, item.note.run) for item in members if item.note and item.outlived),
    )
