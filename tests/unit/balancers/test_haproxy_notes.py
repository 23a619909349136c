"""HAProxy keeps a note of which run keeps a server out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleetdeploy.balancers.haproxy import HAProxy, notes
from fleetdeploy.domain.observed import Note, Traffic
from fleetdeploy.errors import BalancerFailed, LeaseLost
from tests.simulation.clock import VirtualClock

from .proxy import POOLS, Proxy, traffic

RUN = "20261123T010203Z-ab12"
OTHER = "20261123T010204Z-cd34"


def of(balancer: HAProxy, server: str) -> list[Note | None]:
    """Pool by pool."""
    return [member.note for member in balancer.noted(POOLS) if member.server == server]


def overheard(proxy: Proxy) -> tuple[HAProxy, list[str]]:
    """A client, and every line that it sends."""
    lines: list[str] = []
    return HAProxy(lambda line: (lines.append(line), proxy.exchange(line))[1], host="lb", clock=VirtualClock()), lines


def test_a_note_comes_and_ends_together_with_its_drain(proxy: Proxy) -> None:
    """In one exchange with the order, so that a controller may die between any two of them."""
    balancer, lines = overheard(proxy)
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    assert (of(balancer, "h1"), of(balancer, "h2")) == ([Note(RUN)] * 2, [None] * 2)
    balancer.undrain(POOLS, "h1", deadline_s=1)
    assert of(balancer, "h1") == [Note(RUN, paid=True)] * 2
    orders = [line for line in lines if "set server" in line]
    assert len(orders) == 4
    assert all(line.startswith("experimental-mode on; ") and "set var" in line for line in orders)
    balancer.undrain(POOLS, "h1", deadline_s=1)
    assert sum("set var" in line for line in lines) == 4, "once is enough"


def test_a_haproxy_without_variables_does_all_the_same_without_notes(proxy: Proxy, balancer: HAProxy) -> None:
    """One before 2.4 keeps a server out and puts it back; what it says about commands that it lacks is no error."""
    proxy.keeps_notes = False
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    assert (traffic(balancer, "h1"), of(balancer, "h1")) == ([Traffic.DRAINED] * 2, [None] * 2)
    balancer.undrain(POOLS, "h1", deadline_s=1)
    assert traffic(balancer, "h1") == [Traffic.UP] * 2
    assert proxy.commands == [f"set server {pool}/h1 state {state}" for state in ("drain", "ready") for pool in POOLS]


def test_what_was_refused_is_not_noted(proxy: Proxy, balancer: HAProxy) -> None:
    """HAProxy sets the variable and refuses the order behind it: whoever drains that server later is not that run."""
    proxy.refuse = "Permission denied"
    with pytest.raises(BalancerFailed):
        balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    assert of(balancer, "h1") == [Note(RUN, paid=True), None]


def test_what_is_refused_to_be_put_back_is_kept_out_as_before(proxy: Proxy, balancer: HAProxy) -> None:
    """Its note says so: its run's ledger is believed, and another controller finds it."""
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    proxy.refuse = "Permission denied"
    with pytest.raises(BalancerFailed):
        balancer.undrain(POOLS, "h1", deadline_s=1)
    assert of(balancer, "h1") == [Note(RUN)] * 2


def test_who_is_asked_for_members_alone_is_asked_once(proxy: Proxy) -> None:
    """A drain is waited for in many such looks."""
    balancer, lines = overheard(proxy)
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    lines.clear()
    assert {member.note for member in balancer.members(POOLS)} == {None}
    assert lines == ["show stat"]


def test_a_note_that_outlived_its_drain_is_struck(proxy: Proxy, balancer: HAProxy) -> None:
    """It says from then on that its debt is over; a server without one gets none."""
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    for pool in POOLS:
        proxy.admin[pool, "h1"] = "ready"
    for server in ("h1", "h2"):
        balancer.forget(POOLS, server, run=RUN)
    assert (of(balancer, "h1"), of(balancer, "h2")) == ([Note(RUN, paid=True)] * 2, [None] * 2)
    assert traffic(balancer, "h1") == [Traffic.UP] * 2


@pytest.mark.parametrize("run", [OTHER, RUN])
def test_nobody_strikes_a_note_of_another_run_or_of_a_drain_that_is_there(
    proxy: Proxy, balancer: HAProxy, run: str
) -> None:
    """It may have been made since a run heard of one that outlived its drain."""
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    if run == OTHER:
        for pool in POOLS:
            proxy.admin[pool, "h1"] = "ready"
    balancer.forget(POOLS, "h1", run=run)
    assert of(balancer, "h1") == [Note(RUN)] * 2


