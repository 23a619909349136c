"""Servers that were drained before a drain of ours, which does not come to its end."""

from __future__ import annotations

import pytest

from fleetdeploy.balancers.haproxy import HAProxy
from fleetdeploy.domain.observed import Traffic
from fleetdeploy.errors import BalancerFailed

from .proxy import POOLS, Proxy, traffic


def test_what_an_earlier_run_drained_is_not_put_back(proxy: Proxy, balancer: HAProxy) -> None:
    """A request that never ends makes the drain fail, and the server gets no new ones, as before."""
    balancer.drain(POOLS, "h1", deadline_s=1)
    proxy.sessions["rest", "h1"] = [1]
    with pytest.raises(BalancerFailed, match="rest: draining, 1 in flight"):
        balancer.drain(POOLS, "h1", deadline_s=0.2)
    assert traffic(balancer, "h1") == [Traffic.DRAINING, Traffic.DRAINED]
    assert not [command for command in proxy.commands if command.endswith("ready")]


@pytest.mark.parametrize("pool", POOLS)
def test_only_the_pools_that_it_was_taken_out_of_are_put_back(proxy: Proxy, balancer: HAProxy, pool: str) -> None:
    """One of them was drained already: it stays so, and the server gets its requests in the other one again."""
    proxy.admin[pool, "h1"] = "drain"
    proxy.sessions["rest", "h1"] = [1]
    with pytest.raises(BalancerFailed, match="not drained in time"):
        balancer.drain(POOLS, "h1", deadline_s=0.2)
    assert [name for name in POOLS if proxy.admin[name, "h1"] == "drain"] == [pool]


def test_a_server_that_is_down_and_drained_stays_drained(proxy: Proxy, balancer: HAProxy) -> None:
    """Its status says DOWN either way; what it was told is what counts."""
    balancer.drain(POOLS, "h1", deadline_s=1)
    proxy.down, proxy.sessions["rest", "h1"] = {"h1"}, [1]
    proxy.refuse = "Permission denied"
    with pytest.raises(BalancerFailed, match="Permission denied"):
        balancer.drain(POOLS, "h1", deadline_s=0.2)
    proxy.refuse = ""
    assert {proxy.admin[pool, "h1"] for pool in POOLS} == {"drain"}
    assert not [command for command in proxy.commands if command.endswith("ready")]
