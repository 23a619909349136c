"""One play while it goes on: its capacity, its failures, and the hosts that it has finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.observed import Traffic
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import FleetdeployError, NotHealthy, RolloutFailed
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity.capacity import Capacity
from fleetdeploy.rollout.capacity.in_service import drained_by_us
from fleetdeploy.rollout.capacity.lookout import LOOK_S, Lookout
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.host.host_run import HostRun
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


@dataclass(frozen=True)
class Finished:
    """A host that the play changed and that went well, with the plan that its part began with."""

    run: HostRun
    plan: HostPlan

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def in_service(self) -> bool:
        """Whether the play left it serving what was proven there; a command alone brings no host into service."""
        done = {work.name for work in self.run.done if work.call.task.touches_traffic}
        return bool(done) and ("activate" not in done or "verify" in done)


@dataclass
class InPlay:
    """``bound`` is the play, ``finished`` grows while it goes on. ``stop`` is told why no further host may be begun,
    ``check`` raises once none may; ``no_room`` is why a host could not be taken out.
    """

    bound: BoundPlay
    capacity: Capacity
    lookout: Lookout
    failures: Failures
    stop: Callable[[str], None]
    check: Callable[[], None]
    finished: list[Finished] = field(default_factory=list)
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
        stop: Callable[[str], None],
        check: Callable[[], None],
    ) -> InPlay:
        """``failed`` are hosts of the play that failed before it, those that could not be reached from the start
        included: the share that may fail is of these as well.
        """
        lookout = Lookout(bound.everyone if bound.touches_traffic else {}, capacity, fleet, clock)
        return cls(bound, capacity, lookout, Failures(bound.failures, failed), stop, check)

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
            if not drained_by_us(plan):
                self.lookout.check_ours(plan.host.name)

        try:
            self.capacity.take(plan.host.name, check)
        except RolloutFailed as error:
            self.no_room = self.no_room or error.message
            if self.capacity.full:
                self.stop(error.message)
            raise

    def fallen(self) -> list[tuple[Finished, FleetdeployError]]:
        """Asks the balancers anew; the finished hosts that are down by their word. Raises RolloutFailed."""
        word = self.lookout.look()
        error = NotHealthy("its balancer holds it for down, after it had been put back")
        return [(item, error) for item in self.finished if item.in_service and Traffic.DOWN in word.get(item.name, ())]

    @property
    def unbalanced(self) -> list[Finished]:
        """Finished hosts of which no balancer tells how they are."""
        return [item for item in self.finished if not (item.run.host.balancer and item.run.host.balancer.all_pools)]

    def gone_wrong(self, item: Finished, error: FleetdeployError) -> HostOutcome:
        """A finished host that does not serve any longer is taken back as ``on_failure`` says, if there is room."""
        self.finished.remove(item)
        try:
            if self.bound.play.on_failure is not OnFailure.STOP:
                self.lookout.check_ours(item.name)
                self.capacity.take_now(item.name)
        except FleetdeployError as second:
            reason = f"{error.message}; not taken back: {second.message}"
            item.run.emit(Kind.STEP_FAILED, reason, host=item.name, hint=error.hint)
            return HostOutcome(item.name, HostState.FAILED, reason, hint=error.hint, untouched=False, mixed=True)
        return item.run.failed_later(error, item.plan, (*self.bound.rescue, *self.bound.always))
