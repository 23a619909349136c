"""A playbook: plays in order, each with hosts, waves, a failure budget and a list of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from fleetdeploy.domain.origin import Origin


@dataclass(frozen=True)
class Quantity:
    """A count of hosts, or a percentage of the play's hosts."""

    amount: int
    percent: bool = False

    def of(self, total: int) -> int:
        """The count for ``total`` hosts. As Ansible does for ``serial``, a percentage never rounds to 0."""
        if not self.percent:
            return self.amount
        return max(1, total * self.amount // 100) if self.amount else 0

    def __str__(self) -> str:
        return f"{self.amount}%" if self.percent else str(self.amount)


class OnFailure(str, Enum):
    """What happens to hosts when one fails: leave it, take that host back, or take back the whole run."""

    STOP = "stop"
    REVERT = "revert"
    REVERT_ALL = "revert_all"


@dataclass(frozen=True)
class TaskCall:
    """A task as a play lists it: the task's name, its arguments (checked by the task), and where it stands."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    origin: Origin = Origin("")


@dataclass(frozen=True)
class Play:
    """One play. ``serial`` empty means all hosts at once; ``soak_s`` is waited between waves, in seconds."""

    name: str
    hosts: str
    tasks: tuple[TaskCall, ...]
    serial: tuple[Quantity, ...] = ()
    max_unavailable: Quantity = Quantity(1)
    max_fail_percentage: int = 0
    soak_s: float = 0.0
    on_failure: OnFailure = OnFailure.REVERT
    always: tuple[TaskCall, ...] = ()
    origin: Origin = Origin("")


@dataclass(frozen=True)
class Playbook:
    """A file of plays."""

    path: str
    plays: tuple[Play, ...]
