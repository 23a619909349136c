"""Which rows of a server's log are shown under a failure."""

from __future__ import annotations

from fleetdeploy.tfserving.server_log import LAST, telling

TIME = "2026-01-01 00:00:00.000001:"
CHATTER = [f"{TIME} I tensorflow_serving/model_servers/server.cc:1] row {number}" for number in range(30)]
BAD = f"{TIME} E tensorflow_serving/util/retrier.cc:1] Loading failed"
GRPC = "E0101 00:00:00.000001 12 server.cc:1] bind failed"


def test_errors_stand_out_of_chatter() -> None:
    """Rows of level W, E and F with what belongs to them, wherever they stand; what is said all day is left out."""
    own = "\tat the second row of the same error"
    warned = f"{TIME} W x.cc:1] careful"
    rows = [*CHATTER[:9], BAD, own, *CHATTER[9:], warned, GRPC, CHATTER[0], "[evhttp_server.cc : 1] NET_LOG: loop"]
    assert telling(rows, most=20) == [BAD, own, warned, GRPC]


def test_where_nothing_stands_out_the_end_is_shown() -> None:
    """A few rows of it, without the flags that a server lists behind a complaint."""
    assert telling(CHATTER, most=20) == CHATTER[-LAST:]
    usage = ["unknown argument: --x", "usage: model_server", *[f"\t--flag_{number}=1" for number in range(80)]]
    assert telling([*CHATTER, *usage], most=20)[-2:] == usage[:2]
    assert telling([], most=20) == []


def test_of_many_errors_the_last_are_shown() -> None:
    """As many as are asked for."""
    assert telling([BAD] * 50 + [GRPC], most=3) == [BAD, BAD, GRPC]
