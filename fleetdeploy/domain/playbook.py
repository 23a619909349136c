"""A playbook: plays in order, each with hosts, waves, a failure budget and a list of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.secret import Secret


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

    def at_least_of(self, total: int) -> int:
        """The count for ``total`` hosts where too few would be the careless side: a percentage is rounded up."""
        return -(-total * self.amount // 100) if self.percent else self.amount

    def __str__(self) -> str:
        return f"{self.amount}%" if self.percent else str(self.amount)


class OnFailure(str, Enum):
    """What happens to hosts when one fails: leave it, take that host back, or take back the whole run."""

    STOP = "stop"
    REVERT = "revert"
    REVERT_ALL = "revert_all"


class Order(str, Enum):
    """In which order a play comes to its hosts, by Ansible's names; ``shuffle`` goes by a seed, so that it repeats."""

    INVENTORY = "inventory"
    REVERSE_INVENTORY = "reverse_inventory"
    SORTED = "sorted"
    REVERSE_SORTED = "reverse_sorted"
    SHUFFLE = "shuffle"


@dataclass(frozen=True)
class When:
    """A condition over a host's variables and facts, as it stands in the playbook."""

    text: str
    origin: Origin = Origin("")


@dataclass(frozen=True)
class TaskCall:
    """A task as a play lists it: the task's name, its arguments (checked by the task), and where it stands.

    ``label`` is what the playbook calls it; ``tags`` are its own and those of its play and of what includes it; all of
    ``when`` must hold; ``delegate_to`` names the host it is done on instead. ``environment`` is that of its commands,
    its own over that of what includes it and of its play; ``sets_environment`` says that it has one of its own.
    """

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    origin: Origin = Origin("")
    label: str = ""
    tags: tuple[str, ...] = ()
    when: tuple[When, ...] = ()
    run_once: bool = False
    delegate_to: str = ""
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    sets_environment: bool = False

    @property
    def title(self) -> str:
        return self.label or self.name


@dataclass(frozen=True)
class Play:
    """One play. ``serial`` empty means all hosts at once; ``soak_s`` is waited between waves, in seconds;
    ``confirm_timeout_s``, unless 0, is how long a host waits for the word that all is well before it goes back.

    ``spread`` names the variable that says in which failure domain a host stands, ``min_available`` how many hosts of
    each domain stay in service. ``number`` is its place in the whole playbook, from 1 on; ``hosts_origin`` is where
    ``hosts`` is written, of a play that stands in a file.
    """

    name: str
    hosts: str
    tasks: tuple[TaskCall, ...]
    serial: tuple[Quantity, ...] = ()
    max_unavailable: Quantity = Quantity(1)
    max_fail_percentage: int = 0
    soak_s: float = 0.0
    confirm_timeout_s: float = 0.0
    on_failure: OnFailure = OnFailure.REVERT
    always: tuple[TaskCall, ...] = ()
    origin: Origin = Origin("")
    tags: tuple[str, ...] = ()
    order: Order = Order.INVENTORY
    seed: int = 0
    spread: str = ""
    min_available: Quantity = Quantity(0)
    variables: Mapping[str, object] = field(default_factory=dict)
    rescue: tuple[TaskCall, ...] = ()
    number: int = 0
    hosts_origin: Origin | None = None

    @property
    def all_tasks(self) -> tuple[TaskCall, ...]:
        return (*self.tasks, *self.rescue, *self.always)


@dataclass(frozen=True)
class Playbook:
    """A file of plays."""

    path: str
    plays: tuple[Play, ...]
