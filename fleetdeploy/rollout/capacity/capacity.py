"""The capacity that must stay in service: who is out now, and who may be taken out next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from fleetdeploy.errors import RolloutFailed
from fleetdeploy.planning.waves import Floor, may_take_out

_LOOK_S = 0.5
"""How often a host that waits is asked whether it shall give up; a place that becomes free wakes it at once."""


class Capacity:
    """Hosts out of service in one play. ``uncounted`` hosts never served, so taking them costs nothing.

    Thread-safe. A host that is ``out`` already, because it is down or an earlier run drained it, keeps its place until
    it serves again; nobody waits for those among them that are not ``coming_back`` in this play. Those that are out
    only because they are ``told`` to be, by their balancer, serve again by its word as well. ``floor`` is what has to
    stay in service in each failure domain; hosts that never served are not in service there either. ``tell`` is called
    with all hosts that are not in service, whenever these are others.
    """

    def __init__(
        self,
        *,
        out: Iterable[str],
        uncounted: Iterable[str],
        max_unavailable: int,
        coming_back: Iterable[str] = (),
        told: Iterable[str] = (),
        floor: Floor | None = None,
        tell: Callable[[AbstractSet[str]], None] = lambda _: None,
    ) -> None:
        self._out = set(out)
        self._stay = self._out - set(coming_back)
        self._told = self._out & set(told)
        self._before = set(self._out)
        self._uncounted = frozenset(uncounted)
        self._max_unavailable = max_unavailable
        self._floor = floor or Floor()
        self._new = set(self._uncounted)
        self._at_work: set[str] = set()
        self._at_hand: set[str] = set()
        self._changed = threading.Condition()
        self._tell = tell
        self._last_told: AbstractSet[str] | None = None

    @property
    def out(self) -> frozenset[str]:
        """The hosts that are out now."""
        with self._changed:
            return frozenset(self._out)

    @property
    def told(self) -> frozenset[str]:
        """Those of them that are out by their balancer's word alone."""
        with self._changed:
            return frozenset(self._told)

    @property
    def at_hand(self) -> frozenset[str]:
        """The hosts that were taken out and whose part is not over."""
        with self._changed:
            return frozenset(self._at_hand)

    @property
    def full(self) -> bool:
        """Whether hosts that stay out leave no room for any other."""
        with self._changed:
            return len(self._stay) >= self._max_unavailable

    def begin(self, wave: Iterable[str]) -> None:
        """These hosts have their part now: a new one among them may yet come to serve, others are not waited for."""
        with self._changed:
            self._at_work = set(wave)
            self._tell_out()

    def see(self, silent: AbstractSet[str], *, at_hand: AbstractSet[str] = frozenset()) -> None:
        """``silent`` hosts get no requests by their balancers' word: they count until it says otherwise.

        Of hosts that are at hand, or were ``at_hand`` when the balancers were asked, and of new ones it says nothing.
        """
        with self._changed:
            ours = self._at_hand | at_hand | self._new
            more = silent - self._out - ours
            gone = self._told - silent - ours
            for known in (self._out, self._told, self._before, self._stay):
                known.update(more)
                known.difference_update(gone)
            self._tell_out()
            self._changed.notify_all()

    def take(self, host: str, check: Callable[[], None]) -> None:
        """Wait until ``host`` may be out, then count it. ``check`` is called before each look and raises to give up.

        Raises RolloutFailed when the hosts that stay out leave no room, however long one waits.
        """
        if host in self.at_hand:
            return
        while True:
            check()
            with self._changed:
                if self._taken(host):
                    return
                self._give_up_on(host)
                self._changed.wait(_LOOK_S)

    def take_now(self, host: str) -> None:
        """The same, but nobody is waited for. Raises RolloutFailed when there is no room at the moment."""
        with self._changed:
            if not self._taken(host):
                raise RolloutFailed(f"{', '.join(sorted(self._out))} out of service, which leaves no room for {host}")

    def _taken(self, host: str) -> bool:
        if host not in self._uncounted:
            if not self._may(host):
                return False
            self._out.add(host)
        self._at_hand.add(host)
        self._tell_out()
        return True

    def _may(self, host: str) -> bool:
        room = may_take_out(host, out=frozenset(self._out), max_unavailable=self._max_unavailable)
        return room and not self._floor.denies(host, out=self._out | self._new)

    def _give_up_on(self, host: str) -> None:
        """Raises RolloutFailed when what is in the way of ``host`` will not go away."""
        stay = ", ".join(sorted(self._stay))
        if len(self._stay) >= self._max_unavailable:
            raise RolloutFailed(
                f"{stay} out of service, and max_unavailable is {self._max_unavailable}: "
                f"{host} cannot be taken out as well"
            )
        if why := self._floor.denies(host, out=self._stay | (self._new - self._at_work)):
            raise RolloutFailed(
                f"{host} cannot be taken out{f' while {stay} are out of service' if stay else ''}: {why}"
            )

    def settle(self, host: str, *, serves: bool | None) -> None:
        """The host's part in the play is over: it serves, or stays out, or (None) is as it was before the play."""
        with self._changed:
            self._at_work.discard(host)
            self._at_hand.discard(host)
            if serves or (serves is None and host not in self._before | self._new):
                for known in (self._out, self._new, self._before, self._stay, self._told):
                    known.discard(host)
            elif host not in self._uncounted:
                self._out.add(host)
                self._stay.add(host)
                if serves is False:
                    self._told.discard(host)
            elif serves is False:
                self._new.add(host)
            self._tell_out()
            self._changed.notify_all()

    def _tell_out(self) -> None:
        out = self._out | self._new
        if out != self._last_told:
            self._last_told = out
            self._tell(frozenset(out))
