"""What a run is about: hosts with their desired services, observed in parallel and planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import Absent, ObservedHost, Present, Unknown
from fleetdeploy.domain.plan import HostPlan, Plan, Refusal
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.domain.service import DesiredService, ServiceWish
from fleetdeploy.errors import HostError, HostKeyRefused, LockHeld
from fleetdeploy.planning.host import plan_host
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.side_by_side import side_by_side

Free = Callable[[Host, ObservedHost], None]
"""Raises LockHeld for a host that is another run's."""


@dataclass(frozen=True)
class Target:
    """A host and everything it shall run."""

    host: Host
    desired: tuple[DesiredService, ...]


@dataclass(frozen=True)
class Targets:
    """The hosts of a run in inventory order. ``stamp`` is the run's time for release ids, ``undecided`` says what else
    a host is refused for, once it is planned, ``drains`` which run took a host out of its balancer that it could not
    reach, where that is to be known. ``beyond`` are hosts of the same plays that the run is not about, as by
    ``--limit``: they are looked at where something is to be changed, because the plays' capacity is theirs as well.
    """

    by_name: Mapping[str, Target]
    stamp: str
    allow_remove: bool = False
    allow_signature_change: frozenset[str] = frozenset()
    again: bool = False
    undecided: Callable[[HostPlan], Sequence[Refusal]] = lambda _: ()
    drains: Drains | None = None
    beyond: Mapping[str, Host] = field(default_factory=dict)

    def place(self, name: str) -> tuple[Host, list[ServiceWish]]:
        """One of all these hosts, and the services that it shall run."""
        if target := self.by_name.get(name):
            return target.host, list(target.host.services) or [service.wish for service in target.desired]
        return self.beyond[name], list(self.beyond[name].services)

    def observe_one(self, fleet: Fleet, name: str) -> HostPlan:
        """Probe one host and plan it. Raises HostError when it cannot be probed."""
        return self._made(name, self._seen(fleet, name))

    def _seen(self, fleet: Fleet, name: str) -> ObservedHost:
        target = self.by_name[name]
        return fleet.session(target.host).observe([service.wish for service in target.desired])

    def _made(self, name: str, observed: ObservedHost) -> HostPlan:
        """The host's plan by what was seen of it."""
        target = self.by_name[name]
        return self._plan(target, self._with_debt(target.host, observed))

    def observe(
        self,
        fleet: Fleet,
        emit: Emitter,
        *,
        forks: int,
        alone: bool = False,
        check: Free = lambda _host, _observed: None,
    ) -> Plan:
        """Probe all hosts, at most ``forks`` at a time. A host that cannot be probed is listed as unreachable.

        Balancers are asked whom they keep out for a run, and where something is to be changed the hosts ``beyond`` are
        looked at too; not where the hosts are looked at ``alone``.
        Where ``check`` raises LockHeld, the hosts that have not answered yet are not waited for.
        """
        wanted, seen = list(self.by_name), dict[str, ObservedHost]()

        def look(name: str) -> HostPlan | HostError:
            found = self.attempt(fleet, emit, name, keep=seen)
            if isinstance(found, HostPlan):
                check(found.host, found.observed)
            return found

        results = side_by_side(look, wanted, forks=forks, at_once=LockHeld)
        plan = gathered(dict(zip(wanted, results, strict=True)))
        if alone:
            return plan
        news = self.drains.hear([item.host for item in plan.hosts.values()], fleet) if self.drains else ()
        again = {name: self._made(name, seen[name]) for name in news if not plan.hosts[name].refusals}
        plan = replace(plan, hosts={**plan.hosts, **again})
        if not plan.changed_hosts:
            return plan

        def look_beyond(host: Host) -> ObservedHost | None:
            try:
                observed = self._with_debt(host, fleet.session(host).observe(host.services))
            except HostError:
                return None
            check(host, observed)
            return observed

        others = side_by_side(look_beyond, list(self.beyond.values()), forks=forks, at_once=LockHeld)
        return replace(plan, beyond=dict(zip(self.beyond, others, strict=True)))

    def attempt(
        self, fleet: Fleet, emit: Emitter, name: str, *, keep: dict[str, ObservedHost] | None = None
    ) -> HostPlan | HostError:
        """Probe one host and plan it, or why it cannot be probed. A refused host key refuses the host in its plan.

        What was seen is put into ``keep``.
        """
        try:
            observed = self._seen(fleet, name)
            if keep is not None:
                keep[name] = observed
            plan = self._made(name, observed)
        except HostKeyRefused as error:
            # Never "unreachable": a host with another key is not one to go on without, but one to look at.
            refusal = Refusal(name, error.message, error.hint, error.exit_code)
            observed = ObservedHost(name, docker=Unknown(error.message))
            return HostPlan(self.by_name[name].host, observed, (), (refusal,))
        except HostError as error:
            emit(Kind.HOST_UNREACHABLE, error.message, host=name, hint=error.hint)
            return error
        emit(Kind.HOST_OBSERVED, host=name)
        return plan

    def _with_debt(self, host: Host, observed: ObservedHost) -> ObservedHost:
        """As if the host had the marker of the run that drained it behind its back, and told what it is there for."""
        run = self.drains.by(host) if self.drains else ""
        if not run:
            return observed
        marked = {
            name: replace(
                seen, owes=True, drained_by=Present(run) if isinstance(seen.drained_by, Absent) else seen.drained_by
            )
            for name, seen in observed.services.items()
        }
        return replace(observed, services=marked)

    def _plan(self, target: Target, observed: ObservedHost) -> HostPlan:
        plan = plan_host(
            target.host,
            target.desired,
            observed,
            stamp=self.stamp,
            allow_remove=self.allow_remove,
            allow_signature_change=self.allow_signature_change,
            again=self.again,
        )
        found = tuple(self.undecided(plan))
        return replace(plan, services=(), refusals=(*plan.refusals, *found)) if found else plan


def gathered(results: Mapping[str, HostPlan | HostError]) -> Plan:
    """What :meth:`Targets.attempt` gave for each host as one plan."""
    return Plan(
        {name: found for name, found in results.items() if isinstance(found, HostPlan)},
        {name: _why(found) for name, found in results.items() if isinstance(found, HostError)},
    )


def _why(error: HostError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
