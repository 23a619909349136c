"""Waves, the failure budget and the capacity that must stay in service: plain arithmetic over host names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from fleetdeploy.domain.playbook import Order, Quantity


def ordered(hosts: Sequence[str], order: Order, *, seed: int = 0) -> tuple[str, ...]:
    """The hosts in a play's order. See Ansible's guide "Controlling playbook execution", the keyword ``order``.

    >>> ordered(["b", "a", "c"], Order.REVERSE_SORTED)
    ('c', 'b', 'a')
    """
    if order is Order.SHUFFLE:
        return tuple(sorted(hosts, key=lambda name: sha256(f"{seed} {name}".encode()).digest()))
    found = sorted(hosts) if order in {Order.SORTED, Order.REVERSE_SORTED} else list(hosts)
    return tuple(reversed(found) if order in {Order.REVERSE_INVENTORY, Order.REVERSE_SORTED} else found)


def alternating(hosts: Sequence[str], domains: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts so that neighbours stand in different failure domains as long as there are any; else in their order.

    >>> alternating(["a", "b", "c"], {"a": "r1", "b": "r1", "c": "r2"})
    ('a', 'c', 'b')
    """
    seen: dict[str, int] = {}
    places: dict[str, int] = {}
    turns = []
    for name in hosts:
        domain = domains[name]
        seen[domain] = seen.get(domain, -1) + 1
        turns.append((seen[domain], places.setdefault(domain, len(places)), name))
    return tuple(name for *_, name in sorted(turns, key=lambda turn: turn[:2]))


def split(hosts: Sequence[str], serial: Sequence[Quantity]) -> tuple[tuple[str, ...], ...]:
    """The hosts in waves. As in Ansible, percentages are of all hosts and the last entry repeats.

    >>> split(["a", "b", "c"], [Quantity(1), Quantity(50, percent=True)])
    (('a',), ('b',), ('c',))
    """
    if not serial:
        return (tuple(hosts),) if hosts else ()
    waves, start, step = [], 0, 0
    while start < len(hosts):
        size = max(1, serial[min(step, len(serial) - 1)].of(len(hosts)))
        waves.append(tuple(hosts[start : start + size]))
        start, step = start + size, step + 1
    return tuple(waves)


@dataclass(frozen=True)
class FailureBudget:
    """How many hosts of a play may fail. Failed, unreachable and unhealthy hosts count alike."""

    total: int
    max_fail_percentage: int

    @property
    def most(self) -> int:
        """How many may fail before the rollout must stop."""
        return max(0, -(-self.max_fail_percentage * self.total // 100) - 1)

    def spent(self, failures: int) -> bool:
        """True when the rollout must stop: reaching the percentage counts, and 0 means the first failure."""
        return failures > 0 and failures * 100 >= self.max_fail_percentage * self.total


def may_take_out(host: str, *, out: frozenset[str], max_unavailable: int) -> bool:
    """Whether ``host`` may leave service while ``out`` are out already, those down before we began included.

    A host that is out already costs nothing more: repairing it is always allowed.
    """
    return host in out or len(out) < max_unavailable


@dataclass(frozen=True)
class Floor:
    """How many hosts of each failure domain stay in service. Without ``domains`` all hosts stand in one."""

    hosts: tuple[str, ...] = ()
    least: Quantity = Quantity(0)
    domains: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def members(self) -> Mapping[str, AbstractSet[str]]:
        """The hosts of each domain."""
        found: dict[str, set[str]] = {}
        for name in self.hosts:
            found.setdefault(self.domains.get(name, ""), set()).add(name)
        return found

    @property
    def in_service(self) -> int:
        """How many hosts of all domains have to stay in service."""
        return sum(self.least.at_least_of(len(members)) for members in self.members.values())

    def denies(self, host: str, *, out: AbstractSet[str]) -> str:
        """Why ``host`` may not leave service while ``out`` do not serve; empty where it may.

        A host that does not serve already costs its domain nothing.
        """
        if host in out or not self.least.amount:
            return ""
        domain = self.domains.get(host, "")
        members = self.members.get(domain, frozenset())
        least = self.least.at_least_of(len(members))
        left = len(members - out - {host})
        if left >= least:
            return ""
        where = f" of {domain}" if domain else ""
        return (
            f"min_available is {self.least}, which is {least} of the {len(members)} hosts{where}; {left} would be left"
        )
