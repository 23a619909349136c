"""One act on a host, or its undo, between the two records of the journal that tell of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from fleetdeploy.domain.balancer import Balancer
from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import FleetdeployError, Held, Interrupted, RolloutFailed
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.foresight.durations import measures
from fleetdeploy.rollout.host.delegation import session_of
from fleetdeploy.rollout.work import Call, Work
from fleetdeploy.tasks.step import Step

STOPS = (Interrupted, RolloutFailed, Held)
"""Errors that say nothing of the host they come up on: the run ends, or a person did not agree."""


@dataclass
class Acting:
    """Acts on one host. ``prove`` raises LeaseLost where it is another run's by now, for acts that do not go there.
    ``trouble`` is why the host failed, for what is told and run afterwards.
    """

    host: Host
    fleet: Fleet
    emit: Emitter
    clock: Clock
    check_stop: Callable[[], None]
    ask: Callable[[Call, str], bool]
    prove: Callable[[], None] = lambda: None
    trouble: str = ""
    _told: list[FleetdeployError] = field(default_factory=list)

    def act(self, work: Work, *, committed: bool, undo: bool = False) -> None:
        """Do it, or take it back: what was announced gets its result. Raises FleetdeployError, also for a bug."""
        summary = f"undo {work.summary}" if undo else work.summary
        data: dict[str, object] = {"service": work.plan.desired.name, **({"undo": True} if undo else {})}
        self.emit(Kind.STEP_STARTED, summary, host=self.host.name, task=work.name, **data)
        started_s = self.clock.monotonic_s()
        do = work.call.task.undo if undo else work.call.task.act
        try:
            if work.call.delegate is not None:
                self.prove()
            do(self._step(work, committed=committed), work.call.arguments)
        except Exception as error:
            found = error if isinstance(error, FleetdeployError) else as_bug(error)
            self.tell(found, work, undo=undo)
            if found is not error:
                raise found from error
            raise
        seconds = round(self.clock.monotonic_s() - started_s, 3)
        more = {} if undo else measures(work)
        self.emit(
            Kind.STEP_FINISHED, summary, host=self.host.name, task=work.name, **data, **{"seconds": seconds, **more}
        )

    def tell(self, error: FleetdeployError, work: Work | None = None, *, undo: bool = False) -> None:
        """Record that something failed on the host, once: an act has told of its own failure. Without ``work`` it was
        between two acts.
        """
        if any(error is item for item in self._told):
            return
        self._told.append(error)
        data: dict[str, object] = {"hint": error.hint, "detail": error.detail}
        if work is not None:
            data["service"] = work.plan.desired.name
        if undo:
            data["undo"] = True
        if isinstance(error, STOPS):
            data["stopped"] = True
        task = work.name if work is not None else ""
        self.emit(Kind.STEP_FAILED, error.message, host=self.host.name, task=task, **data)

    def _step(self, work: Work, *, committed: bool) -> Step:
        wish, name = self.host.balancer, work.plan.desired.name
        balancer: Balancer | None = self.fleet.balancer(wish) if wish and wish.pools.get(name) else None
        return Step(
            session=session_of(work, self.host, self.fleet),
            plan=work.plan,
            run=self.emit.run,
            clock=self.clock,
            say=lambda text: self.emit(Kind.STEP_PROGRESS, text, host=self.host.name, task=work.name),
            balancer=balancer,
            ask=lambda text: self.ask(work.call, text),
            check=self.check_stop,
            controller=self.fleet.outside,
            committed=committed,
            trouble=self.trouble,
            environment=work.call.environment,
            progress=lambda copy: self.emit(
                Kind.COPY_PROGRESSED, host=self.host.name, task=work.name, service=name, **vars(copy)
            ),
        )


def as_bug(error: Exception) -> FleetdeployError:
    """An error that nobody expected, as one that is reported like any other."""
    return FleetdeployError(
        f"a bug in fleetdeploy: {type(error).__name__}: {error}",
        hint="please report it with the lines below",
        detail="".join(traceback.format_exception(error)),
    )