def test_a_drain_that_comes_between_two_questions_does_not_look_outlived(proxy: Proxy) -> None:
    """HAProxy is asked for servers and notes one after the other."""
    other, came = HAProxy(proxy.exchange, host="lb", clock=VirtualClock()), list[str]()

    def exchange(line: str) -> str:
        if line.startswith("get var") and not came:
            came.append(line)
            other.keep_out(POOLS, "h1", run=OTHER, deadline_s=1)
        return proxy.exchange(line)

    found = HAProxy(exchange, host="lb", clock=VirtualClock()).noted(POOLS)
    assert [(member.note, member.outlived) for member in found if member.server == "h1"] == [(Note(OTHER), False)] * 2


def test_a_pool_that_is_drained_already_is_left_as_it_is(proxy: Proxy, balancer: HAProxy) -> None:
    """That may be a person's; where the drain is the run's own it is noted."""
    proxy.admin["rest", "h1"] = "drain"
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    assert (traffic(balancer, "h1"), of(balancer, "h1")) == ([Traffic.DRAINED] * 2, [None, Note(RUN)])
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1, ours=True)
    assert of(balancer, "h1") == [Note(RUN)] * 2


def test_an_order_that_was_carried_out_is_not_said_to_be_refused(proxy: Proxy, balancer: HAProxy) -> None:
    """It is one line with its note, and HAProxy goes on in a line behind a command that failed."""
    real = proxy.part
    failed = "Failed to set the variable.\n\n"
    proxy.part = lambda command: failed if command.startswith("set var") else real(command)  # type: ignore[method-assign]
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    assert (traffic(balancer, "h1"), of(balancer, "h1")) == ([Traffic.DRAINED] * 2, [None] * 2)


def test_who_has_lost_the_lease_by_then_gives_no_order(proxy: Proxy) -> None:
    """The lease is asked for when nothing but the last look is left before the order."""
    lost = list[str]()

    def exchange(line: str) -> str:
        if line.startswith("get var"):  # here the controller stood still for longer than its lease holds
            lost.append(line)
        return proxy.exchange(line)

    def check() -> None:
        if lost:
            raise LeaseLost("another run has it")

    with pytest.raises(LeaseLost):
        HAProxy(exchange, host="lb", clock=VirtualClock()).undrain(POOLS, "h1", deadline_s=1, check=check)
    assert proxy.commands == []


def test_where_no_notes_are_wanted_no_variable_is_touched(proxy: Proxy) -> None:
    """``balancer.notes: false``, for a HAProxy that would not survive it."""
    lines: list[str] = []
    exchange = lambda line: (lines.append(line), proxy.exchange(line))[1]  # noqa: E731
    balancer = HAProxy(exchange, host="lb", clock=VirtualClock(), noting=False)
    balancer.keep_out(POOLS, "h1", run=RUN, deadline_s=1)
    assert of(balancer, "h1") == [None] * 2
    balancer.undrain(POOLS, "h1", deadline_s=1)
    balancer.forget(POOLS, "h1", run=RUN)
    assert traffic(balancer, "h1") == [Traffic.UP] * 2
    assert not [line for line in lines if " var " in line]


def many(noted: bool) -> tuple[Callable[[str], str], list[str]]:
    """A HAProxy with a note of every server that it is asked about, or that never had one."""
    lines: list[str] = []

    def exchange(line: str) -> str:
        lines.append(line)
        if not noted:
            return "Variable not found.\n\n" * len(line.split("; "))
        return "".join(f"{part.split()[-1]}: type=str value=<r1>\n" for part in line.split("; "))

    return exchange, lines


PLACES = [(f"a_pool_with_a_long_name_{at}", f"server-{at}.example.org") for at in range(1000)]


def test_notes_of_many_are_asked_for_in_lines_that_haproxy_reads() -> None:
    """Its buffer holds 16 KiB: a thousand servers are more than one line."""
    exchange, lines = many(noted=True)
    assert notes.read(exchange, PLACES) == dict.fromkeys(PLACES, Note("r1"))
    assert max(map(len, lines)) < 16_000


def test_where_nothing_was_ever_noted_one_question_is_enough() -> None:
    """However many servers there are."""
    exchange, lines = many(noted=False)
    assert notes.read(exchange, PLACES) == {}
    assert len(lines) == 1


@pytest.mark.parametrize("run", ["r1); set server rest/h1 state ready; x(", "a b", "ü", "", "-r1"])
def test_nothing_but_a_run_is_noted(run: str) -> None:
    """What could be a command of its own, or another note, never becomes part of one."""
    with pytest.raises(ValueError, match="is no run"):
        notes.write(("rest", "h1"), Note(run))
