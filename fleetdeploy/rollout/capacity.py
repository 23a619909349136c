"""The capacity that must stay in service: who is out now, and who may be taken out next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from fleetdeploy.errors import RolloutFailed
from fleetdeploy.planning.waves import Floor, may_take_out

_LOOK_S = 0.5


class Capacity:
    """Hosts out of service in one play. ``uncounted`` hosts never served, so taking them costs nothing.

    Thread-safe. A host that is ``out`` already, because it is down or an earlier run drained it, keeps its place until
    it serves again; nobody waits for those among them that are not ``coming_back`` in this play. ``floor`` is what
    has to stay in service in each failure domain; hosts that never served are not in service there either.
    """

    def __init__(
        self,
        *,
        out: Iterable[str],
        uncounted: Iterable[str],
        max_unavailable: int,
        coming_back: Iterable[str] = (),
        floor: Floor | None = None,
    ) -> None:
        self._out = set(out)
        self._stay = self._out - set(coming_back)
        self._before = frozenset(self._out)
        self._uncounted = frozenset(uncounted)
        self._max_unavailable = max_unavailable
        self._floor = floor or Floor()
        self._new = set(self._uncounted)
        self._at_work: set[str] = set()
        self._changed = threading.Condition()

    @property
    def out(self) -> frozenset[str]:
        """The hosts that are out now."""
        with self._changed:
            return frozenset(self._out)

    def begin(self, wave: Iterable[str]) -> None:
        """These hosts have their part now: a new one among them may yet come to serve, others are not waited for."""
        with self._changed:
            self._at_work = set(wave)

    def take(self, host: str, check: Callable[[], None]) -> None:
        """Wait until ``host`` may be out, then count it. ``check`` is called while waiting and raises to give up.

        Raises RolloutFailed when the hosts that stay out leave no room, however long one waits.
        """
        if host in self._uncounted:
            return
        with self._changed:
            while not self._may(host):
                check()
                self._give_up_on(host)
                self._changed.wait(_LOOK_S)
            self._out.add(host)

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
            back = host not in self._before if serves is None else serves
            if back:
                self._out.discard(host)
                self._new.discard(host)
            elif host not in self._uncounted:
                self._out.add(host)
                self._stay.add(host)
            self._changed.notify_all()
