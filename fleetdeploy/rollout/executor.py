"""Runs a playbook against a fleet: plays in order, waves in a play, hosts of a wave side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import FleetdeployError, HostError, RolloutFailed
from fleetdeploy.planning.waves import FailureBudget
from fleetdeploy.rollout.admission import before_the_run, refusals
from fleetdeploy.rollout.agreements import Agreements
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity import Capacity
from fleetdeploy.rollout.course import Progress, new_hosts, turn
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.host_run import HostRun
from fleetdeploy.rollout.interrupt import Interrupts
from fleetdeploy.rollout.outcomes import merge, serves
from fleetdeploy.rollout.side_by_side import side_by_side
from fleetdeploy.rollout.targets import Targets
from fleetdeploy.rollout.work import Call


@dataclass
class Executor:
    """One run. ``plan`` is what the fleet was seen to need when the run began; ``stopped`` why it ended early. With
    ``approve`` a person is asked before each wave, by ``ask`` what a pause asks; ``held`` is true once somebody has not
    agreed. ``recheck`` may refuse a host at every look before it is activated; it is told whether this run has changed
    anything there by then.
    """

    targets: Targets
    plan: Plan
    fleet: Fleet
    emit: Emitter
    clock: Clock
    interrupts: Interrupts
    forks: int
    approve: Callable[[str], bool] | None = None
    ask: Callable[[str], bool] = lambda _: False
    recheck: Callable[[HostPlan, bool], HostPlan] | None = None
    outcomes: dict[str, HostOutcome] = field(default_factory=dict)
    stopped: str = ""
    held: bool = False
    _agreements: Agreements = field(default_factory=Agreements)
    _out: frozenset[str] = frozenset()
    _touched: set[str] = field(default_factory=set)
    _prepared: set[str] = field(default_factory=set)
    _finished: list[HostRun] = field(default_factory=list)

    def run(self, plays: Sequence[BoundPlay]) -> Mapping[str, HostOutcome]:
        """Every host's outcome. Raises PreflightRefused, with nothing touched, when capacity forbids the run."""
        for name, reason in self.plan.unreachable.items():
            self.outcomes[name] = HostOutcome(name, HostState.UNREACHABLE, reason)
        found = before_the_run(self.plan, self.fleet, plays)
        self._out = found.out
        for bound in plays:
            for refusal in refusals(self.plan, bound, found):
                raise refusal
        for bound in plays:
            if not self._over:
                self._guarded(bound)
        for name in (name for bound in plays for name in bound.hosts):
            self.outcomes[name] = self._closed(name, self.outcomes.get(name))
        return {name: self.outcomes[name] for name in self.targets.by_name if name in self.outcomes}

    def _closed(self, name: str, outcome: HostOutcome | None) -> HostOutcome:
        """Hosts that a run which ended early never came to, or only put files on, were skipped."""
        if outcome is None:
            return HostOutcome(name, HostState.SKIPPED if self._over else HostState.OK, self.stopped)
        if self._over and outcome.state is HostState.OK and name in self.plan.changed_hosts:
            return replace(outcome, state=HostState.SKIPPED, reason=self.stopped)
        if self._over and outcome.state is HostState.CHANGED and not outcome.activated:
            why = self.stopped or "the run was interrupted"
            return replace(outcome, state=HostState.SKIPPED, reason=f"prepared, not switched over: {why}")
        return outcome

    @property
    def _over(self) -> bool:
        return bool(self.stopped or self.interrupts.requested)

    @property
    def _progress(self) -> Progress:
        """A host that failed or was passed over has no part in the plays behind."""
        lost = {name for name, outcome in self.outcomes.items() if outcome.state in {*FAILURES, HostState.SKIPPED}}
        return Progress(self._out, self._touched, self._activated, lost)

    @property
    def _activated(self) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if outcome.activated}

    def _guarded(self, bound: BoundPlay) -> None:
        """What fails between hosts, the journal above all, stops the run; the hosts so far keep their outcomes."""
        try:
            self._play(bound)
        except FleetdeployError as error:
            self.stopped = self.stopped or error.message

    def _play(self, bound: BoundPlay) -> None:
        part = turn(self.plan, bound, self._progress)
        waves = part.waves
        if not waves:
            return
        self.emit(Kind.PLAY_STARTED, bound.play.name, hosts=list(part.busy))
        capacity = Capacity(
            out=self._out & set(bound.everyone),
            uncounted=part.new,
            max_unavailable=bound.max_unavailable,
            coming_back=part.coming_back,
            floor=bound.floor,
        )
        for number, wave in enumerate(waves, 1):
            if self.approve and not self.approve(bound.question(wave, number, len(waves))):
                self.held, self.stopped = True, f"held before wave {number} of {len(waves)} of play {bound.play.name!r}"
                return
            self.emit(Kind.WAVE_STARTED, ", ".join(wave), wave=number, waves=len(waves), hosts=list(wave))
            self._wave(bound, wave, capacity)
            self._out = self._out - set(bound.everyone) | capacity.out
            if self._over:
                return
            if bound.play.soak_s and number < len(waves):
                self._soak(bound.play.soak_s)

    def _wave(self, bound: BoundPlay, wave: Sequence[str], capacity: Capacity) -> None:
        capacity.begin(wave)
        self._agreements.forget_answers()
        budget = FailureBudget(len(bound.hosts), bound.play.max_fail_percentage)

        def one(name: str) -> None:
            self._count(self._host(bound, name, capacity), bound.hosts, budget)

        side_by_side(one, wave, forks=self.forks)
        # Who does not agree to more has not asked for what went well to be taken back.
        failed = any(self.outcomes[name].state in FAILURES for name in wave if name in self.outcomes)
        if self.stopped and (failed or not self.held) and bound.play.on_failure is OnFailure.REVERT_ALL:
            self._take_back_all()

    def _host(self, bound: BoundPlay, name: str, capacity: Capacity) -> HostOutcome:
        """One host's part in one play, from a fresh look at it to its outcome."""
        run = HostRun(
            host=self.targets.by_name[name].host,
            fleet=self.fleet,
            emit=self.emit,
            clock=self.clock,
            check_stop=self._check_stop,
            take_capacity=lambda: capacity.take(name, self._check_stop),
            look=lambda: self._look(run),
            on_failure=bound.play.on_failure,
            claim=self._agreements.claim,
            ask=lambda call, text: self._asked(call, text, bound.play.name),
            changed_before=name in self.outcomes and self.outcomes[name].state is HostState.CHANGED,
        )
        if self._over:
            return HostOutcome(name, HostState.SKIPPED, self.stopped)
        try:
            plan = self._look(run)
        except HostError as error:
            capacity.settle(name, serves=False)
            return HostOutcome(name, HostState.UNREACHABLE, error.message, hint=error.hint)
        self._touched.add(name)
        outcome = run.run(plan, bound.calls, bound.always, bound.rescue)
        if run.changes:
            self._prepared.add(name)
        # A new host that was taken back serves nothing, as before.
        back_to_nothing = outcome.state is HostState.REVERTED and bool(new_hosts(self.plan, [name], self._activated))
        capacity.settle(name, serves=False if back_to_nothing else serves(outcome, bound, run.done))
        if outcome.state is HostState.CHANGED and bound.touches_traffic:
            self._finished.append(run)
        return outcome

    def _look(self, run: HostRun) -> HostPlan:
        """A host as it is now, held against what was agreed to while nothing of this run serves there yet."""
        plan = self.targets.observe_one(self.fleet, run.name)
        if self.recheck is None or run.name in self._activated or run.past_activation():
            return plan
        return self.recheck(plan, run.name in self._prepared or run.changes)

    def _count(self, outcome: HostOutcome, hosts: Sequence[str], budget: FailureBudget) -> None:
        self.outcomes[outcome.host] = merge(self.outcomes.get(outcome.host), outcome)
        data = {"state": outcome.state.value, "hint": outcome.hint, "detail": outcome.detail}
        self.emit(Kind.HOST_FINISHED, outcome.reason, host=outcome.host, **data)
        # Of this play's hosts, those that could not be reached from the start included: the share is of these as well.
        failures = sum(self.outcomes[name].state in FAILURES for name in hosts if name in self.outcomes)
        if outcome.state in FAILURES and budget.spent(failures) and not self.stopped:
            self.stopped = f"the rollout stopped after {outcome.host} failed"
            self.emit(Kind.ROLLOUT_STOPPED, outcome.reason, host=outcome.host, failures=failures)

    def _asked(self, call: Call, text: str, play: str) -> bool:
        """A person's answer, asked for once a wave. What is not a yes ends the rollout."""
        agreed = self._agreements.answer(call, text, self.ask)
        if not agreed and not self.stopped:
            self.held, self.stopped = True, f"held at a pause of play {play!r}"
        return agreed

    def _check_stop(self) -> None:
        self.interrupts.check()
        if self.stopped:
            raise RolloutFailed(self.stopped)

    def _take_back_all(self) -> None:
        """``on_failure: revert_all``: the hosts that this run finished go back too, last one first."""
        for run in reversed(self._finished):
            self.emit(Kind.REVERT_STARTED, self.stopped, host=run.name)
            try:
                run.undo()
                outcome = HostOutcome(run.name, HostState.REVERTED, self.stopped, untouched=False, taken_back=True)
            except FleetdeployError as error:
                reason = f"the revert failed: {error.message}"
                outcome = HostOutcome(
                    run.name,
                    HostState.FAILED,
                    reason,
                    error.detail,
                    error.hint,
                    untouched=False,
                    mixed=True,
                    taken_back=True,
                )
            self.outcomes[run.name] = outcome
            self.emit(Kind.HOST_FINISHED, outcome.reason, host=run.name, state=outcome.state.value, hint=outcome.hint)
        self._finished.clear()

    def _soak(self, seconds: float) -> None:
        self.emit(Kind.SOAK_STARTED, f"{seconds:g} s between waves", seconds=seconds)
        end = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end and not self.interrupts.requested:
            self.clock.wait(min(0.5, seconds))
