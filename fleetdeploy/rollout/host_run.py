"""One host's way through one play: its tasks in order, and the way back when one of them fails."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ObservedHost
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.protocols import Balancer, Clock, Fleet, HostSession
from fleetdeploy.errors import (
    FleetdeployError,
    Held,
    HostKeyRefused,
    Interrupted,
    PreflightRefused,
    RemoteCommandFailed,
    RolloutFailed,
    Unreachable,
)
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.foresight.durations import measures
from fleetdeploy.rollout.proof import check_proof
from fleetdeploy.rollout.work import AFTER_FAILURE, Call, Work, work_of
from fleetdeploy.tasks.step import Step


@dataclass
class HostRun:
    """Runs the calls of one play on one host. Every way out is a :class:`HostOutcome`; nothing escapes."""

    host: Host
    fleet: Fleet
    emit: Emitter
    clock: Clock
    check_stop: Callable[[], None]
    take_capacity: Callable[[], None]
    look: Callable[[], HostPlan]
    on_failure: OnFailure
    claim: Callable[[Call], bool] = lambda _: True
    ask: Callable[[Call, str], bool] = lambda _call, _text: False
    changed_before: bool = False
    done: list[Work] = field(default_factory=list)
    _trouble: str = ""
    _acted: bool = False

    @property
    def name(self) -> str:
        return self.host.name

    def run(
        self, plan: HostPlan, calls: Sequence[Call], always: Sequence[Call], rescue: Sequence[Call] = ()
    ) -> HostOutcome:
        """``calls`` in order, then ``always``, less the tasks that have run in this play already.

        On a host that fails, ``rescue`` and ``always`` follow when it has been taken back, as far as they are commands
        and messages: where the host serves again has been seen to by then.
        """
        if plan.refusals:
            refusal = plan.refusals[0]
            return HostOutcome(self.name, HostState.FAILED, refusal.message, hint=refusal.hint)
        try:
            plan = self._forward(plan, calls)
            ran = {work.name for work in self.done}
            self._forward(plan, [call for call in always if call.task.per_host or call.task.name not in ran])
        except (Interrupted, RolloutFailed, Held) as error:
            return self._afterwards(self._back(error), plan, always)
        except FleetdeployError as error:
            return self._afterwards(self._failed(error), plan, (*rescue, *always))
        except Exception as error:  # noqa: BLE001  a bug of ours on one host must not leave the others half-way
            return self._failed(_bug(error))
        changed = sum(work.changes for work in self.done)
        state = HostState.CHANGED if changed else HostState.OK
        return HostOutcome(
            self.name,
            state,
            untouched=not changed,
            activated=self.past_activation(),
            steps_changed=changed,
            steps_ok=len(self.done) - changed,
        )

    def _afterwards(self, outcome: HostOutcome, plan: HostPlan, calls: Sequence[Call]) -> HostOutcome:
        """What is told and run after a failure. Nothing that goes wrong here makes the outcome another one."""
        self._trouble = outcome.reason
        begun = [work.call for work in self.done]
        for call in calls if begun else ():
            if call.task.name not in AFTER_FAILURE or any(call is item for item in begun):
                continue
            for work in self._due_afterwards(plan, call):
                try:
                    self._check_decided(work)
                    if not call.once or self.claim(call):
                        self.perform(work)
                except FleetdeployError as error:
                    self.emit(Kind.STEP_FAILED, error.message, host=self.name, task=work.name, hint=error.hint)
                except Exception as error:  # noqa: BLE001  as in run
                    self.emit(Kind.STEP_FAILED, _bug(error).message, host=self.name, task=work.name)
        return outcome

    def _due_afterwards(self, plan: HostPlan, call: Call) -> tuple[Work, ...]:
        try:
            return work_of(plan, (call,), changed=True, seen=lambda: self._seen(plan))
        except FleetdeployError as error:
            self.emit(Kind.STEP_FAILED, error.message, host=self.name, task=call.task.name, hint=error.hint)
            return ()

    def _seen(self, plan: HostPlan) -> ObservedHost:
        """What a look at the host shows now; the plan's own look counts while nothing has been done since."""
        return self.look().observed if self._acted else plan.observed

    def _check_decided(self, work: Work) -> None:
        if work.undecided is not None:
            raise work.undecided

    def _forward(self, plan: HostPlan, calls: Sequence[Call]) -> HostPlan:
        """The calls in order. Returns the plan they ended with."""
        prepared = False
        for call in calls:
            if prepared and call.task.touches_traffic:
                # A container is made from an image's id and versions on disk, which are there only now.
                plan, prepared, self._acted = self._looked_again(), False, False
            changed = self.changed_before or self.changes
            for work in work_of(plan, (call,), changed=changed, seen=partial(self._seen, plan)):
                self._check_decided(work)
                if call.once and not self.claim(call):
                    continue
                if not self.past_activation():
                    self.check_stop()
                check_proof(work.name, work.plan, begun={item.name for item in self.done})
                if call.task.touches_traffic:
                    self.take_capacity()
                # Before the act: an act that stops half-way has to be undone as well.
                self.done.append(work)
                self.perform(work)
                prepared = prepared or call.task.prepares
        return plan

    def _looked_again(self) -> HostPlan:
        plan = self.look()
        if plan.refusals:
            raise PreflightRefused(plan.refusals[0].message, where=self.name, hint=plan.refusals[0].hint)
        return plan

    def perform(self, work: Work) -> None:
        """Act, between the two journal records that say so."""
        self._acted = True
        self.emit(Kind.STEP_STARTED, work.summary, host=self.name, task=work.name, service=work.plan.desired.name)
        started = self.clock.monotonic_s()
        work.call.task.act(self._step(work), work.call.arguments)
        seconds = round(self.clock.monotonic_s() - started, 3)
        self.emit(
            Kind.STEP_FINISHED, work.summary, host=self.name, task=work.name,
            service=work.plan.desired.name, seconds=seconds, **measures(work),
        )  # fmt: skip

    @property
    def changes(self) -> bool:
        """Whether anything that was begun counts as a change of the host."""
        return any(work.changes for work in self.done)

    def past_activation(self) -> bool:
        """After activation the safe end is forward: what serves is new and only has to be proven and put back."""
        return any(work.name == "activate" for work in self.done)

    def _step(self, work: Work) -> Step:
        wish = self.host.balancer
        balancer: Balancer | None = (
            self.fleet.balancer(wish) if wish and wish.pools.get(work.plan.desired.name) else None
        )
        return Step(
            session=self._session(work),
            plan=work.plan,
            run=self.emit.run,
            clock=self.clock,
            say=lambda text: self.emit(Kind.STEP_PROGRESS, text, host=self.name, task=work.name),
            balancer=balancer,
            ask=lambda text: self.ask(work.call, text),
            check=self.check_stop,
            controller=self.fleet.outside,
            committed=self.past_activation(),
            trouble=self._trouble,
            environment=work.call.environment,
        )

    def _session(self, work: Work) -> HostSession:
        """The session of the host that does the work. Another one that is out of reach is no word about this one."""
        other = work.call.delegate
        if other is None:
            return self.fleet.session(self.host)
        try:
            return self.fleet.session(other)
        except HostKeyRefused:
            raise
        except Unreachable as error:
            message = f"{other.name}, which `{work.name}` is delegated to, cannot be reached: {error.message}"
            raise RemoteCommandFailed(message, where=other.name, hint=error.hint) from error

    def _failed(self, error: FleetdeployError) -> HostOutcome:
        last = self.done[-1] if self.done else None
        data = {"hint": error.hint, "detail": error.detail, "service": last.plan.desired.name if last else ""}
        self.emit(Kind.STEP_FAILED, error.message, host=self.name, task=last.name if last else "", **data)
        if self.on_failure is OnFailure.STOP and self._touched():
            return self._outcome(HostState.FAILED, error, mixed=True)
        return self._back(error)

    def _back(self, error: FleetdeployError) -> HostOutcome:
        """Undo in reverse what was begun; a host whose way back fails stays out of its balancer."""
        own_fault = not isinstance(error, (Interrupted, RolloutFailed, Held))
        state = HostState.FAILED if own_fault else HostState.SKIPPED
        if not self._touched():
            return self._outcome(HostState.UNREACHABLE if isinstance(error, Unreachable) else state, error)
        self.emit(Kind.REVERT_STARTED, error.message, host=self.name)
        try:
            self.undo()
        except FleetdeployError as second:
            self.emit(Kind.STEP_FAILED, second.message, host=self.name, task="revert", hint=second.hint)
            state = HostState.UNREACHABLE if isinstance(second, Unreachable) else HostState.FAILED
            return self._outcome(state, error, mixed=True, more=f"; the revert failed as well: {second.message}")
        return self._outcome(HostState.REVERTED if own_fault else state, error)

    def undo(self) -> None:
        """Take back every call that was begun, last one first, of every service, whatever fails on the way.

        A host that may be in its balancer again leaves it first: nothing is taken back under traffic. A service whose
        activation cannot be taken back is not put back into its balancer. Raises the first error at the end.
        """
        errors: list[FleetdeployError] = []
        self._acted = True
        if any(work.name == "undrain" for work in self.done):
            for work in [work for work in self.done if work.name == "drain"]:
                self.perform(work)
        stuck: set[str] = set()
        for work in reversed(self.done):
            service = work.plan.desired.name
            if not work.undoable or service in stuck:
                continue
            try:
                self.emit(Kind.STEP_STARTED, f"undo {work.summary}", host=self.name, task=work.name, undo=True)
                work.call.task.undo(self._step(work), work.call.arguments)
                self.emit(Kind.STEP_FINISHED, f"undo {work.summary}", host=self.name, task=work.name, undo=True)
            except FleetdeployError as error:
                errors.append(error)
                stuck.add(service)
            except Exception as error:  # noqa: BLE001  as in run
                errors.append(_bug(error))
                stuck.add(service)
        if errors:
            raise errors[0]

    def _touched(self) -> bool:
        return any(work.undoable for work in self.done)

    def _outcome(
        self, state: HostState, error: FleetdeployError, *, mixed: bool = False, more: str = ""
    ) -> HostOutcome:
        return HostOutcome(
            self.name,
            state,
            reason=error.message + more,
            detail=error.detail,
            hint=error.hint,
            untouched=not self.changes or isinstance(error, PreflightRefused),
            mixed=mixed,
            steps_ok=max(0, len(self.done) - 1),
        )


def _bug(error: Exception) -> FleetdeployError:
    """An error that nobody expected, as one that is reported like any other."""
    return FleetdeployError(
        f"a bug in fleetdeploy: {type(error).__name__}: {error}",
        hint="please report it with the lines below",
        detail="".join(traceback.format_exception(error)),
    )
