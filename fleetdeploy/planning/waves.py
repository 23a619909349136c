"""Waves, the failure budget and the capacity that must stay in service: plain arithmetic over host names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleetdeploy.domain.playbook import Quantity


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

    def spent(self, failures: int) -> bool:
        """True when the rollout must stop: reaching the percentage counts, and 0 means the first failure."""
        return failures > 0 and failures * 100 >= self.max_fail_percentage * self.total


def may_take_out(host: str, *, out: frozenset[str], max_unavailable: int) -> bool:
    """Whether ``host`` may leave service while ``out`` are out already, those down before we began included.

    A host that is out already costs nothing more: repairing it is always allowed.
    """
    return host in out or len(out) < max_unavailable
