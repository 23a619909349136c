"""HAProxy's statistics: the rows of ``show stat`` (management.txt, section 9.1)."""

from __future__ import annotations

from collections.abc import Mapping

from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.observed import PoolMember, Traffic

_NO_ADDRESS = "MAINT (resolution)"  # its name has no address: nobody's order, and it hides those that there are


def member(row: Mapping[str, str], status: str) -> PoolMember:
    """One server. ``status`` is what it was told, where its own hides that."""
    sessions = number(row.get("scur")) + number(row.get("qcur"))
    return PoolMember(
        pool=row["pxname"],
        server=row["svname"],
        traffic=_traffic(status, sessions),
        sessions=sessions,
        weight=number(row.get("weight")),
        address=row.get("addr") or "",
    )


def hides_orders(status: str) -> bool:
    """Whether a server with this status may have been told something that does not show in it."""
    return _first(status) == "DOWN" or status == _NO_ADDRESS


def load(row: Mapping[str, str]) -> PoolLoad:
    """What HAProxy counted in one pool.

    In mode ``http`` a session of a backend is one request; errors are those answered with 5xx, by a server or by
    HAProxy itself where none could be reached, and those whose answer was cut off. A gRPC error is no error there: it
    travels as 200 with its status behind the answer. In mode ``tcp`` requests are connections, and errors those that
    no server took or that a server broke off; how long answers take is not known. Retries that a client does not notice
    are no errors. Times are means over the last 1024 requests, in whole milliseconds.
    """
    requests = number(row.get("stot"))
    if row.get("mode") == "tcp":
        return PoolLoad(requests, number(row.get("econ")) + number(row.get("eresp")))
    errors = number(row.get("hrsp_5xx")) + number(row.get("srv_abrt"))
    answer_ms = sum(number(row.get(name)) for name in ("qtime", "ctime", "rtime"))
    return PoolLoad(requests, errors, answer_ms / 1000 or None)


def _traffic(status: str, sessions: int) -> Traffic:
    """HAProxy's status column: UP, UP 1/3 (going down), DOWN, DOWN 1/2, NOLB, MAINT, MAINT (via x), DRAIN, no check."""
    word = _first(status)
    if word in {"DRAIN", "NOLB"}:
        return Traffic.DRAINING if sessions else Traffic.DRAINED
    if word in {"UP", "no"}:
        return Traffic.UP
    return Traffic.MAINTENANCE if word == "MAINT" and status != _NO_ADDRESS else Traffic.DOWN


def _first(status: str) -> str:
    return status.split(maxsplit=1)[0] if status.strip() else ""


def number(text: str | None) -> int:
    """0 where the column is empty or not there."""
    return int(text) if text and text.isdecimal() else 0
