"""A run's leases: taken on its hosts before anything is touched, renewed while it goes on, released at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.lease import Holder, held_elsewhere
from fleetdeploy.domain.observed import ObservedHost, Present
from fleetdeploy.domain.protocols import Clock, Fleet, Leases
from fleetdeploy.errors import (
    FleetdeployError,
    HostError,
    HostKeyRefused,
    LeaseLost,
    LockHeld,
    PreflightRefused,
    Unreachable,
)
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.side_by_side import side_by_side
from fleetdeploy.rollout.targets import Targets

TTL_S = 60.0
"""How long others wait for a controller that is gone; one that lives renews in time even where renewals are lost."""

PER_HOST_S = 0.1
"""Added for every host: the renewals of a large fleet take their time."""

RENEWALS = 3
"""How often within a lease's time it is renewed, so that one may be lost, and the next be late, before the lease is."""

TICKS = 4 * RENEWALS
"""How often within that time the keeper looks which renewals are due. A renewal begins late by one tick at the most, a
quarter of the time between two; a host that does not answer is asked again at the next one, then less and less often.
"""

ROUNDS = 3
"""In so many rounds all renewals that are due are asked for, so that hosts that go silent together, and are waited for,
hold up the others no longer than that.
"""

AWAKE_S = 0.2
"""Whoever waits for another run looks this often whether a signal has come: to a person that is at once."""

PAUSE_S = 1.0
"""The least time between two attempts, each of which looks at all hosts."""

Result = TypeVar("Result")


class Unleased:
    """For a run that works on hosts without leases, as parts of one do in tests."""

    lost = False
    lost_besides = ""
    """Which host without work is another run's by now, and why; empty as long as none is."""

    def take(self, names: Collection[str], besides: Collection[str] = ()) -> frozenset[str]:  # noqa: ARG002
        """Take the leases of these hosts before anything is touched, all or none, and those of the hosts ``besides`` as
        far as they can be taken. Returns which of the latter cannot be reached any more. Raises LockHeld.
        """
        return frozenset()

    def check(self, name: str) -> None:
        """Raise LeaseLost where the host's lease is known to be lost."""

    def prove(self, name: str) -> None:
        """The same by asking the host itself, for what is done in its name where nobody else asks."""

    def overtaken(self, name: str) -> LeaseLost | None:  # noqa: ARG002
        """Why the host is another run's, where this one was late and a connection is lost: asked by a new one."""
        return None

    def lose(self, name: str, error: LeaseLost) -> None:
        """Remember that it is: no further step is begun there."""


