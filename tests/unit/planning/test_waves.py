"""Waves, the failure budget and the capacity rule: plain arithmetic."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.playbook import Order, Quantity
from fleetdeploy.planning.waves import FailureBudget, Floor, alternating, may_take_out, ordered, split

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


@settings(max_examples=25, deadline=None)
@given(hosts=HOSTS, order=st.sampled_from(Order), seed=st.integers(0, 9))
def test_an_order_keeps_every_host(hosts: list[str], order: Order, seed: int) -> None:
    """No order loses or doubles a host, and each is the same every time."""
    found = ordered(hosts, order, seed=seed)
    assert sorted(found) == sorted(hosts)
    assert found == ordered(hosts, order, seed=seed)


@settings(max_examples=50, deadline=None)
@given(hosts=HOSTS, data=st.data())
def test_domains_take_turns(hosts: list[str], data: st.DataObject) -> None:
    """Every host comes once; of any first hosts, no domain has two more than another that still has hosts to give."""
    domains = {name: data.draw(st.sampled_from("xyz")) for name in hosts}
    found = alternating(hosts, domains)
    assert sorted(found) == sorted(hosts)
    for end in range(len(found)):
        taken = Counter(domains[name] for name in found[:end])
        left = Counter(domains[name] for name in found[end:])
        assert all(taken[one] - taken[other] <= 1 for one in taken for other in left)


@pytest.mark.parametrize(
    ("least", "out", "denied"),
    [
        (Quantity(0), "", False),
        (Quantity(1), "", False),
        (Quantity(2), "", False),
        (Quantity(3), "", True),
        (Quantity(2), "b", True),
        (Quantity(3), "a", False),
        (Quantity(2), "z", False),
        (Quantity(34, True), "", False),
        (Quantity(67, True), "", True),
        (Quantity(34, True), "b", True),
    ],
)
def test_what_has_to_stay_in_service(least: Quantity, out: str, denied: bool) -> None:
    """Of the three hosts of a domain so many stay, a percentage rounded up; one that is out already costs nothing."""
    floor = Floor(("a", "b", "c", "z"), least, {"a": "r1", "b": "r1", "c": "r1", "z": "r2"})
    assert bool(floor.denies("a", out=set(out))) is denied
