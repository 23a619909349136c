"""Hosts that a run could not reach while it switched others over: remembered, and kept from getting requests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import OUT_BY_ORDER, Traffic
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import BalancerSilent, HostError, InputError
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity.in_service import traffic_of
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.rollout.debt.ledger import Debt, Debts, address_of
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.work import Work

KEEP_OUT_S = 20.0


@dataclass(frozen=True)
class Owing:
    """Makes and settles debts. The file of a debt is written before the balancer is told anything.

    ``check`` raises LeaseLost for a host that is known to be another run's by now. ``left_behind`` names the hosts of a
    run of this controller that was cut off after it had switched some over: it made no debts.
    """

    drains: Drains
    fleet: Fleet
    emit: Emitter
    clock: Clock
    check: Callable[[str], None] = lambda _: None
    left_behind: Callable[[], Collection[str]] = tuple

    @property
    def debts(self) -> Debts:
        """What this controller remembers."""
        return self.drains.ledger

    def begin(self, plays: Iterable[BoundPlay]) -> None:
        """Before a run makes more debts. Raises InputError for the first host whose debt cannot be read."""
        for bound in plays:
            for name in bound.hosts:
                self.debts.of(bound.everyone[name])

    def go_on(self, plan: Plan, *, changing: bool) -> None:
        """Once no other run can change the hosts. Raises PreflightRefused where what was heard of drains, before that,
        does not hold any longer for a run that is ``changing`` something.
        """
        hosts = [item.host for item in plan.hosts.values()]
        if changing:
            self.drains.hear_again(hosts, self.fleet)
        self.drains.strike(hosts, self.fleet)

    def make_all(
        self,
        plays: Iterable[BoundPlay],
        outcomes: Mapping[str, HostOutcome],
        *,
        out: AbstractSet[str],
        drained: Collection[str],
    ) -> tuple[str, ...]:
        """What :meth:`make` does, for each play; a host that is exposed by more than one of them is told of once."""
        exposed: tuple[str, ...] = ()
        for bound in plays:
            exposed += self.make(bound, outcomes, out=out, drained=drained, but=exposed)
        return exposed

    def make(
        self,
        bound: BoundPlay,
        outcomes: Mapping[str, HostOutcome],
        *,
        out: AbstractSet[str],
        drained: Collection[str],
        but: Collection[str] = (),
    ) -> tuple[str, ...]:
        """A debt for each host of the play that could not be reached, if others were switched over, by this run or one
        before it, or if it was itself and did not go back with them.

        ``out`` are hosts that count as out of service, ``drained`` those that this run drained itself, ``but`` those
        that an earlier play's debts were told of as exposed.
        Returns the hosts that may still get requests with what they served before.
        """
        ended = [outcomes[name] for name in bound.hosts if name in outcomes]
        lost = [item for item in ended if item.state is HostState.UNREACHABLE and item.host not in but]
        if lost and not any(item.activated for item in ended):
            behind = self._behind(bound)
            lost = [item for item in lost if item.taken_back or item.host in behind]
        if not lost or not bound.touches_traffic:
            return ()
        word: Mapping[str, frozenset[Traffic]] = {}
        silence = ""
        try:
            word = traffic_of(bound.everyone, self.fleet)
        except HostError as error:
            silence = f"its balancer cannot be asked: {error.message}"
        gone = (out & set(bound.everyone)) | {name for name, seen in word.items() if seen - {Traffic.UP}}
        exposed = []
        for item in lost:
            host, seen = bound.everyone[item.host], word.get(item.host, frozenset())
            why_not = silence
            if Traffic.UP in seen:
                why_not = _no_room(host.name, bound, gone | {host.name})
            if self._make(host, item, seen, ours=host.name in drained, why_not=why_not if host.balancer else ""):
                exposed.append(host.name)
        return tuple(exposed)

    def _behind(self, bound: BoundPlay) -> frozenset[str]:
        """Those of the play's hosts that earlier runs of this controller left behind the others."""
        left = self.left_behind()
        return frozenset(name for name in bound.hosts if name in left or self._owes(bound.everyone[name]))

    def _owes(self, host: Host) -> bool:
        try:
            return self.debts.of(host) is not None
        except InputError:
            return True

    def _debt(self, host: Host, why: str) -> Debt:
        since = f"{datetime.fromtimestamp(self.clock.now_s(), tz=timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        wish = host.balancer
        return Debt(
            host.name,
            address_of(host),
            self.emit.run,
            since,
            why,
            balancer=f"{wish.kind} on {wish.host}, server {wish.server}" if wish else "",
            pools=dict(wish.pools) if wish else {},
        )

    def owe_again(self, host: Host, why: str) -> None:
        """A host that had what it owed, and was taken back from it: it is out of its balancer and stays there.

        Where that was known it is a debt of this run all the same: on the way the balancer may have been told that the
        one before is paid.
        """
        try:
            known = self.debts.of(host)
            self.debts.write(replace(self._debt(host, why), drained=True))
            if known is None:
                self._tell(host.name, "", drained=True)
        except (InputError, OSError) as error:
            self.emit(Kind.STEP_FAILED, f"what it owes cannot be remembered: {error}", host=host.name)
        if (wish := host.balancer) is not None:
            with suppress(HostError):  # without the note other controllers refuse to touch it
                self._keep_out(host, wish, ours=True)

    def _keep_out(self, host: Host, wish: BalancerWish, *, ours: bool) -> None:
        """With a note of this run, for other controllers; where the drain is ``ours`` alone it is noted as well."""
        balancer, check = self.fleet.balancer(wish), partial(self.check, host.name)
        balancer.keep_out(wish.all_pools, wish.server, run=self.emit.run, deadline_s=KEEP_OUT_S, ours=ours, check=check)

    def _make(self, host: Host, outcome: HostOutcome, seen: frozenset[Traffic], *, ours: bool, why_not: str) -> bool:
        """Whether the host may still get requests. ``why_not`` it is not drained, where it is known that it cannot."""
        back = outcome.taken_back
        try:
            before = self.debts.of(host)
        except InputError as error:
            # What is not remembered is not drained either: nobody would put it back.
            exposed = host.balancer is not None and (not seen or Traffic.UP in seen)
            self._tell(host.name, f"{error.where} {error.message}" if exposed else "", drained=False, back=back)
            return exposed
        wish = host.balancer
        debt = before or self._debt(host, outcome.reason)
        out = not seen.isdisjoint(OUT_BY_ORDER)
        drains = not seen <= OUT_BY_ORDER and not why_not
        # Where the balancer says nothing of the host, what was known of it stands.
        was = (ours and out) or (debt.drained and (out or not seen))
        # One of its pools may be a person's to put back, and then all are.
        debt = replace(debt, drained=was or (drains and not out))
        if drains or ours:
            debt = replace(debt, run=self.emit.run)
        if drains:  # announced, and done all the same where no record can be written: the host is behind the others
            self.emit(Kind.DEBT_MAKING, outcome.reason, host=host.name)
        try:
            if debt != before:
                self.debts.write(debt)
            if (drains or (ours and out)) and wish is not None:
                self._keep_out(host, wish, ours=was)
        except HostError as error:
            if drains:
                why_not = f"it could not be drained: {error.message}"
                if not isinstance(error, BalancerSilent):  # it may be out all the same, and whose that is must be known
                    self._rewrite(replace(debt, drained=was))
        except OSError as error:
            why_not = f"nothing can be remembered: {error.strerror} ({self.debts.directory})"
        if drains or debt != before or why_not:
            self._tell(host.name, why_not, drained=debt.drained and not why_not, back=back)
        return bool(why_not)

    def _rewrite(self, debt: Debt) -> None:
        """What could not be done. Where this fails the file says `drained`, and the next run puts the host back."""
        try:
            self.debts.write(debt)
        except OSError:
            return

    def _tell(self, host: str, why_not: str, *, drained: bool, back: bool = False) -> None:
        text = "owes what this run switched over to; the next run that reaches it brings it there"
        if back:
            text = "was not taken back with the others; the next run that reaches it brings it to what they serve"
        if drained:
            text += ", and puts it back into its balancer, which sends it nothing until then"
        if why_not:
            text += f"; until then it may get requests with what it {'serves' if back else 'served before'}: {why_not}"
        self.emit(Kind.DEBT_MADE, text, host=host, drained=drained, exposed=bool(why_not))

    def pay(self, plan: HostPlan, done: Sequence[Work]) -> None:
        """A part that went well: the debt is paid where it put every service back that was to be put back."""
        if not _is_whole(plan):
            return
        back = {work.plan.desired.name for work in done if work.name == "undrain"}
        wanted = {service.desired.name for service in plan.services if service.undrain}
        if back >= wanted and (wanted or any(work.name == "activate" for work in done)):
            self._settle(plan.host)

    def pay_the_rest(self, plan: Plan, outcomes: Mapping[str, HostOutcome]) -> None:
        """Hosts that were found to owe nothing, having what they shall and their requests."""
        for name, host in plan.hosts.items():
            fine = name in outcomes and outcomes[name].state is HostState.OK
            if fine and not host.changed and not host.refusals and _is_whole(host):
                self._settle(host.host)

    def _settle(self, host: Host) -> None:
        try:
            debt = self.debts.of(host)
            noted = self.drains.forget(host)
        except InputError as error:
            self.emit(Kind.STEP_FAILED, f"its debt {error}", host=host.name, hint=error.hint)
            return
        except OSError as error:
            self.emit(Kind.STEP_FAILED, f"its debt cannot be removed: {error.strerror}", host=host.name)
            return
        if debt is not None:
            self.emit(Kind.DEBT_SETTLED, f"has what it owed since {debt.since}", host=host.name, made_by=debt.run)
        elif noted:
            text = f"has what it owed since run {noted}"
            self.emit(Kind.DEBT_SETTLED, text, host=host.name, made_by=noted)


def _is_whole(plan: HostPlan) -> bool:
    """Whether it is about all services of its host. A run of some does not pay what the others owe."""
    return {item.name for item in plan.host.services} <= {item.desired.name for item in plan.services}


def _no_room(name: str, bound: BoundPlay, out: AbstractSet[str]) -> str:
    """Why the host may not be kept from its requests, although it counts among those that are ``out`` already."""
    if len(out) > bound.max_unavailable:
        return f"{len(out)} hosts are out of service, and max_unavailable is {bound.max_unavailable}"
    return bound.floor.denies(name, out=out - {name})
