"""Who of a play's hosts gets requests while the play goes on, by the word of their balancers."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import OUT_BY_ORDER, PoolMember, Traffic
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import HostError, RolloutFailed, Withheld
from fleetdeploy.rollout.capacity.capacity import Capacity
from fleetdeploy.rollout.capacity.in_service import said_of, traffic_in

LOOK_S = 5.0
"""How old an answer may be where a host is taken out. Hosts that wait for the same answer share it."""


class Lookout:
    """Asks each balancer of the hosts once a look and tells the play's ``capacity`` what it said. Thread-safe."""

    def __init__(self, hosts: Mapping[str, Host], capacity: Capacity, fleet: Fleet, clock: Clock) -> None:
        self._hosts = hosts
        self._capacity = capacity
        self._fleet = fleet
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_s = float("-inf")
        self._word: Mapping[str, frozenset[Traffic]] | RolloutFailed = {}
        self._said: Mapping[str, tuple[PoolMember, ...]] = {}
        self._about: dict[str, Collection[str]] = {}

    def narrow(self, host: str, pools: Collection[str]) -> None:
        """From now on the host's other pools say nothing of it: the play takes it out of these, and puts it back into
        these.
        """
        with self._lock:
            self._about[host] = pools

    def look(self, *, within_s: float = 0.0) -> Mapping[str, frozenset[Traffic]]:
        """What its balancer does with each host; an answer of the last ``within_s`` seconds is good enough.

        Raises RolloutFailed when a balancer cannot be asked: nobody knows then who may be taken out.
        """
        with self._lock:
            if within_s <= 0 or self._clock.monotonic_s() - self._asked_s > within_s:
                self._word = self._ask()
                self._asked_s = self._clock.monotonic_s()
            if isinstance(self._word, RolloutFailed):
                raise self._word
            return self._word

    def check_ours(self, host: str, *, pools: Collection[str] | None = None) -> None:
        """Raises Withheld for a host that somebody has taken out, of any of the play's pools or of those named: we
        would put it back behind their back.
        """
        self.look(within_s=LOOK_S)
        said = self._of_play(host, self._said.get(host, ()))
        if any(item.traffic in OUT_BY_ORDER for item in said if pools is None or item.pool in pools):
            raise Withheld(
                "drained or in maintenance in the balancer, and nothing here tells that fleetdeploy did it",
                where=host,
                hint="run again when that is over; only where it serves what the others do, put it back as it is "
                "(HAProxy: set server POOL/SERVER state ready)",
            )

    def _ask(self) -> Mapping[str, frozenset[Traffic]] | RolloutFailed:
        if not self._hosts:
            return {}  # nobody was asked about, so nobody is said to be back
        at_hand = self._capacity.at_hand
        try:
            said = said_of(self._hosts, self._fleet)
        except HostError as error:
            where = f" ({error.where})" if error.where else ""
            return RolloutFailed(
                f"nobody can say which hosts are in service: {error.message}{where}",
                where=error.where,
                hint=error.hint or "mend the balancer first",
                detail=error.detail,
            )
        self._said = said
        word = traffic_in({name: self._of_play(name, own) for name, own in said.items()})
        self._capacity.see({name for name, seen in word.items() if seen - {Traffic.UP}}, at_hand=at_hand)
        return word

    def _of_play(self, host: str, members: Sequence[PoolMember]) -> Sequence[PoolMember]:
        about = self._about.get(host)
        return members if about is None else [item for item in members if item.pool in about]