@dataclass
class LeaseKeeper(Unleased):
    """The leases of one run. ``holder_of`` says who takes a host's; ``ttl_s`` is how long one holds by itself."""

    targets: Targets
    fleet: Fleet
    emit: Emitter
    clock: Clock
    holder_of: Callable[[Host], Holder]
    forks: int
    ttl_s: float | None = None
    _taken: list[str] = field(default_factory=list)
    _besides: frozenset[str] = frozenset()
    _renewed_s: dict[str, float] = field(default_factory=dict)
    _silent: dict[str, tuple[int, float]] = field(default_factory=dict)
    """How often in a row a host did not answer, and when it is asked again."""
    _lost: dict[str, LeaseLost] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def lost(self) -> bool:  # type: ignore[override]
        return bool(self._lost)

    @property
    def lost_besides(self) -> str:  # type: ignore[override]
        with self._lock:
            return next((f"{name}: {error.message}" for name, error in self._lost.items() if name in self._besides), "")

    @property
    def holds_s(self) -> float:
        """How long a lease of this run holds without being renewed."""
        return self.ttl_s or TTL_S + PER_HOST_S * len(self._taken)

    def take(self, names: Collection[str], besides: Collection[str] = ()) -> frozenset[str]:
        """The first host alone: of two runs with the same hosts the one that gets it gets them all, and not half each.

        Raises LockHeld, HostKeyRefused, or PreflightRefused where a lease cannot be taken for another reason; then none
        is held. A host ``besides`` whose disk is full can do without: who would take it out needs the same lease.
        """
        self._besides = frozenset(besides) - frozenset(names)
        meant, without = sorted({*names, *besides}), dict[str, HostError]()
        if meant:
            self.emit(Kind.LEASES_TAKING, hosts=meant)
        self._taken = meant

        def take(name: str) -> None:
            try:
                self._take(name)
            except HostKeyRefused:
                raise
            except HostError as error:
                if name in names:
                    raise
                without[name] = error

        try:
            for part in (meant[:1], meant[1:]):
                side_by_side(take, part, forks=self.forks)
        except (LockHeld, HostKeyRefused):
            self.release()
            raise
        except HostError as error:
            self.release()
            raise PreflightRefused(
                f"its lease cannot be taken: {error.message}",
                where=error.where,
                hint=error.hint or "nothing was touched",
                detail=error.detail,
            ) from error
        self._taken = [name for name in meant if name not in without]
        if self._taken:
            more: dict[str, Any] = {"without": sorted(without)} if without else {}
            self.emit(Kind.LEASES_TAKEN, hosts=list(self._taken), seconds=self.holds_s, **more)
        return frozenset(name for name, error in without.items() if isinstance(error, Unreachable))

    def check(self, name: str) -> None:
        with self._lock:
            error = self._lost.get(name)
        if error is not None:
            raise error

    def prove(self, name: str) -> None:
        """A host that does not answer is this run's for as long as its lease was renewed for, and no longer."""
        self._renew(name)
        self.check(name)
        with self._lock:
            last_s = self._renewed_s.get(name)
        if last_s is not None and self.clock.monotonic_s() - last_s >= self.holds_s:
            raise LeaseLost(
                f"its lease is over: it has not answered for {self.holds_s:g} s; nothing more is done in its name",
                where=name,
                hint="when it answers again, run again",
            )

    def overtaken(self, name: str) -> LeaseLost | None:
        """A takeover ends the sessions of the run before. One whose lease was renewed in time was not overtaken."""
        with self._lock:
            last_s = self._renewed_s.get(name)
        if last_s is not None and self.clock.monotonic_s() - last_s >= self.holds_s:
            self._renew(name)
        with self._lock:
            return self._lost.get(name)

    def lose(self, name: str, error: LeaseLost) -> None:
        with self._lock:
            known = name in self._lost
            self._lost.setdefault(name, error)
        if not known:
            self.emit(Kind.LEASE_LOST, error.message, host=name, hint=error.hint)

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Keep what is taken meanwhile, and let go of it at the end, however that comes."""
        over = threading.Event()
        thread = threading.Thread(target=self._renew_until, args=(over,), name="leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(self.holds_s / TICKS)  # one that still waits for a host has nothing more to say
            self.release()

    def renew(self) -> None:
        """Renew the leases that are due. Hosts that did not answer are tried again behind the others, a few at a call
        and less and less often: a lease of one that answers is never late for them.

        Nothing is given up for that: every act proves by itself that the lease is still this run's.
        """
        now_s = self.clock.monotonic_s()
        with self._lock:
            due = [name for name, last_s in self._renewed_s.items() if now_s - last_s >= self.holds_s / RENEWALS]
            due = [name for name in due if name not in self._lost]
            silent = sorted((self._silent[name][1], name) for name in due if name in self._silent)
        answering = [name for name in due if name not in self._silent]
        some = [name for again_s, name in silent if again_s <= now_s][: self.forks]
        for part in (answering, some):
            if part:
                side_by_side(self._renew, part, forks=max(self.forks, -(-len(part) // ROUNDS)))

    def release(self) -> None:
        """Let go of everything. One that cannot be released ends by itself.

        So are the hosts on which one is lost: those of its other services may still be this run's.
        """
        taken, self._taken, self._renewed_s = self._taken, [], {}
        if taken:
            self.emit(Kind.LEASES_RELEASING, hosts=taken)
        done = dict(zip(taken, side_by_side(self._release, taken, forks=self.forks), strict=True))
        names = [name for name in taken if name not in self._lost]
        if not names:
            return
        left = [name for name in names if not done[name]]
        self.emit(Kind.LEASES_RELEASED, hosts=[name for name in names if name not in left], left=left)

    def _renew_until(self, over: threading.Event) -> None:
        while not over.wait(self.holds_s / TICKS):
            self.renew()

    def _take(self, name: str) -> None:
        started_s = self.clock.monotonic_s()
        host, wishes = self.targets.place(name)
        try:
            self._leases(name).take(wishes, self.holder_of(host), ttl_s=self.holds_s)
        except HostError:
            # Whether it was taken is not known; asked again, the host says the same or takes it.
            self._leases(name).take(wishes, self.holder_of(host), ttl_s=self.holds_s)
        with self._lock:
            self._renewed_s[name] = started_s

    def _renew(self, name: str) -> None:
        started_s = self.clock.monotonic_s()
        try:
            self._leases(name).check()
        except LeaseLost as error:
            self.lose(name, error)
        except HostError:
            with self._lock:
                times = self._silent.get(name, (0, 0.0))[0]
                wait_s = min(self.holds_s / RENEWALS, (2**times - 1) * self.holds_s / TICKS)
                self._silent[name] = times + 1, self.clock.monotonic_s() + wait_s
        else:
            with self._lock:
                self._silent.pop(name, None)
                if name in self._renewed_s:
                    self._renewed_s[name] = started_s

    def _release(self, name: str) -> bool:
        host, wishes = self.targets.place(name)
        if name in self._silent:
            return False
        with suppress(FleetdeployError):
            self._leases(name).release(wishes, self.holder_of(host))
            return True
        return False

    def _leases(self, name: str) -> Leases:
        return self.fleet.session(self.targets.place(name)[0]).leases()


def check_free(host: Host, observed: ObservedHost, *, holder_of: Callable[[Host], Holder]) -> None:
    """Raise LockHeld where another run has a lease on a host that was looked at; who has ended holds nothing."""
    for service in observed.services.values():
        lease = service.lease.value if isinstance(service.lease, Present) else None
        if lease and lease.live and not holder_of(host).follows(lease.holder):
            raise held_elsewhere(host.name, lease)


def patiently(attempt: Callable[[], Result], *, clock: Clock, wait_s: float, check: Callable[[], None]) -> Result:
    """What ``attempt`` returns, tried again for ``wait_s`` seconds while it raises LockHeld. ``check`` may end that.

    Between two attempts passes at least as long as one takes: waiting shall cost hosts little.
    """
    end_s = clock.monotonic_s() + wait_s
    while True:
        started_s = clock.monotonic_s()
        try:
            return attempt()
        except LockHeld:
            now_s = clock.monotonic_s()
            if now_s >= end_s:
                raise
        next_s = min(end_s, now_s + max(PAUSE_S, now_s - started_s))
        while clock.monotonic_s() < next_s:
            check()
            clock.wait(AWAKE_S)
