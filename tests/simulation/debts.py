"""The ledger of a controller of the simulation: what :class:`fleetdeploy.rollout.debt.ledger.Debts` does with files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fleetdeploy.domain.inventory import Host
from fleetdeploy.rollout.debt.ledger import Debt, Debts, address_of

NOWHERE = Path("/nowhere/debts")


@dataclass(frozen=True)
class SimDebts(Debts):
    """It outlives the runs of its controller, and is no other controller's."""

    directory: Path = NOWHERE
    kept: dict[str, Debt] = field(default_factory=dict)

    def of(self, host: Host) -> Debt | None:
        return self.kept.get(address_of(host))

    def everybodys(self) -> Iterator[tuple[Path, Debt]]:
        for address, debt in sorted(self.kept.items()):
            yield self.directory / address, debt

    def write(self, debt: Debt) -> None:
        self.kept[debt.address] = debt

    def forget(self, host: Host) -> None:
        self.kept.pop(address_of(host), None)
