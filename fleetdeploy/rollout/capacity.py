"""The capacity that must stay in service: who is out now, and who may be taken out next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from fleetdeploy.planning.waves import may_take_out

_LOOK_S = 0.5


class Capacity:
    """Hosts out of service in one play. ``uncounted`` hosts never served, so taking them costs nothing.

    Thread-safe. A host that is out already, because it is down or an earlier run drained it, keeps its place until
    it is given back healthy.
    """

    def __init__(self, *, out: Iterable[str], uncounted: Iterable[str], max_unavailable: int) -> None:
        self._out = set(out)
        self._uncounted = frozenset(uncounted)
        self._max_unavailable = max_unavailable
        self._changed = threading.Condition()

    @property
    def out(self) -> frozenset[str]:
        """The hosts that are out now."""
        with self._changed:
            return frozenset(self._out)

    def take(self, host: str, check: Callable[[], None]) -> None:
        """Wait until ``host`` may be out, then count it. ``check`` is called while waiting and raises to give up."""
        if host in self._uncounted:
            return
        with self._changed:
            while not may_take_out(host, out=frozenset(self._out), max_unavailable=self._max_unavailable):
                check()
                self._changed.wait(_LOOK_S)
            self._out.add(host)

    def give_back(self, host: str) -> None:
        """The host serves again."""
        with self._changed:
            self._out.discard(host)
            self._changed.notify_all()
