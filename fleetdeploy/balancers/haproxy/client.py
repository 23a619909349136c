"""HAProxy, steered through its runtime socket (management.txt, section 9.3, "Unix Socket commands").

A change is a ``set server`` on every pool, then ``show stat`` until it says what was asked. HAProxy answers a command
that worked with an empty line; any other text is an error. A server that follows another one (``track``) takes its
health and its maintenance from there; drained it is by its own ``set server``.

Nothing here puts a server into maintenance, so one that is there is so by somebody else's word. ``ready`` and ``drain``
would both end it: right before either it is looked whether the server is in maintenance by now.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from fleetdeploy.balancers.haproxy import notes, statistics
from fleetdeploy.domain.balancer import nothing
from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.observed import OUT_BY_ORDER, TOLD_TO_DRAIN, Note, PoolMember, Traffic
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.domain.redaction import shortened
from fleetdeploy.errors import BalancerFailed, BalancerSilent, InMaintenance

KIND: Final = "haproxy"
POLL_S: Final = 0.05
"""Between two questions: HAProxy tells nothing by itself, and answers one in about a millisecond."""
SILENT_S: Final = 1.0
"""Between two tries to put a host back through a HAProxy that does not answer: it is restarted in about that time."""
QUIET_READS: Final = 3
"""So many reads in a row must show no request in flight: one that was on its way through the proxy shows up late."""

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_MAINT_FLAGS = 0x01 | 0x02  # SRV_ADMF_FMAINT, SRV_ADMF_IMAINT
_DRAIN_FLAGS = 0x08 | 0x10  # SRV_ADMF_FDRAIN, SRV_ADMF_IDRAIN
_SUMMARY_ROWS = {"FRONTEND", "BACKEND"}


def make(exchange: Callable[[str], str], *, host: str, clock: Clock, noting: bool = True) -> HAProxy:
    """The client of the HAProxy that ``exchange`` talks to; without ``noting`` nothing is kept in its variables."""
    return HAProxy(exchange, host=host, clock=clock, noting=noting)


class HAProxy:
    """:class:`fleetdeploy.domain.balancer.Balancer` for HAProxy 2.0 and newer."""

    def __init__(self, exchange: Callable[[str], str], *, host: str, clock: Clock, noting: bool = True) -> None:
        self._exchange = exchange
        self._clock = clock
        self._host = host
        self._noting = noting

    def members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        """Every server of the pools. Raises BalancerFailed for a pool that HAProxy does not have."""
        found = self._servers(pools)
        lacking = [pool for pool in pools if pool not in {member.pool for member in found}]
        if lacking:
            raise self._failed(
                f"there is no pool {', '.join(lacking)} with servers", "mend `balancer.pools`, HAProxy's backends"
            )
        return found

    def noted(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        """One more question, or one for each hundred servers once there was a note since HAProxy began.

        A drain that came between two questions does not look as if its note had outlived it.
        """
        found = self._servers(pools)
        if not self._noting:
            return found
        there = notes.read(self._exchange, [(member.pool, member.server) for member in found])
        noted = notes.put_on(found, there)
        return notes.put_on(self._servers(pools), there) if any(member.outlived for member in noted) else noted

    def _servers(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        rows = [row for row in self._rows() if row["pxname"] in pools and row["svname"] not in _SUMMARY_ROWS]
        # A server that is down says DOWN whether it is drained or not; what it was told stands elsewhere.
        hidden = any(statistics.hides_orders(row["status"]) for row in rows)
        told = self._orders() if hidden else {}
        return tuple(statistics.member(row, told.get((row["pxname"], row["svname"]), row["status"])) for row in rows)

    def load(self, pools: Sequence[str]) -> dict[str, PoolLoad]:
        """By the pools' BACKEND rows alone. A pool that HAProxy does not have is left out."""
        rows = [row for row in self._rows("show stat -1 2 -1") if row["svname"] == "BACKEND"]
        return {row["pxname"]: statistics.load(row) for row in rows if row["pxname"] in pools}

    def obeys(self) -> bool:
        """By ``show cli level``, see management.txt. One that does not know the question has only sockets that say so
        when they are told something.
        """
        reply = self._exchange("show cli level").strip()
        if reply not in {"admin", "operator", "user"}:
            raise self._failed(f"HAProxy does not tell its socket's level: {shortened(reply, 120)!r}", "it is too old")
        return reply == "admin"

    def drain(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        """Raises BalancerFailed, and then the server gets its requests again in the pools in which it got them before;
        or what ``check`` raises, and then it is left as it is. So it is with InMaintenance, whenever somebody puts it
        there.
        """
        end = self._clock.monotonic_s() + deadline_s
        out = [item.pool for item in self._of(pools, server) if item.traffic in TOLD_TO_DRAIN]
        try:
            self._set(pools, server, "drain", check)
            self._await(pools, server, _drained, QUIET_READS, end=end, what="drained")
        except InMaintenance:
            raise
        except BalancerFailed:
            # Who had it out before knows why, as when an earlier run died before it had proven what the server has now.
            self._set([pool for pool in pools if pool not in out], server, "ready", check, told=True)
            raise

    def keep_out(
        self,
        pools: Sequence[str],
        server: str,
        *,
        run: str,
        deadline_s: float,
        ours: bool = False,
        check: Callable[[], None] = nothing,
    ) -> None:
        """Raises BalancerFailed; the server may have been told all the same.

        Where somebody put it into maintenance it is out already, and is told nothing.
        """
        end = self._clock.monotonic_s() + deadline_s
        out = [] if ours else [item.pool for item in self._of(pools, server) if item.traffic in TOLD_TO_DRAIN]
        self._set([pool for pool in pools if pool not in out], server, "drain", check, around=True, run=run)
        self._await(pools, server, _gets_nothing_new, 1, end=end, what="kept out")

    def undrain(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        """Raises BalancerFailed; the server may then still become healthy and get its requests, unless it is
        InMaintenance.

        A HAProxy that does not answer is asked again until the deadline: a drained host shall come back.
        """
        end = self._clock.monotonic_s() + deadline_s
        while True:
            try:
                self._set(pools, server, "ready", check)
                self._await(pools, server, _up, 1, end=end, what="up")
                return
            except BalancerSilent:
                if self._clock.monotonic_s() >= end:
                    raise
                self._clock.wait(SILENT_S)

    def forget(self, pools: Sequence[str], server: str, *, run: str) -> None:
        """Raises BalancerFailed."""
        there = notes.read(self._exchange, [(pool, server) for pool in pools]) if self._noting else {}
        for member in notes.put_on(self._servers(pools), there):
            if member.outlived and member.note == Note(run):
                self._exchange(notes.write((member.pool, member.server), Note(run, paid=True)))

    def _of(self, pools: Sequence[str], server: str) -> tuple[PoolMember, ...]:
        members = tuple(member for member in self.members(pools) if member.server == server)
        lacking = sorted(set(pools) - {member.pool for member in members})
        if lacking:
            raise self._failed(f"{server} is no server of {', '.join(lacking)}", "mend `balancer.server` of the host")
        return members

    def _set(
        self,
        pools: Sequence[str],
        server: str,
        state: str,
        check: Callable[[], None],
        *,
        told: bool = False,
        around: bool = False,
        run: str = "",
    ) -> None:
        """Raises InMaintenance where the server is so in any of the pools, unless the way goes ``around`` those.
        ``told`` is whether HAProxy was told something before, ``run`` whose the order is, where that is to be noted.
        """
        for pool in pools:
            before, note = self._notes(pool, server, state, run)
            check()
            held = _in_maintenance(self._of(pools, server))
            if held and not around:
                raise self._held(held, server, told=told)
            if pool in held:
                continue
            command = f"set server {_word(pool)}/{_word(server)} state {state}"
            # In one exchange, so that there is neither a drain without its note nor a note that outlives its drain.
            reply = self._exchange(f"{notes.write((pool, server), note)}; {command}" if note else command).strip()
            told = True
            if reply and note:
                if self._is(pool, server, state):
                    continue  # it is the note that was refused
                self._exchange(notes.write((pool, server), before or replace(note, paid=True)))
            if reply:
                raise self._failed(
                    f"HAProxy refused {command!r}: {shortened(reply, 200)}", "the socket must be of level admin"
                )

    def _notes(self, pool: str, server: str, state: str, run: str) -> tuple[Note | None, Note | None]:
        """The note that is there, and the one that goes with an order."""
        place = (pool, server)
        if not self._noting or (not run and state != "ready"):
            return None, None
        before = notes.read(self._exchange, [place]).get(place)
        if run:
            return before, Note(run) if before or notes.are_kept(self._exchange, place) else None
        return before, replace(before, paid=True) if before and not before.paid else None

    def _is(self, pool: str, server: str, state: str) -> bool:
        """Whether the order has been carried out, whatever was said about it."""
        return all((member.traffic in TOLD_TO_DRAIN) == (state == "drain") for member in self._of([pool], server))

    def _await(
        self,
        pools: Sequence[str],
        server: str,
        reached: Callable[[PoolMember], bool],
        reads: int,
        *,
        end: float,
        what: str,
    ) -> None:
        in_a_row = 0
        while True:
            members = self._of(pools, server)
            in_a_row = in_a_row + 1 if all(map(reached, members)) else 0
            if in_a_row >= reads:
                return
            if held := _in_maintenance([member for member in members if not reached(member)]):
                raise self._held(held, server, told=True)
            if self._clock.monotonic_s() >= end:
                seen = "; ".join(
                    f"{member.pool}: {member.traffic.value}, {member.sessions} in flight" for member in members
                )
                raise self._failed(f"{server} was not {what} in time ({seen})", "look at HAProxy's own statistics page")
            self._clock.wait(POLL_S)

    def _rows(self, command: str = "show stat") -> list[dict[str, str]]:
        reply = self._exchange(command).lstrip()
        if not reply.startswith("# pxname,"):
            raise self._failed(
                f"HAProxy answered {command!r} with {shortened(reply, 120)!r}", "is that socket HAProxy's?"
            )
        rows = list(csv.DictReader(io.StringIO(reply[2:])))
        return [row for row in rows if row.get("pxname") and row.get("svname") and row.get("status")]

    def _orders(self) -> dict[tuple[str, str], str]:
        """By (pool, server), for those in maintenance or drain by an order, their own or that of the server they
        follow: MAINT or DRAIN.
        """
        head, *lines = self._exchange("show servers state").strip().partition("# ")[2].splitlines() or [""]
        rows = [dict(zip(head.split(), line.split(), strict=False)) for line in lines]
        flags = {
            (row["be_name"], row["srv_name"]): statistics.number(row.get("srv_admin_state"))
            for row in rows
            if {"be_name", "srv_name"} <= row.keys()
        }
        ordered = _MAINT_FLAGS | _DRAIN_FLAGS
        return {key: "MAINT" if told & _MAINT_FLAGS else "DRAIN" for key, told in flags.items() if told & ordered}

    def _held(self, pools: Sequence[str], server: str, *, told: bool) -> InMaintenance:
        ready = "; ".join(f"set server {pool}/{server} state ready" for pool in pools)
        return InMaintenance(
            f"{server} is in maintenance in {', '.join(pools)}, which fleetdeploy did not ask for; it is left there",
            where=self._host,
            hint=f"when that is over, tell HAProxy's socket: {ready}; then run the same again",
            told=told,
        )

    def _failed(self, message: str, hint: str) -> BalancerFailed:
        return BalancerFailed(message, where=self._host, hint=hint)


def _drained(member: PoolMember) -> bool:
    return member.traffic is Traffic.DRAINED


def _gets_nothing_new(member: PoolMember) -> bool:
    return member.traffic in OUT_BY_ORDER


def _in_maintenance(members: Sequence[PoolMember]) -> list[str]:
    """The pools of those that are."""
    return [member.pool for member in members if member.traffic is Traffic.MAINTENANCE]


def _up(member: PoolMember) -> bool:
    return member.traffic is Traffic.UP


def _word(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BalancerFailed(f"{name!r} cannot be the name of a pool or server")
    return name
