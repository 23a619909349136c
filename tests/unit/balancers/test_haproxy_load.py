"""What HAProxy counted, out of what HAProxy 2.6 wrote after requests whose end is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.balancers.haproxy import HAProxy
from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.errors import BalancerFailed
from tests.simulation.clock import VirtualClock

# `web` got 8 that went well, a 404, a 500, one cut off in its answer and one dropped before it; `raw` 4 connections;
# behind `dead` (http, 2 requests) and `rawdead` (tcp, 1) nobody listens.
RECORDED = (Path(__file__).parent / "cases/show_stat_2.6.csv").read_text()


class Socket:
    """Answers every command with the same text."""

    def __init__(self, reply: str = RECORDED) -> None:
        self.reply = reply
        self.commands: list[str] = []

    def __call__(self, command: str) -> str:
        self.commands.append(command)
        return self.reply


def load(*pools: str, reply: str = RECORDED) -> dict[str, PoolLoad]:
    return HAProxy(Socket(reply), host="lb", clock=VirtualClock()).load(pools)


def test_requests_and_errors_of_http() -> None:
    """A request is counted once however it ends; 5xx and answers that were cut are errors, 404 is none."""
    assert load("web") == {"web": PoolLoad(12, 3, 0.02)}
    assert load("dead") == {"dead": PoolLoad(2, 2, None)}


def test_connections_of_tcp() -> None:
    """In mode tcp connections stand for requests, and nobody knows how long an answer takes."""
    assert load("raw", "rawdead") == {"raw": PoolLoad(4, 0), "rawdead": PoolLoad(1, 1)}


def test_one_question_for_all_pools() -> None:
    """All pools come by one command, which leaves servers and frontends out."""
    socket = Socket()
    HAProxy(socket, host="lb", clock=VirtualClock()).load(["web", "raw"])
    assert socket.commands == ["show stat -1 2 -1"]


def test_a_pool_that_is_not_there_is_left_out() -> None:
    """A pool that HAProxy does not have says nothing, and costs the others nothing."""
    assert load("web", "nowhere").keys() == {"web"}


def test_fields_that_an_older_haproxy_lacks_count_as_nothing() -> None:
    """Without columns for times and aborts there are still requests and errors."""
    reply = "# pxname,svname,stot,hrsp_5xx,status,\nweb,BACKEND,9,2,UP,\n\n"
    assert load("web", reply=reply) == {"web": PoolLoad(9, 2, None)}


def test_another_reply_is_an_error() -> None:
    """What is not the statistics is refused, with the command."""
    with pytest.raises(BalancerFailed, match="show stat -1 2 -1"):
        load("web", reply="Permission denied\n")
