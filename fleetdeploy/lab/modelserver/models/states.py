"""What has become of every version: published as it happens, kept for ever, awaited by start-up and reloads.

See tensorflow_serving/core/servable_state_monitor.cc.
"""

import enum
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from fleetdeploy.lab.modelserver.servable import ServableId
from fleetdeploy.lab.modelserver.status import StatusError


class State(enum.IntEnum):
    """States as GetModelStatus reports them."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionState:
    """The last thing that is known about a version."""

    id: ServableId
    state: State
    error: StatusError | None = None
    """Why it failed to load; None in every other state and after an ordinary unload."""

    @property
    def settled(self) -> bool:
        """Whether waiting is over: it serves, or it never will."""
        return self.state in (State.AVAILABLE, State.END)


class StateBus:
    """Carries each change of state to whoever subscribed, in the thread that made it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: list[Callable[[VersionState], None]] = []

    def publish(self, state: VersionState) -> None:
        """Tell all subscribers, which must not turn to the bus themselves; all see all states in the same order."""
        with self._lock:
            for subscriber in self._subscribers:
                subscriber(state)

    def subscribe(self, subscriber: Callable[[VersionState], None]) -> None:
        """Have `subscriber` called with every state published from now on."""
        with self._lock:
            self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Callable[[VersionState], None]) -> None:
        """Undo `subscribe`; waits for a state that is being told."""
        with self._lock:
            self._subscribers.remove(subscriber)


@dataclass
class _Wait:
    names: tuple[str, ...]
    decided: list[VersionState] | None = None


class StateMonitor:
    """All states seen since it subscribed."""

    def __init__(self, bus: StateBus) -> None:
        self._bus = bus
        self._changed = threading.Condition()
        self._states: dict[str, dict[int, VersionState]] = {}
        self._waits: list[_Wait] = []
        bus.subscribe(self._note)

    def close(self) -> None:
        """Listen no more."""
        self._bus.unsubscribe(self._note)

    def versions(self, name: str) -> list[VersionState]:
        """Every version of a model that was ever seen, the highest number first; empty for an unknown model."""
        with self._changed:
            return self._versions(name)

    def version(self, servable: ServableId) -> VersionState | None:
        """State of one version, or None if it was never seen."""
        with self._changed:
            return self._states.get(servable.name, {}).get(servable.version)

    def wait_until_settled(self, names: Collection[str]) -> list[VersionState]:
        """Wait until each model has a version that serves or has ended; return the deciding version of each.

        Among settled versions of a model the highest number decides. There is no timeout, as in the real server: a
        model without versions on disk is waited for as long as the process lives.
        """
        with self._changed:
            wait = _Wait(tuple(sorted(names)))
            self._waits.append(wait)
            self._decide()
            self._changed.wait_for(lambda: wait.decided is not None)
            assert wait.decided is not None
            return wait.decided

    def _versions(self, name: str) -> list[VersionState]:
        known = self._states.get(name, {})
        return [known[version] for version in sorted(known, reverse=True)]

    def _deciding(self, name: str) -> VersionState | None:
        return next((state for state in self._versions(name) if state.settled), None)

    def _note(self, state: VersionState) -> None:
        with self._changed:
            self._states.setdefault(state.id.name, {})[state.id.version] = state
            self._decide()

    def _decide(self) -> None:
        """End waits here and not in the waiting thread, which might come too late to see a state that passes."""
        for wait in self._waits:
            found = [self._deciding(name) for name in wait.names]
            wait.decided = [state for state in found if state is not None] if None not in found else None
        if any(wait.decided is not None for wait in self._waits):
            self._waits = [wait for wait in self._waits if wait.decided is None]
            self._changed.notify_all()
