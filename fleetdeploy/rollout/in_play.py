"""One play while it goes on: its capacity, its failures, and the hosts that it has finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.observed import Traffic
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import FleetdeployError, HostError, NotHealthy, RolloutFailed
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity.capacity import Capacity
from fleetdeploy.rollout.capacity.in_service import pools_of, traffic_of, unmarked_pools
from fleetdeploy.rollout.capacity.lookout import LOOK_S, Lookout
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.finished import Finished
from fleetdeploy.rollout.outcomes import Failures


@dataclass
class Service:
    """The hosts that are ``out`` of service between two plays, and those ``told`` so by their balancer alone. ``emit``
    is told whenever a play that changes what serves has other hosts out than before.
    """

    out: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    emit: Emitter | None = None

    def capacity(self, bound: BoundPlay, new: Iterable[str], coming_back: Iterable[str] = ()) -> Capacity:
        """What the play begins with."""
        new = frozenset(new)
        total, emit = len(bound.everyone), self.emit
        floor = max(total - len(new) - bound.max_unavailable, bound.floor.in_service, 0)

        def tell(out: AbstractSet[str]) -> None:
            if emit is not None and bound.touches_traffic:
                emit(Kind.CAPACITY_CHANGED, hosts=total, out=sorted(out), floor=floor)

        return Capacity(
            out=self.out & set(bound.everyone),
            told=self.told,
            uncounted=new,
            max_unavailable=bound.max_unavailable,
            coming_back=coming_back,
            floor=bound.floor,
            tell=tell,
        )

    def note(self, bound: BoundPlay, capacity: Capacity) -> None:
        """How the play has left its hosts so far."""
        self.out = self.out - set(bound.everyone) | capacity.out
        self.told = self.told - set(bound.everyone) | capacity.told


@dataclass
class InPlay:
    """``bound`` is the play, ``finished`` what the run has finished so far, by host: a canary of an earlier play is
    watched like the hosts of this one. ``stop`` is told why no further host may be begun, ``check`` raises once none
    may; ``no_room`` is why a host could not be taken out.
    """

    bound: BoundPlay
    capacity: Capacity
    lookout: Lookout
    fleet: Fleet
    failures: Failures
    finished: dict[str, Finished]
    stop: Callable[[str], None]
    check: Callable[[], None]
    no_room: str = ""

    @classmethod
    def begin(
        cls,
        bound: BoundPlay,
        capacity: Capacity,
        fleet: Fleet,
        clock: Clock,
        *,
        failed: Iterable[str],
        finished: dict[str, Finished],
        stop: Callable[[str], None],
        check: Callable[[], None],
    ) -> InPlay:
        """``failed`` are hosts of the play that failed before it, those that could not be reached from the start
        included: the share that may fail is of these as well.
        """
        lookout = Lookout(bound.everyone if bound.touches_traffic else {}, capacity, fleet, clock)
        return cls(bound, capacity, lookout, fleet, Failures(bound.failures, failed), finished, stop, check)

    def take(self, plan: HostPlan) -> None:
        """Count a host as out before it is, once there is room by the balancers' word of these seconds.

        Raises RolloutFailed where there will be none, PreflightRefused where somebody else has the host out, and what
        ``check`` raises.
        """

        def check() -> None:
            self.check()
            try:
                self.lookout.look(within_s=LOOK_S)
            except RolloutFailed as error:
                self.stop(error.message)
                raise
            self.lookout.check_ours(plan.host.name, pools=unmarked_pools(plan))

        try:
            self.capacity.take(plan.host.name, check)
        except RolloutFailed as error:
            self.no_room = self.no_room or error.message
            if self.capacity.full:
                self.stop(error.message)
            raise
        # Only now: a host that is out by another service's pool has its place, and costs none.
        self.lookout.narrow(plan.host.name, pools_of(plan))

    def take_back(self, earlier: Finished, check: Callable[[], None], *, settle: bool = False) -> None:
        """Undo what plays before did to a host, once it may be out of service for that. Raises what ``check`` raises,
        Withheld and RolloutFailed: then it serves on. ``settle`` where the host has no other part in this play.
        """

        def may() -> None:
            check()
            self.lookout.check_ours(earlier.name)

        self.capacity.take(earlier.name, may)
        back = False
        try:
            earlier.undo()
            back = True
        finally:
            if settle:
                self.capacity.settle(earlier.name, serves=back and not earlier.kept_out)

    def fallen(self) -> list[tuple[Finished, FleetdeployError]]:
        """Asks the balancers anew; the finished hosts that are down by their word. Raises RolloutFailed."""
        if not self.bound.touches_traffic:
            return []  # it costs nobody a request; the next play that could asks again
        word = dict(self.lookout.look())
        items = [item for item in self.finished.values() if item.in_service]
        beyond = {item.name: item.run.host for item in items if item.name not in word}
        with suppress(HostError):  # about hosts that are not the play's: what it does costs them nothing
            word |= traffic_of(beyond, self.fleet)
        error = NotHealthy("its balancer holds it for down, after it had been put back")
        return [(item, error) for item in items if Traffic.DOWN in word.get(item.name, ())]

    def of_wave(self, wave: Sequence[str]) -> list[Finished]:
        """The finished hosts of a wave."""
        return [item for name, item in self.finished.items() if name in wave]

    @property
    def unbalanced(self) -> list[Finished]:
        """Finished hosts of which no balancer tells how they are."""
        items = self.finished.values()
        return [item for item in items if not (item.run.host.balancer and item.run.host.balancer.all_pools)]

    def gone_wrong(self, item: Finished, error: FleetdeployError) -> HostOutcome:
        """A finished host that does not serve any longer is taken back, if there is room, as ``on_failure`` of the play
        says that switched it over.
        """
        del self.finished[item.name]
        switched = next(part for part in item.all if part.bound is item.play)
        stays = switched.run.on_failure is OnFailure.STOP
        try:
            if not stays:
                self.lookout.check_ours(item.name)
                self.capacity.take_now(item.name)
        except FleetdeployError as second:
            reason = f"{error.message}; not taken back: {second.message}"
            item.run.emit(Kind.STEP_FAILED, reason, host=item.name, hint=error.hint)
            return HostOutcome(item.name, HostState.FAILED, reason, hint=error.hint, untouched=False, mixed=True)
        last = switched if stays else item
        return last.run.failed_later(error, last.plan, (*last.bound.rescue, *last.bound.always))
