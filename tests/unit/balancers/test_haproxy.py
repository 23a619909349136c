"""Hosts are taken out of HAProxy and put back."""

from __future__ import annotations

import pytest

from fleetdeploy.balancers import kinds, make_balancer
from fleetdeploy.balancers.haproxy import HAProxy
from fleetdeploy.domain.observed import Traffic
from fleetdeploy.errors import BalancerFailed, BalancerSilent, InMaintenance, InputError, LeaseLost
from tests.simulation.clock import VirtualClock

from .proxy import POOLS, Proxy, traffic, way_of


def test_a_drain_ends_when_nothing_is_in_flight(proxy: Proxy, balancer: HAProxy) -> None:
    """A server is drained in every pool only once HAProxy itself reports no request in flight there."""
    proxy.sessions["rest", "h1"] = [2, 2, 1, 1, 0]
    balancer.drain(POOLS, "h1", deadline_s=5)
    assert proxy.commands == ["set server rest/h1 state drain", "set server grpc/h1 state drain"]
    assert proxy.sessions["rest", "h1"] == [0]
    assert traffic(balancer, "h1") == [Traffic.DRAINED, Traffic.DRAINED]
    assert traffic(balancer, "h2") == [Traffic.UP, Traffic.UP]


def test_a_late_request_is_waited_for(proxy: Proxy, balancer: HAProxy) -> None:
    """One look that shows nothing in flight is not enough: a request on its way shows up after it."""
    proxy.sessions["grpc", "h1"] = [1, 0, 1, 1, 0]
    balancer.drain(POOLS, "h1", deadline_s=5)
    assert proxy.sessions["grpc", "h1"] == [0]


def test_a_drain_that_does_not_end_is_taken_back(proxy: Proxy, balancer: HAProxy) -> None:
    """At the deadline the server gets its requests again and the error says what was still in flight."""
    proxy.sessions["rest", "h1"] = [3]
    with pytest.raises(BalancerFailed, match="rest: draining, 3 in flight") as failed:
        balancer.drain(POOLS, "h1", deadline_s=0.2)
    assert failed.value.where == "lb"
    assert traffic(balancer, "h1") == [Traffic.UP, Traffic.UP]


def test_a_lost_server_is_kept_out_with_requests_in_flight(proxy: Proxy, balancer: HAProxy) -> None:
    """Requests to a server that is gone may hang for a minute: that it gets no new ones is what counts."""
    proxy.sessions["rest", "h1"] = [3]
    balancer.keep_out(POOLS, "h1", run="r1", deadline_s=1)
    assert traffic(balancer, "h1") == [Traffic.DRAINING, Traffic.DRAINED]
    proxy.deaf = True
    with pytest.raises(BalancerFailed, match="not kept out in time"):
        balancer.keep_out(POOLS, "h2", run="r1", deadline_s=0.2)


def test_a_lost_server_in_maintenance_stays_there(proxy: Proxy, balancer: HAProxy) -> None:
    """It is out by somebody's word already: to drain it would take it out of maintenance."""
    proxy.admin["rest", "h1"] = "maint"
    balancer.keep_out(POOLS, "h1", run="r1", deadline_s=1)
    assert traffic(balancer, "h1") == [Traffic.MAINTENANCE, Traffic.DRAINED]


def test_a_silent_haproxy_is_asked_again_to_put_a_host_back(proxy: Proxy) -> None:
    """An undrain goes on until its deadline while nobody answers; what HAProxy refuses is not asked twice."""
    silent = iter([True, True, False])

    def exchange(command: str) -> str:
        if next(silent, False):
            raise BalancerSilent("no reply")
        return proxy.exchange(command)

    clock = VirtualClock()
    balancer = HAProxy(exchange, host="lb", clock=clock)
    balancer.undrain(POOLS, "h1", deadline_s=5)
    assert traffic(balancer, "h1") == [Traffic.UP, Traffic.UP]
    silent = iter([True] * 99)
    with pytest.raises(BalancerSilent):
        balancer.undrain(POOLS, "h1", deadline_s=5)
    assert clock.monotonic_s() == pytest.approx(7, abs=1)


def test_yes_without_doing_it_is_not_believed(proxy: Proxy, balancer: HAProxy) -> None:
    """An empty reply is not proof: what HAProxy reports afterwards is."""
    proxy.deaf = True
    with pytest.raises(BalancerFailed, match="not drained in time"):
        balancer.drain(POOLS, "h1", deadline_s=0.2)


def test_any_reply_to_a_change_is_an_error(proxy: Proxy, balancer: HAProxy) -> None:
    """HAProxy says nothing when a change worked; text is shown as it came."""
    proxy.refuse = "Permission denied"
    with pytest.raises(BalancerFailed, match="Permission denied"):
        balancer.undrain(POOLS, "h1", deadline_s=1)


