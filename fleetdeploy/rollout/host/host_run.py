"""One host's way through one play: its tasks in order, and the way back when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ObservedHost
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import FleetdeployError, InMaintenance, LeaseLost, PreflightRefused, Unreachable, Withheld
from fleetdeploy.rollout.agreements import Agreements
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.host.acting import STOPS, Acting, as_bug
from fleetdeploy.rollout.host.left_drained import LeftDrained, leave_drained
from fleetdeploy.rollout.host.proof import check_proof
from fleetdeploy.rollout.host.watching import Watching
from fleetdeploy.rollout.host.way_back import WayBack
from fleetdeploy.rollout.locks.leases import Unleased
from fleetdeploy.rollout.work import AFTER_FAILURE, Call, Work, work_of

_NOT_OF_ITSELF = (Unreachable, PreflightRefused, InMaintenance, Withheld)
"""What says nothing against a host on which the play has done nothing yet."""
KEPT_OUT = "; it stays out of its balancer: it still owes what others were switched over to"


@dataclass
class HostRun:
    """Runs the calls of one play on one host. Every way out is a :class:`HostOutcome`; nothing escapes.

    ``earlier`` takes back what the plays before did to the host; None where they left it as it was.
    """

    host: Host
    fleet: Fleet
    emit: Emitter
    clock: Clock
    check_stop: Callable[[], None]
    take_capacity: Callable[[], None]
    look: Callable[[], HostPlan]
    on_failure: OnFailure
    agreements: Agreements = field(default_factory=Agreements)
    ask: Callable[[Call, str], bool] = lambda _call, _text: False
    changed_before: bool = False
    earlier: Callable[[], None] | None = None
    confirm_timeout_s: float = 0.0
    leases: Unleased = field(default_factory=Unleased)
    done: list[Work] = field(default_factory=list)
    _acted: bool = False
    _plan: HostPlan | None = None
    _calls: Sequence[Call] = ()

    def __post_init__(self) -> None:
        prove = partial(self.leases.prove, self.name)
        self._acting = Acting(self.host, self.fleet, self.emit, self.clock, self.check_stop, self.ask, prove)
        self.watching = Watching(self.name, lambda: self.fleet.session(self.host), self.emit, self.confirm_timeout_s)

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
        self._plan, self._calls = plan, (*calls, *always)
        try:
            plan = self._forward(plan, calls)
            ran = {work.name for work in self.done}
            self._forward(plan, [call for call in always if call.task.per_host or call.task.name not in ran])
        except STOPS as error:
            return self._afterwards(self._back(error), plan, always)
        except FleetdeployError as error:
            return self._afterwards(self._failed(error), plan, (*rescue, *always))
        except Exception as error:  # noqa: BLE001  a bug of ours on one host must not leave the others half-way
            return self._failed(as_bug(error))
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
        self._acting.trouble = outcome.reason
        begun = [work.call for work in self.done]
        for call in calls if begun else ():
            if call.task.name not in AFTER_FAILURE or any(call is item for item in begun):
                continue
            for work in self._due_afterwards(plan, call):
                try:
                    self._check_decided(work)
                    self.agreements.afterwards(call, self.name, partial(self.perform, work))
                except FleetdeployError as error:
                    self._acting.tell(error, work)
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
        for call in self._calls if not self.done else ():
            if call.once and work_of(plan, (call,), changed=self.changed_before):
                self.agreements.check(call, self.name)  # before anything is begun that would have to go back for it
        for call in calls:
            if call.task.touches_traffic and (self.watching.take_over(plan) or prepared):
                # A container is made from an image's id and versions on disk, which are there only now.
                plan, prepared, self._acted = self._looked_again(), False, False
                self._plan = plan
            changed = self.changed_before or self.changes
            for work in work_of(plan, (call,), changed=changed, seen=partial(self._seen, plan)):
                self._check_decided(work)
                ready, do = partial(self._check_ready, work), partial(self._do, work, plan, calls)
                self.agreements.forward(call, self.name, do, ready)
                prepared = prepared or call.task.prepares
        return plan

    def _check_ready(self, work: Work) -> None:
        if not self.past_activation():
            self.check_stop()
        check_proof(work.name, work.plan, begun={item.name for item in self.done})
        self.leases.check(self.name)

    def _do(self, work: Work, plan: HostPlan, calls: Sequence[Call]) -> None:
        if work.takes_out:
            self.take_capacity()
        self.watching.before(work, plan, calls)
        # Before the act: an act that stops half-way has to be undone as well.
        self.done.append(work)
        try:
            self.perform(work)
        except InMaintenance as error:
            if work.takes_out and not error.told:
                self.done.pop()  # it was not taken out: there is nothing to put back
            raise
        self.watching.after(work)

    def _looked_again(self) -> HostPlan:
        plan = self.look()
        if plan.refusals:
            raise PreflightRefused(plan.refusals[0].message, where=self.name, hint=plan.refusals[0].hint)
        return plan

    def perform(self, work: Work, *, undo: bool = False) -> None:
        """Act, or take back."""
        self._acted = True
        with self.agreements.taken_back(work.call, self.name) if undo else nullcontext():
            self._acting.act(work, committed=self.past_activation(), undo=undo)

    @property
    def changes(self) -> bool:
        """Whether anything that was begun counts as a change of the host."""
        return any(work.changes for work in self.done)

    def past_activation(self) -> bool:
        """After activation the safe end is forward: what serves is new and only has to be proven and put back."""
        return any(work.name == "activate" for work in self.done)

    def _failed(self, error: FleetdeployError) -> HostOutcome:
        if isinstance(error, Unreachable):
            error = self.leases.overtaken(self.name) or error
        self._acting.tell(error)
        lost = isinstance(error, LeaseLost) and error.where == self.name
        if isinstance(error, LeaseLost) and lost:
            self.leases.lose(self.name, error)
        if lost or (self.on_failure is OnFailure.STOP and self._touched()):
            # What is there by now is the other run's, or stays as a person shall find it: no way back of either kind.
            return self._outcome(HostState.FAILED, error, mixed=True, more=self.watching.stood_down())
        return self._back(error)

    def failed_later(self, error: FleetdeployError, plan: HostPlan, calls: Sequence[Call]) -> HostOutcome:
        """A host that went well and does not serve any longer: as if it had failed by then; then ``calls``."""
        return self._afterwards(self._failed(error), plan, calls)

    def _back(self, error: FleetdeployError) -> HostOutcome:
        """Undo in reverse what was begun; a host whose way back fails stays out of its balancer."""
        own_fault = not isinstance(error, STOPS)
        state = HostState.FAILED if own_fault else HostState.SKIPPED
        # What the plays before did goes back with a host that fails, not with one that is only passed over.
        further = self.earlier if own_fault and self.on_failure is not OnFailure.STOP else None
        left = self._leave_drained()
        if not self._touched() and (further is None or isinstance(error, _NOT_OF_ITSELF)):
            state = HostState.UNREACHABLE if isinstance(error, Unreachable) else state
            more = f"{self.watching.stood_down()}{self._beside(error)}{left.told}"
            return self._outcome(state, error, left.error, mixed=left.error is not None, more=more)
        self.emit(Kind.REVERT_STARTED, error.message, host=self.name)
        try:
            self.undo()
            if further is not None:
                further()
            if left.error is not None:
                raise left.error
        except FleetdeployError as second:
            self._acting.tell(second)
            if isinstance(second, LeaseLost) and second.where == self.name:
                self.leases.lose(self.name, second)
            state = HostState.UNREACHABLE if isinstance(second, Unreachable) else HostState.FAILED
            again = isinstance(error, InMaintenance) and isinstance(second, InMaintenance)
            more = "" if again else f"; the revert failed as well: {second.message}"
            return self._outcome(state, error, second, mixed=True, more=f"{self.watching.told}{more}{left.told}")
        more = f"{self.watching.told}{KEPT_OUT if self.kept_out else ''}{left.told}"
        return self._outcome(HostState.REVERTED if own_fault and not left.told else state, error, more=more)

    def _leave_drained(self) -> LeftDrained:
        services = len(self._plan.services) if self._plan else 0
        look = lambda wishes: self.fleet.session(self.host).observe(wishes)  # noqa: E731
        return leave_drained(self.done, look, services=services)

    @property
    def kept_out(self) -> bool:
        """Whether its way back leaves the host out of its balancer, being behind the others without what failed."""
        return any(work.name == "drain" and work.plan.observed.owes for work in self.done)

    def _beside(self, error: FleetdeployError) -> str:
        """Put back what is fine on a host that failed before anything was begun; what is to be told of it."""
        if isinstance(error, (*STOPS, Unreachable, PreflightRefused)):
            return ""
        back = self._way_back()
        try:
            self.leases.check(self.name)
            back.put_back(self._undrains())
        except FleetdeployError as second:
            back.errors[:] = [second]
        return f"; nor could what is fine there be put back: {back.errors[0].message}" if back.errors else ""

    def undo(self) -> None:
        """Take back every call that was begun, of every service; one with nothing to take back is put back into its
        balancer. Raises the first error at the end.
        """
        self._acted = True
        back = self._way_back()
        back.stand_down()
        self.leases.check(self.name)
        back.undo()
        back.put_back(self._undrains())
        if back.errors:
            raise back.errors[0]

    def _way_back(self) -> WayBack:
        return WayBack(self.done, self.perform, self.watching)

    def _undrains(self) -> tuple[Work, ...]:
        calls = [call for call in self._calls if call.task.name == "undrain"]
        return work_of(self._plan, calls, seen=partial(self._seen, self._plan)) if self._plan else ()

    def _touched(self) -> bool:
        return any(work.undoable for work in self.done)

    def _outcome(
        self,
        state: HostState,
        error: FleetdeployError,
        second: FleetdeployError | None = None,
        *,
        mixed: bool = False,
        more: str = "",
    ) -> HostOutcome:
        """``second`` is what the way back ended with. The hint is about who keeps the host out, if somebody does."""
        held = next((item for item in (error, second) if isinstance(item, (InMaintenance, Withheld))), None)
        return HostOutcome(
            self.name,
            state,
            reason=error.message + more,
            detail=error.detail,
            hint=(held or error).hint,
            untouched=not self.changes or isinstance(error, PreflightRefused),
            mixed=mixed,
            withheld=held.how if held else "",
            steps_ok=max(0, len(self.done) - 1),
        )
