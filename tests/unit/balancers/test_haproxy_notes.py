"""HAProxy keeps a note of which run keeps a server out."""

from __future__ import annotations

import pytest

from fleetdeploy.balancers.haproxy import HAProxy, notes
from fleetdeploy.domain.observed import Traffic
from tests.simulation.clock import VirtualClock

from .proxy import POOLS, Proxy, traffic


def noted(balancer: HAProxy, server: str) -> list[str | None]:
    return [member.noted for member in balancer.members(POOLS) if member.server == server]


def test_a_note_is_taken_away_together_with_the_drain(proxy: Proxy, balancer: HAProxy) -> None:
    """In one exchange with the order that puts the server back, so that nothing can come between the two."""
    asked: list[str] = []
    exchange = proxy.exchange
    watched = HAProxy(lambda command: (asked.append(command), exchange(command))[1], host="lb", clock=VirtualClock())
    watched.keep_out(POOLS, "h1", run="20261123T0102-ab", deadline_s=1)
    assert noted(balancer, "h1") == ["20261123T0102-ab"] * 2
    assert noted(balancer, "h2") == [None] * 2
    asked.clear()
    watched.undrain(POOLS, "h1", deadline_s=1)
    ready = [command for command in asked if "state ready" in command]
    assert [command.partition("; ")[0] for command in ready] == ["experimental-mode on"] * 2
    proxy.admin["rest", "h1"] = proxy.admin["grpc", "h1"] = "drain"
    assert noted(balancer, "h1") == ["", ""]


def test_a_haproxy_without_variables_does_all_the_same_without_notes(proxy: Proxy, balancer: HAProxy) -> None:
    """One before 2.4 keeps a server out and puts it back; what it says about commands that it lacks is no error."""
    proxy.keeps_notes = False
    balancer.keep_out(POOLS, "h1", run="r1", deadline_s=1)
    assert (traffic(balancer, "h1"), noted(balancer, "h1")) == ([Traffic.DRAINED] * 2, [None] * 2)
    balancer.undrain(POOLS, "h1", deadline_s=1)
    assert traffic(balancer, "h1") == [Traffic.UP] * 2


def test_where_nobody_is_drained_nothing_more_is_asked(proxy: Proxy) -> None:
    """Who serves is one question."""
    asked: list[str] = []
    watched = HAProxy(
        lambda command: (asked.append(command), proxy.exchange(command))[1], host="lb", clock=VirtualClock()
    )
    watched.members(POOLS)
    assert asked == ["show stat"]


def test_notes_of_many_are_asked_for_in_lines_that_haproxy_reads() -> None:
    """Its buffer holds 16 KiB: a thousand drained servers are more than one line."""
    places = [(f"a_pool_with_a_long_name_{at}", f"server-{at}.example.org") for at in range(1000)]
    asked: list[str] = []

    def exchange(command: str) -> str:
        asked.append(command)
        return "".join(f"{part.split()[-1]}: type=str value=<r1>\n" for part in command.split("; "))

    assert notes.read(exchange, places) == dict.fromkeys(places, "r1")
    assert max(map(len, asked)) < 16_000


@pytest.mark.parametrize("run", ["r1); set server rest/h1 state ready; x(", "a b", "ü"])
def test_nothing_but_a_run_is_noted(run: str) -> None:
    """What could be a command of its own never becomes part of one."""
    with pytest.raises(ValueError, match="is no run"):
        notes.taking("rest", "h1", run)
