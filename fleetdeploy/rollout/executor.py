"""Runs a playbook against a fleet: plays in order, waves in a play, hosts of a wave side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import FleetdeployError, HostError, RolloutFailed
from fleetdeploy.rollout.agreements import Agreements
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity.admission import before_the_run, refusals
from fleetdeploy.rollout.capacity.in_service import Standing, never_served
from fleetdeploy.rollout.capacity.lookout import Lookout
from fleetdeploy.rollout.course import Turn, kept, turn
from fleetdeploy.rollout.debt.owing import Owing
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.finished import Finished
from fleetdeploy.rollout.host.host_run import HostRun
from fleetdeploy.rollout.host.watching import tell_verdicts
from fleetdeploy.rollout.in_play import InPlay, Service
from fleetdeploy.rollout.interrupt import Interrupts
from fleetdeploy.rollout.locks.leases import Unleased
from fleetdeploy.rollout.outcomes import not_seen, serves
from fleetdeploy.rollout.side_by_side import side_by_side
from fleetdeploy.rollout.so_far import SoFar
from fleetdeploy.rollout.soaking import no_longer_serving, soak
from fleetdeploy.rollout.taking_back import TakingBack
from fleetdeploy.rollout.targets import Targets
from fleetdeploy.rollout.work import Call


@dataclass
class Executor:
    """One run. ``plan`` is what the fleet was seen to need when the run began; ``stopped`` why it ended early. With
    ``approve`` a person is asked before each wave, by ``ask`` what a pause asks; ``held`` is true once somebody has not
    agreed. ``recheck`` may refuse a host at every look before it is activated; it is told whether this run has changed
    anything there by then. By ``owing`` hosts that could not be reached are remembered; ``exposed`` are those of
    them that may still get requests with what they served before.
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
    stopped: str = ""
    held: bool = False
    owing: Owing | None = None
    exposed: tuple[str, ...] = ()
    leases: Unleased = field(default_factory=Unleased)
    _agreements: Agreements = field(default_factory=Agreements)
    _service: Service = field(default_factory=Service)
    _so_far: SoFar = field(default_factory=SoFar)
    _played: list[InPlay] = field(default_factory=list)

    def run(self, plays: Sequence[BoundPlay]) -> Mapping[str, HostOutcome]:
        """Every host's outcome. Raises PreflightRefused without room, InputError for a debt: nothing is touched."""
        for name, reason in self.plan.unreachable.items():
            self._so_far.add(HostOutcome(name, HostState.UNREACHABLE, reason))
        if self.owing:
            self.owing.begin(plays)
        tell_verdicts(self.plan, self.emit)
        found = before_the_run(self.plan, self.fleet, plays)
        self._begin(plays, found)
        at_work = [(bound, self._turn(bound).busy) for bound in plays]
        besides = {name for bound, busy in at_work for name in kept(self.plan, bound, busy)}
        if gone := self.leases.take({name for _, busy in at_work for name in busy}, besides):
            self._begin(plays, replace(found, out=found.out | gone))
        if self.owing:
            self.owing.go_on(self.plan, changing=any(busy for _, busy in at_work))
        for bound in plays:
            if not self._over:
                self._guarded(bound)
        why = self.stopped or "the run was interrupted"
        self._so_far.close(plays, self.plan, why=why if self._over else "")
        outcomes = self._so_far.outcomes
        if self.owing:  # hosts that could not be reached while others of their play were switched over
            self.owing.pay_the_rest(self.plan, outcomes)
            out, drained = self._service.out, self._so_far.drained
            self.exposed = self.owing.make_all(plays, outcomes, out=out, drained=drained)
        return {name: outcomes[name] for name in self.targets.by_name if name in outcomes}

    def _begin(self, plays: Sequence[BoundPlay], found: Standing) -> None:
        """Raises PreflightRefused where so little is in service that a play must not begin."""
        self._service = Service(found.out, found.told, self.emit)
        for refusal in (item for bound in plays for item in refusals(self.plan, bound, found)):
            raise refusal

    @property
    def _over(self) -> bool:
        return bool(self.stopped or self.interrupts.requested)

    def _heed_journal(self) -> None:
        """Where more would be done: a journal that cannot be written ends the run, wherever that was noticed. So does a
        host without work that is another run's by now: it may be out of service, and who else may be is not known.
        """
        self.stopped = self.stopped or self.emit.failure
        if (lost := self.leases.lost_besides) and not self.stopped:
            self._stop("the rollout stopped as a host of its plays is no longer its own", lost)

    def _turn(self, bound: BoundPlay) -> Turn:
        """The play's part of the run, as things stand."""
        return turn(self.plan, bound, self._so_far.progress(self._service.out))

    def _guarded(self, bound: BoundPlay) -> None:
        """What fails between hosts, the journal above all, stops the run; the hosts so far keep their outcomes."""
        try:
            self._play(bound)
        except FleetdeployError as error:
            self.stopped = self.stopped or error.message
            if bound.play.on_failure is OnFailure.REVERT_ALL:
                self._take_back_all()

    def _play(self, bound: BoundPlay) -> None:
        part = self._turn(bound)
        waves = part.waves
        if not waves:
            return
        self.emit(Kind.PLAY_STARTED, bound.play.name, hosts=list(part.busy), **_bounds(bound))
        now = InPlay.begin(
            bound,
            self._service.capacity(bound, part.new, part.coming_back),
            self.fleet,
            self.clock,
            failed=self._so_far.failed(bound.hosts),
            finished=self._so_far.finished,
            stop=self._stop,
            check=self._check_stop,
        )
        self._played.append(now)
        failed = False
        for number, wave in enumerate(waves, 1):
            if self.approve and not self.approve(bound.question(wave, number, len(waves))):
                self.held, self.stopped = True, f"held before wave {number} of {len(waves)} of play {bound.play.name!r}"
                return
            self._look_around(now, strict=True)
            if not self._over:
                self.emit(Kind.WAVE_STARTED, ", ".join(wave), wave=number, waves=len(waves), hosts=list(wave))
                failed = self._wave(now, wave)
            if not self._over and bound.play.soak_s and number < len(waves):
                self._soak(now, wave)
            if not self._over and now.finished and number == len(waves):
                # No wave comes behind that would ask whether what was finished still serves.
                self._look_around(now, strict=False)
                self._look_closely(now, now.unbalanced)
            self._service.note(bound, now.capacity)
            if self._over:
                break
        self.stopped = self.stopped or now.no_room
        # Who does not agree to more has not asked for what went well to be taken back.
        if self.stopped and (failed or not self.held) and bound.play.on_failure is OnFailure.REVERT_ALL:
            self._take_back_all()

    def _wave(self, now: InPlay, wave: Sequence[str]) -> bool:
        """Whether any host of the wave failed."""
        now.capacity.begin(wave)
        self._agreements.forget_answers()
        side_by_side(lambda name: self._count(now, self._host(now, name)), wave, forks=self.forks)
        return bool(self._so_far.failed(wave))

    def _look_around(self, now: InPlay, *, strict: bool) -> None:
        """Who is in service by now, and whether what this run finished still is."""
        try:
            fallen = now.fallen()
        except RolloutFailed as error:
            if strict:
                self._stop(error.message)
            return
        self._fail_late(now, fallen)

    def _host(self, now: InPlay, name: str) -> HostOutcome:
        """One host's part in one play, from a fresh look at it to its outcome."""
        bound, earlier = now.bound, self._so_far.finished.get(name)
        run = HostRun(
            host=self.targets.by_name[name].host,
            fleet=self.fleet,
            emit=self.emit,
            clock=self.clock,
            check_stop=self._check_stop,
            take_capacity=lambda: now.take(plan),
            look=lambda: self._look(run),
            on_failure=bound.play.on_failure,
            agreements=self._agreements,
            ask=lambda call, text: self._asked(call, text, bound.play.name),
            changed_before=self._so_far.state(name) is HostState.CHANGED,
            earlier=partial(self._take_back, earlier) if earlier is not None and earlier.play is not None else None,
            confirm_timeout_s=bound.play.confirm_timeout_s,
            leases=self.leases,
        )
        self._heed_journal()
        if self._over:
            return HostOutcome(name, HostState.SKIPPED, self.stopped)
        try:
            plan = self._look(run)
        except HostError as error:
            now.capacity.settle(name, serves=False)
            return not_seen(name, error)
        self._so_far.touched.add(name)
        outcome = run.run(plan, bound.calls, bound.always, bound.rescue)
        if outcome.state is HostState.SKIPPED:
            self._heed_journal()
        self._so_far.note(run, outcome)
        part = Finished(run, plan, bound, earlier)
        self._settle(now, part, outcome)
        if outcome.state is HostState.CHANGED:
            self._so_far.finish(part)
            if self.owing and bound.touches_traffic:
                self.owing.pay(plan, run.done)
        return outcome

    def _settle(self, now: InPlay, part: Finished, outcome: HostOutcome) -> None:
        back = outcome.state is HostState.REVERTED
        if back and part.play is not None:
            self._so_far.forget(part.name)
        # A new host that was taken back serves nothing, as before.
        new = back and bool(never_served(self.plan, [part.name])) and not self._so_far.is_activated(part.name)
        kept_out = back and part.kept_out
        if kept_out and self.owing:
            self.owing.owe_again(part.run.host, outcome.reason)
        done = part.done if back else part.run.done
        serving = False if new or kept_out else serves(outcome, now.bound, done)
        if serving is None and part.run.watching.took_over and outcome.state in {HostState.OK, HostState.CHANGED}:
            serving = True  # it counted as out for a watchdog that was armed there
        now.capacity.settle(part.name, serves=serving)

    def _take_back(self, earlier: Finished) -> None:
        """What the plays before did to a host that fails in this one, or that fell behind its last one."""
        now = self._played[-1]
        if now.bound.touches_traffic:
            now.take_back(earlier, self.interrupts.check)
        else:
            # It looks at no balancer and takes nobody out: the play that switched the host over says who may be.
            switching = next(item for item in self._played if item.bound is earlier.play)
            switching.take_back(earlier, self.interrupts.check, settle=True)

    def _fail_late(self, now: InPlay, wrong: Sequence[tuple[Finished, FleetdeployError]]) -> None:
        """Hosts that the run had finished and that do not serve any longer: failures like any other."""
        for item, error in wrong:
            # As ones that never went well: what they go back to is what they served before.
            del self._so_far.outcomes[item.name]
            outcome = now.gone_wrong(item, error)
            self._settle(now, item, outcome)
            self._count(now, outcome)

    def _look(self, run: HostRun) -> HostPlan:
        """A host as it is now, held against what was agreed to while nothing of this run serves there yet."""
        plan = self.targets.observe_one(self.fleet, run.name)
        if self.recheck is None or self._so_far.is_activated(run.name) or run.past_activation():
            return plan
        return self.recheck(plan, run.name in self._so_far.prepared or run.changes)

    def _count(self, now: InPlay, outcome: HostOutcome) -> None:
        self._so_far.add(outcome)
        data = {"state": outcome.state.value, "hint": outcome.hint, "detail": outcome.detail}
        self.emit(Kind.HOST_FINISHED, outcome.reason, host=outcome.host, **data)
        if outcome.state in FAILURES:
            failures, spent = now.failures.add(outcome.host)
            if spent or self.leases.lost:
                why = f"the rollout stopped after {outcome.host} failed"
                self._stop(why, outcome.reason, host=outcome.host, failures=failures)

    def _stop(self, why: str, reason: str = "", *, host: str = "", failures: int = 0) -> None:
        """No further host is begun."""
        if not self.stopped:
            self.stopped = why
            self.emit(Kind.ROLLOUT_STOPPED, reason or why, host=host, failures=failures)

    def _asked(self, call: Call, text: str, play: str) -> bool:
        """A person's answer, asked for once a wave. What is not a yes ends the rollout."""
        agreed = self._agreements.answer(call, text, self.ask)
        if not agreed and not self.stopped:
            self.held, self.stopped = True, f"held at a pause of play {play!r}"
        return agreed

    def _check_stop(self) -> None:
        self.interrupts.check()
        self._heed_journal()
        if self.stopped:
            raise RolloutFailed(self.stopped)

    def _take_back_all(self) -> None:
        """``on_failure: revert_all``: the hosts that this run finished go back too, those of the last play first."""
        played, self._played = self._played, []
        outcomes = self._so_far.outcomes
        for now in reversed(played):
            items = self._so_far.standing(now.bound)
            new = never_served(self.plan, now.bound.hosts)
            capacity = self._service.capacity(now.bound, new)
            lookout = Lookout(now.bound.everyone, capacity, self.fleet, self.clock)
            back = TakingBack(capacity, lookout, new, self.interrupts.check, self.stopped, self.owing)
            outcomes |= back.all(items, outcomes, forks=self.forks)
            self._so_far.drained |= {item.name for item in items if outcomes[item.name].mixed}
            self._service.note(now.bound, capacity)

    def _soak(self, now: InPlay, wave: Sequence[str]) -> None:
        """Wait between two waves, and see whether what was finished serves on. At the end the hosts of the last wave
        are looked at themselves.
        """
        seconds = now.bound.play.soak_s
        self.emit(Kind.SOAK_STARTED, f"{seconds:g} s between waves", seconds=seconds)
        soak(seconds, self.clock, over=lambda: self._over, look=lambda: self._look_around(now, strict=False))
        self._look_closely(now, now.of_wave(wave) if not self._over else [])

    def _look_closely(self, now: InPlay, items: Sequence[Finished]) -> None:
        if not now.bound.touches_traffic:
            return  # it costs nobody a request; the next play that could looks again
        self._fail_late(now, no_longer_serving(items, self.targets, self.fleet, self.clock, forks=self.forks))


def _bounds(bound: BoundPlay) -> Mapping[str, Any]:
    """What a play may cost at most: hosts out of service at once, where it takes any out, and hosts that fail."""
    out = {"max_unavailable": bound.max_unavailable} if bound.touches_traffic else {}
    return {**out, "may_fail": bound.failures.most}
