"""Which version answers which request, and who is still being answered.

The table is replaced as a whole. A replacement takes effect for new requests at once, and returns when the last request
that started on the old table has ended, for whichever model that was: see BasicManager::ServingMap and
tensorflow_serving/util/fast_read_dynamic_ptr.h. That is how an unload waits for requests in flight.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fleetdeploy.lab.modelserver.servable import Servable
from fleetdeploy.lab.modelserver.status import Code, StatusError


class Request(NamedTuple):
    """Which servable is asked for; a version of None means the largest that serves."""

    name: str
    version: int | None

    def __str__(self) -> str:
        return f"Latest({self.name})" if self.version is None else f"Specific({self.name}, {self.version})"


class _Table:
    def __init__(self, servables: Iterable[Servable]) -> None:
        self.users = 0
        self.entries: dict[Request, Servable] = {}
        for servable in sorted(servables, key=lambda each: each.id):
            self.entries[Request(*servable.id)] = servable
            self.entries[Request(servable.id.name, None)] = servable  # the last one written has the largest number


class ServingTable:
    """Look-up of servables by request."""

    def __init__(self) -> None:
        self._released = threading.Condition()
        self._table = _Table(())

    @contextmanager
    def acquire(self, request: Request) -> Iterator[Servable]:
        """Hold a servable for the time of a request. Raises NOT_FOUND."""
        with self._released:
            table = self._table
            servable = table.entries.get(request)
            if servable is None:
                raise StatusError(Code.NOT_FOUND, f"Servable not found for request: {request}")
            table.users += 1
        try:
            yield servable
        finally:
            with self._released:
                table.users -= 1
                if not table.users:
                    self._released.notify_all()

    def replace(self, servables: Iterable[Servable]) -> None:
        """Serve exactly `servables` from now on, then wait for requests that began before."""
        with self._released:
            old, self._table = self._table, _Table(servables)
            self._released.wait_for(lambda: not old.users)
