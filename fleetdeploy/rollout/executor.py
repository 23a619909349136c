"""Runs a playbook against a fleet: plays in order, waves in a play, hosts of a wave side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState
from fleetdeploy.domain.plan import Plan
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import FleetdeployError, HostError, HostKeyRefused, PreflightRefused, RolloutFailed
from fleetdeploy.planning.waves import FailureBudget, split
from fleetdeploy.rollout.agreements import Agreements
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity import Capacity
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.host_run import HostRun
from fleetdeploy.rollout.in_service import Standing, never_served, standing
from fleetdeploy.rollout.interrupt import Interrupts
from fleetdeploy.rollout.side_by_side import side_by_side
from fleetdeploy.rollout.targets import Targets
from fleetdeploy.rollout.work import Call, work_of


@dataclass
class Executor:
    """One run. ``plan`` is what the fleet was seen to need when the run began; ``stopped`` why it ended early,
    ``taken_back`` the hosts that went well and were reverted because another one failed. With ``approve`` a person is
    asked before each wave, by ``ask`` what a pause asks; ``held`` is true once somebody has not agreed.
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
    outcomes: dict[str, HostOutcome] = field(default_factory=dict)
    stopped: str = ""
    held: bool = False
    taken_back: set[str] = field(default_factory=set)
    _agreements: Agreements = field(default_factory=Agreements)
    _out: frozenset[str] = frozenset()
    _touched: set[str] = field(default_factory=set)
    _finished: list[HostRun] = field(default_factory=list)

    def run(self, plays: Sequence[BoundPlay]) -> Mapping[str, HostOutcome]:
        """Every host's outcome. Raises PreflightRefused, with nothing touched, when capacity forbids the run."""
        for name, reason in self.plan.unreachable.items():
            self.outcomes[name] = HostOutcome(name, HostState.UNREACHABLE, reason)
        found = self._standing({name: host for bound in plays for name, host in bound.everyone.items()})
        self._out = found.out
        for bound in plays:
            self._check_withheld(bound, found.withheld)
            self._check_capacity(bound)
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

    def _standing(self, everyone: Mapping[str, Host]) -> Standing:
        """Who is in service before anything is touched; a run with nothing to do asks no balancer."""
        if not self.plan.changed_hosts:
            return Standing(frozenset(self.plan.unreachable))
        try:
            return standing(self.plan, self.fleet, everyone)
        except HostKeyRefused:
            raise
        except HostError as error:
            raise PreflightRefused(
                f"nobody can say which hosts are in service: {error.message}",
                where=error.where,
                hint=error.hint or "nothing was touched; mend the balancer first",
                detail=error.detail,
            ) from error

    def _new(self, hosts: Sequence[str]) -> frozenset[str]:
        """Hosts that never served, neither before this run nor since an earlier play of it."""
        served = {name for name, outcome in self.outcomes.items() if outcome.activated}
        return never_served(self.plan, hosts) - served

    def _guarded(self, bound: BoundPlay) -> None:
        """What fails between hosts, the journal above all, stops the run; the hosts so far keep their outcomes."""
        try:
            self._play(bound)
        except FleetdeployError as error:
            self.stopped = self.stopped or error.message

    def _play(self, bound: BoundPlay) -> None:
        busy = [name for name in bound.hosts if self._has_work(name, bound)]
        if not busy:
            return
        self.emit(Kind.PLAY_STARTED, bound.play.name, hosts=busy)
        new = self._new(bound.hosts)
        capacity = Capacity(
            out=self._out & set(bound.everyone),
            uncounted=new,
            max_unavailable=bound.max_unavailable,
            coming_back=[name for name in busy if self._has_traffic_work(name, bound)],
            floor=bound.floor,
        )
        # Hosts that are out already come first: repairing them costs no capacity and gains some. So do new ones where
        # a domain waits for them.
        first = self._out | new if bound.play.min_available.amount else self._out
        waves = split(sorted(busy, key=lambda name: name not in first), bound.play.serial)
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
            look=lambda: self.targets.observe_one(self.fleet, name),
            on_failure=bound.play.on_failure,
            claim=self._agreements.claim,
            ask=lambda call, text: self._asked(call, text, bound.play.name),
            changed_before=name in self.outcomes and self.outcomes[name].state is HostState.CHANGED,
        )
        if self._over:
            return HostOutcome(name, HostState.SKIPPED, self.stopped)
        try:
            plan = self.targets.observe_one(self.fleet, name)
        except HostError as error:
            capacity.settle(name, serves=False)
            return HostOutcome(name, HostState.UNREACHABLE, error.message, hint=error.hint)
        self._touched.add(name)
        outcome = run.run(plan, bound.calls, bound.always, bound.rescue)
        # A new host that was taken back serves nothing, as before.
        back_to_nothing = outcome.state is HostState.REVERTED and name in self._new([name])
        capacity.settle(name, serves=False if back_to_nothing else _serves(outcome, bound))
        if outcome.state is HostState.CHANGED and bound.touches_traffic:
            self._finished.append(run)
        return outcome

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

    def _check_withheld(self, bound: BoundPlay, withheld: frozenset[str]) -> None:
        """A host that a person keeps out of the balancer would be put back behind that person's back."""
        held = sorted(name for name in withheld & set(bound.hosts) if self._has_traffic_work(name, bound))
        if held:
            raise PreflightRefused(
                f"{', '.join(held)} drained or in maintenance in the balancer, and not by fleetdeploy",
                where=str(bound.play.origin),
                hint="put it back (HAProxy: set server POOL/SERVER state ready), or leave it out with --limit",
            )

    def _check_capacity(self, bound: BoundPlay) -> None:
        """Refuse when the hosts that stay out leave no room. Those that the play itself brings back come first."""
        stay = {name for name in self._out & set(bound.everyone) if not self._has_traffic_work(name, bound)}
        serving = set(bound.hosts) - self._out - never_served(self.plan, bound.hosts)
        taken = sorted(name for name in serving if self._has_traffic_work(name, bound))
        if taken and len(stay) >= bound.max_unavailable:
            why = f"{', '.join(sorted(stay))} out of service already, and " if stay else ""
            raise PreflightRefused(
                f"{why}max_unavailable is {bound.max_unavailable}: {taken[0]} cannot be taken out"
                + (" as well" if stay else ""),
                where=str(bound.play.origin),
                hint="bring them back first; --limit does not help, they count all the same"
                if stay
                else "allow at least 1",
            )
        for name in taken:
            if why := bound.floor.denies(name, out=stay):
                also = f", with {', '.join(sorted(stay))} out of service already" if stay else ""
                raise PreflightRefused(
                    f"{name} cannot be taken out{also}: {why}",
                    where=str(bound.play.origin),
                    hint="bring those back first, or let fewer be enough; --limit does not help, all hosts count",
                )

    def _take_back_all(self) -> None:
        """``on_failure: revert_all``: the hosts that this run finished go back too, last one first."""
        for run in reversed(self._finished):
            self.emit(Kind.REVERT_STARTED, self.stopped, host=run.name)
            try:
                run.undo()
                outcome = HostOutcome(run.name, HostState.REVERTED, self.stopped, untouched=False)
            except FleetdeployError as error:
                reason = f"the revert failed: {error.message}"
                outcome = HostOutcome(
                    run.name, HostState.FAILED, reason, error.detail, error.hint, untouched=False, mixed=True
                )
            self.outcomes[run.name] = outcome
            self.taken_back.add(run.name)
            self.emit(Kind.HOST_FINISHED, outcome.reason, host=run.name, state=outcome.state.value, hint=outcome.hint)
        self._finished.clear()

    def _soak(self, seconds: float) -> None:
        self.emit(Kind.SOAK_STARTED, f"{seconds:g} s between waves", seconds=seconds)
        end = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end and not self.interrupts.requested:
            self.clock.wait(min(0.5, seconds))

    def _has_work(self, name: str, bound: BoundPlay) -> bool:
        """By the first look, or, on a host that this run has changed since, by a new one.

        A host that failed or was passed over has no part in the plays behind.
        """
        plan, outcome = self.plan.hosts.get(name), self.outcomes.get(name)
        if plan is None or (outcome is not None and outcome.state in {*FAILURES, HostState.SKIPPED}):
            return False
        return name in self._touched or bool(work_of(plan, bound.calls))

    def _has_traffic_work(self, name: str, bound: BoundPlay) -> bool:
        plan = self.plan.hosts.get(name)
        return plan is not None and any(item.call.task.touches_traffic for item in work_of(plan, bound.calls))


