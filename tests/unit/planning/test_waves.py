"""Waves, the failure budget and the capacity rule: plain arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.planning.waves import FailureBudget, may_take_out, split

HOSTS = st.lists(st.text("abc123", min_size=1), unique=True, max_size=30)
SIZES = st.lists(st.builds(Quantity, st.integers(0, 120), st.booleans()), max_size=4)


@settings(max_examples=25, deadline=None)
@given(hosts=HOSTS, serial=SIZES)
def test_waves_partition_the_hosts_in_order(hosts: list[str], serial: list[Quantity]) -> None:
    """Every host is in exactly one wave, in the order given, and no wave is empty."""
    waves = split(hosts, serial)
    assert [name for wave in waves for name in wave] == hosts
    assert all(waves)


@pytest.mark.parametrize(
    ("total", "serial", "sizes"),
    [
        (10, [], [10]),
        (0, [], []),
        (10, [Quantity(3)], [3, 3, 3, 1]),
        (10, [Quantity(1), Quantity(5)], [1, 5, 4]),
        (10, [Quantity(1), Quantity(10, True), Quantity(50, True)], [1, 1, 5, 3]),
        (10, [Quantity(100, True)], [10]),
        # As Ansible's pct_to_int: cut off, never below one.
        (9, [Quantity(30, True)], [2, 2, 2, 2, 1]),
        (3, [Quantity(1, True)], [1, 1, 1]),
        (1000, [Quantity(33, True)], [330, 330, 330, 10]),
        (2, [Quantity(99)], [2]),
    ],
)
def test_serial_counts_as_ansible_does(total: int, serial: list[Quantity], sizes: list[int]) -> None:
    """Percentages are of all hosts, cut off, at least one; the last entry repeats."""
    assert [len(wave) for wave in split([str(number) for number in range(total)], serial)] == sizes


@pytest.mark.parametrize(
    ("quantity", "total", "count"),
    [(Quantity(1), 10, 1), (Quantity(0), 10, 0), (Quantity(25, True), 10, 2), (Quantity(1, True), 10, 1),
     (Quantity(0, True), 10, 0), (Quantity(100, True), 7, 7)],
)  # fmt: skip
def test_a_quantity_of_hosts(quantity: Quantity, total: int, count: int) -> None:
    """A percentage that is not 0 is at least one host; 0 stays 0."""
    assert quantity.of(total) == count


@pytest.mark.parametrize(
    ("percentage", "total", "failures", "spent"),
    [(0, 10, 0, False), (0, 10, 1, True), (0, 2000, 1, True), (30, 10, 2, False), (30, 10, 3, True),
     (100, 3, 2, False), (100, 3, 3, True)],
)  # fmt: skip
def test_the_failure_budget(percentage: int, total: int, failures: int, spent: bool) -> None:
    """Reaching the percentage stops the rollout; with 0 the first failure does, however large the fleet."""
    assert FailureBudget(total, percentage).spent(failures) is spent


@settings(max_examples=25, deadline=None)
@given(out=st.frozensets(st.sampled_from("abcdef")), host=st.sampled_from("abcdef"), most=st.integers(0, 6))
def test_taking_a_host_out_never_exceeds_the_capacity(out: frozenset[str], host: str, most: int) -> None:
    """A host may leave only when at most ``max_unavailable`` are out then; one that is out already costs nothing."""
    if may_take_out(host, out=out, max_unavailable=most):
        assert host in out or len(out | {host}) <= most
    else:
        assert len(out) >= most
