"""What holds for waves, their order and the failure budget, whatever a play asks for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.playbook import Order, Quantity
from fleetdeploy.planning.waves import FailureBudget, Floor, alternating, may_take_out, ordered, split

PROPERTY = settings.get_profile("property")
HOSTS = st.lists(st.text("abc123", min_size=1), unique=True, max_size=30)
QUANTITIES = st.builds(Quantity, st.integers(0, 40), st.booleans())
SERIAL = st.lists(QUANTITIES, max_size=4)
DOMAINS = st.sampled_from("xyz")


@PROPERTY
@given(hosts=HOSTS, serial=SERIAL)
def test_no_wave_is_larger_than_serial_says(hosts: list[str], serial: list[Quantity]) -> None:
    """Each wave has what its entry says, a share cut off and at least one; only the last one may be short."""
    waves = split(hosts, serial)
    entries = [*serial, *serial[-1:] * len(hosts)] if serial else [Quantity(100, percent=True)]
    allowed = [
        max(1, int(len(hosts) * entry.amount / 100) if entry.percent else entry.amount)
        for entry in entries[: len(waves)]
    ]
    sizes = [len(wave) for wave in waves]
    assert len(sizes) == len(allowed)
    assert all(size <= most for size, most in zip(sizes, allowed, strict=True))
    assert sizes[:-1] == allowed[:-1]


@PROPERTY
@given(hosts=HOSTS, order=st.sampled_from(Order), seed=st.integers(0, 3), serial=SERIAL, data=st.data())
def test_a_play_s_order_and_waves_lose_nobody(
    hosts: list[str], order: Order, seed: int, serial: list[Quantity], data: st.DataObject
) -> None:
    """Ordered, spread over domains and cut into waves, every host is still there, exactly once."""
    domains = {name: data.draw(DOMAINS) for name in hosts}
    waves = split(alternating(ordered(hosts, order, seed=seed), domains), serial)
    assert sorted(name for wave in waves for name in wave) == sorted(hosts)


@PROPERTY
@given(hosts=HOSTS, seed=st.integers(0, 3), data=st.data())
def test_the_order_of_hosts_as_given_decides_only_what_it_is_asked_to(
    hosts: list[str], seed: int, data: st.DataObject
) -> None:
    """Sorted and shuffled orders are the same for any inventory of the same hosts, and reversed ones are mirrored."""
    mixed = data.draw(st.permutations(hosts))
    for order in (Order.SORTED, Order.REVERSE_SORTED, Order.SHUFFLE):
        assert ordered(mixed, order, seed=seed) == ordered(hosts, order, seed=seed)
    assert ordered(hosts, Order.INVENTORY) == tuple(hosts)
    for order, mirrored in ((Order.INVENTORY, Order.REVERSE_INVENTORY), (Order.SORTED, Order.REVERSE_SORTED)):
        assert ordered(mixed, mirrored) == ordered(mixed, order)[::-1]


@PROPERTY
@given(hosts=HOSTS, data=st.data())
def test_spreading_keeps_a_domain_s_order_and_reads_no_names(hosts: list[str], data: st.DataObject) -> None:
    """Hosts of one domain stay in their order, and what the domains are called makes no difference."""
    domains = {name: data.draw(DOMAINS) for name in hosts}
    renamed = {name: {"x": "9", "y": "5", "z": "7"}[domain] for name, domain in domains.items()}
    found = alternating(hosts, domains)
    assert alternating(hosts, renamed) == found
    for domain in "xyz":
        assert [name for name in found if domains[name] == domain] == [n for n in hosts if domains[n] == domain]


@PROPERTY
@given(
    total=st.integers(1, 2000),
    percentage=st.integers(0, 100),
    failures=st.integers(0, 2000),
    more=st.integers(0, 50),
    larger=st.integers(0, 100),
)
def test_a_spent_budget_stays_spent(*, total: int, percentage: int, failures: int, more: int, larger: int) -> None:
    """More failures, a smaller share or fewer hosts never un-stop; no failure never stops."""
    spent = FailureBudget(total, percentage).spent(failures)
    assert not FailureBudget(total, percentage).spent(0)
    if spent:
        assert FailureBudget(total, percentage).spent(failures + more)
        assert FailureBudget(total, max(0, percentage - larger)).spent(failures)
        assert FailureBudget(max(1, total - more), percentage).spent(failures)


@PROPERTY
@given(
    racks=st.lists(DOMAINS, min_size=1, max_size=12),
    least=QUANTITIES,
    most=st.integers(0, 4),
    data=st.data(),
)
def test_one_more_out_never_lets_more_out(racks: list[str], least: Quantity, most: int, data: st.DataObject) -> None:
    """A host that may not leave while some are out may not leave while more are, unless it is one of them."""
    names = [f"h{at}" for at in range(len(racks))]
    domains: Mapping[str, str] = dict(zip(names, racks, strict=True))
    floor = Floor(tuple(names), least, domains)
    growing = data.draw(st.permutations(names))
    host = data.draw(st.sampled_from(names))
    answers = []
    for count in range(len(growing) + 1):
        out = frozenset(growing[:count]) - {host}
        room = may_take_out(host, out=out, max_unavailable=most)
        denied = floor.denies(host, out=out)
        answers.append(room and not denied)
        members = {name for name in names if domains[name] == domains[host]}
        if not denied:
            left = len(members - out - {host})
            assert not least.amount or left * 100 >= least.amount * (len(members) if least.percent else 100)
    assert all(not later or earlier for earlier, later in pairwise(answers))
