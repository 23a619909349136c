"""A HAProxy for each test."""

from __future__ import annotations

import pytest

from fleetdeploy.balancers.haproxy import HAProxy
from tests.simulation.clock import VirtualClock

from .proxy import Proxy


@pytest.fixture
def proxy() -> Proxy:
    return Proxy()


@pytest.fixture
def balancer(proxy: Proxy) -> HAProxy:
    return HAProxy(proxy.exchange, host="lb", clock=VirtualClock())