def test_a_server_that_is_down_can_be_drained(proxy: Proxy, balancer: HAProxy) -> None:
    """A server that is down says DOWN either way; that it was told to drain is read elsewhere."""
    proxy.down = {"h1"}
    assert traffic(balancer, "h1") == [Traffic.DOWN, Traffic.DOWN]
    balancer.drain(POOLS, "h1", deadline_s=2)
    assert traffic(balancer, "h1") == [Traffic.DRAINED, Traffic.DRAINED]


def test_undrain_waits_until_the_server_is_up(proxy: Proxy, balancer: HAProxy) -> None:
    """A server that HAProxy holds for dead is not back in service, whatever it was told."""
    balancer.drain(POOLS, "h1", deadline_s=2)
    proxy.down = {"h1"}
    with pytest.raises(BalancerFailed, match="rest: down"):
        balancer.undrain(POOLS, "h1", deadline_s=0.2)
    proxy.down = set()
    balancer.undrain(POOLS, "h1", deadline_s=2)
    assert traffic(balancer, "h1") == [Traffic.UP, Traffic.UP]


@pytest.mark.parametrize("way", ["drain", "undrain"])
def test_a_server_in_maintenance_is_left_alone(proxy: Proxy, balancer: HAProxy, way: str) -> None:
    """Nothing is told of a server that somebody took out by hand, and the error says what to tell when that is over."""
    proxy.admin["rest", "h1"] = "maint"
    with pytest.raises(InMaintenance, match="in maintenance in rest, which") as refused:
        getattr(balancer, way)(POOLS, "h1", deadline_s=1)
    assert "set server rest/h1 state ready;" in refused.value.hint
    assert proxy.commands == []


def test_maintenance_that_begins_while_requests_end_is_left(proxy: Proxy, balancer: HAProxy) -> None:
    """A drain that somebody turns into maintenance is given up at once, and nothing is put back."""
    proxy.sessions["rest", "h1"] = [3]
    reads: list[int] = []
    stat = proxy.stat

    def person() -> str:
        reads.append(1)
        if len(reads) == 5:
            proxy.admin["grpc", "h1"] = "maint"
        return stat()

    proxy.stat = person  # type: ignore[method-assign]
    with pytest.raises(InMaintenance) as refused:
        balancer.drain(POOLS, "h1", deadline_s=3600)
    assert refused.value.told
    assert [command.rsplit(maxsplit=1)[-1] for command in proxy.commands] == ["drain", "drain"]
    assert len(reads) == 5


def test_maintenance_that_begins_at_the_deadline_is_left(proxy: Proxy, balancer: HAProxy) -> None:
    """A drain that did not end is not taken back where somebody has the server in maintenance by then."""
    proxy.sessions["rest", "h1"] = [3]

    def check() -> None:
        if len(proxy.commands) == len(POOLS):
            proxy.admin["rest", "h1"] = "maint"

    with pytest.raises(InMaintenance):
        balancer.drain(POOLS, "h1", deadline_s=0.2, check=check)
    assert traffic(balancer, "h1") == [Traffic.MAINTENANCE, Traffic.DRAINED]
    assert [command.rsplit(maxsplit=1)[-1] for command in proxy.commands] == ["drain", "drain"]


def test_maintenance_that_begins_while_a_server_comes_up_is_left(proxy: Proxy, balancer: HAProxy) -> None:
    """Nobody waits for a server to come up that somebody has just put into maintenance."""
    balancer.drain(POOLS, "h1", deadline_s=2)
    proxy.down = {"h1"}
    wait = balancer._clock.wait

    def person(seconds: float) -> None:
        proxy.admin["rest", "h1"] = "maint"
        wait(seconds)

    balancer._clock.wait = person  # type: ignore[method-assign]
    with pytest.raises(InMaintenance):
        balancer.undrain(POOLS, "h1", deadline_s=3600)
    assert traffic(balancer, "h1") == [Traffic.MAINTENANCE, Traffic.DOWN]


@pytest.mark.parametrize(
    ("flags", "seen"), [(32, Traffic.DOWN), (33, Traffic.MAINTENANCE), (34, Traffic.MAINTENANCE), (40, Traffic.DRAINED)]
)
def test_a_server_whose_name_has_no_address_is_down(flags: int, seen: Traffic) -> None:
    """HAProxy calls that maintenance too, though nobody asked for it; what somebody asked for stands beneath it."""

    def exchange(command: str) -> str:
        if command == "show stat":
            return "# pxname,svname,qcur,scur,status,weight,addr,\nrest,h1,0,0,MAINT (resolution),100,,\n\n"
        return f"1\n# be_id be_name srv_id srv_name srv_admin_state\n3 rest 1 h1 {flags}\n\n"

    found = HAProxy(exchange, host="lb", clock=VirtualClock()).members(["rest"])
    assert [member.traffic for member in found] == [seen]