def _serves(outcome: HostOutcome, bound: BoundPlay) -> bool | None:
    """Whether a host is in service after its part in a play; None where the play changed nothing about that."""
    if outcome.mixed or outcome.state is HostState.UNREACHABLE:
        return False
    if outcome.state is HostState.FAILED:
        return None if outcome.untouched or not bound.touches_traffic else False
    changed = outcome.state in {HostState.CHANGED, HostState.REVERTED}
    return True if changed and bound.touches_traffic else None


def merge(before: HostOutcome | None, now: HostOutcome) -> HostOutcome:
    """One host's outcome over several plays: a failure stays, a change is not hidden by a later play without one.

    A host that was only prepared when the rollout passed it over was skipped.
    """
    if before is None:
        return now
    if before.state in FAILURES:
        return before
    if now.state in FAILURES:
        activated = before.activated or now.activated
        return replace(now, untouched=before.untouched and now.untouched, activated=activated)
    skipped = now.state is HostState.SKIPPED and not before.activated
    return HostOutcome(
        now.host,
        before.state if before.state is HostState.CHANGED and not skipped else now.state,
        now.reason,
        now.detail,
        now.hint,
        untouched=before.untouched and now.untouched,
        activated=before.activated or now.activated,
        mixed=now.mixed,
        steps_changed=before.steps_changed + now.steps_changed,
        steps_ok=before.steps_ok + now.steps_ok,
    )