def test_what_does_not_exist_is_named(balancer: HAProxy) -> None:
    """A pool or server that HAProxy does not have is an error that names it, before anything is changed."""
    with pytest.raises(BalancerFailed, match="no pool nope"):
        balancer.members(["rest", "nope"])
    with pytest.raises(BalancerFailed, match="h9 is no server of grpc, rest"):
        balancer.drain(POOLS, "h9", deadline_s=1)


@pytest.mark.parametrize("reply", ["", "Permission denied\n", "<html>", "pxname,svname\n"])
def test_another_answer_than_statistics_is_an_error(reply: str) -> None:
    """What is not HAProxy's table is refused, never read as a balancer without servers."""
    with pytest.raises(BalancerFailed, match="show stat"):
        HAProxy(lambda _: reply, host="lb", clock=VirtualClock()).members(["rest"])


def test_a_kind_is_found_by_its_file() -> None:
    """Every module of the folder is a kind; an unknown kind is refused with those there are."""
    assert "haproxy" in kinds()
    assert isinstance(make_balancer("haproxy", lambda _: "", host="lb", clock=VirtualClock()), HAProxy)
    with pytest.raises(InputError) as refused:
        make_balancer("nginx", lambda _: "", host="lb", clock=VirtualClock())
    assert "haproxy" in refused.value.hint


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_refuses_garbage_with_our_error(kind: str) -> None:
    """A balancer that answers nonsense fails as a balancer, on every operation."""
    balancer = make_balancer(kind, lambda _: "\x00garbage\n", host="lb", clock=VirtualClock())
    for work in (
        lambda: balancer.members(["rest"]),
        lambda: balancer.drain(["rest"], "h1", deadline_s=0.1),
        lambda: balancer.undrain(["rest"], "h1", deadline_s=0.1),
    ):
        with pytest.raises(BalancerFailed):
            work()


def test_a_long_answer_is_not_cut_within_a_word(proxy: Proxy, balancer: HAProxy) -> None:
    """What is quoted of it ends at a blank: half of a secret that stands in it too would not be known for one."""
    proxy.refuse = f"{'x ' * 95}secret-word-of-many-letters"
    with pytest.raises(BalancerFailed, match=r"x x \.\.\.$") as caught:
        balancer.drain(POOLS, "h1", deadline_s=1)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("way", ["drain", "keep_out", "undrain"])
@pytest.mark.parametrize("told", [0, 1])
def test_who_lost_the_lease_tells_haproxy_nothing_more(proxy: Proxy, balancer: HAProxy, way: str, told: int) -> None:
    """The lease is asked right before every change, and after its loss there is none, not even back."""
    asked: list[int] = []

    def check() -> None:
        asked.append(len(proxy.commands))
        if len(proxy.commands) == told:
            raise LeaseLost("somebody took over", where="h1")

    with pytest.raises(LeaseLost):
        way_of(balancer, way)(POOLS, "h1", deadline_s=5, check=check)
    assert len(proxy.commands) == told
    assert asked == list(range(told + 1))


def test_a_drain_that_failed_is_not_taken_back_without_the_lease(proxy: Proxy, balancer: HAProxy) -> None:
    """A lease that is lost while requests end stays lost: the run that took over finds the server as it was."""
    proxy.sessions["rest", "h1"] = [3]

    def check() -> None:
        if len(proxy.commands) == len(POOLS):
            raise LeaseLost("somebody took over", where="h1")

    with pytest.raises(LeaseLost):
        balancer.drain(POOLS, "h1", deadline_s=0.2, check=check)
    assert [command.rsplit(maxsplit=1)[-1] for command in proxy.commands] == ["drain", "drain"]


def test_an_undrain_asks_for_the_lease_at_every_try(proxy: Proxy) -> None:
    """While HAProxy is silent a minute may pass: what was ours at first need not be so then."""
    answers = iter([True, False])

    def exchange(command: str) -> str:
        if command.startswith("set") and next(answers, False):
            raise BalancerSilent("no reply")
        return proxy.exchange(command)

    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) > 1:
            raise LeaseLost("somebody took over", where="h1")

    with pytest.raises(LeaseLost):
        HAProxy(exchange, host="lb", clock=VirtualClock()).undrain(POOLS, "h1", deadline_s=60, check=check)
    assert proxy.commands == []
