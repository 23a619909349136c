"""The watchdogs of one host in a run: when each is armed, confirmed and disarmed.

A watchdog is armed right before the first act of an activation, where there is a recorded release to go back to, and is
told that all is well once ``verify`` has recorded the new one, before the host gets requests again.

Its time runs from then on, once, and is never moved: as long as each of the tasks from ``activate`` to ``verify`` may
take by its own word, for all of the host's services, and ``confirm_timeout`` for each confirm. So it does not act while
a task may still be at work, nothing has to keep it quiet meanwhile, and a plan can tell it. A person who is asked in
between is not waited for.
Where it acts all the same while we live, it has taken the host's lease before: we change nothing more, and say why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.observed import ObservedService, Present
from fleetdeploy.domain.plan import Activation, HostPlan, Plan, ServicePlan
from fleetdeploy.domain.protocols import HostSession, Watchdog
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import FleetdeployError, HostError, LeaseLost
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.work import Call, Work

_ENDED = frozenset({WatchState.RESTORED, WatchState.FAILED})


def told_watch(seen: ObservedService) -> Watch | None:
    """The watchdog's state that a person has to know about: it counts down, it went back, or it could not."""
    watch = seen.watch.value if isinstance(seen.watch, Present) else None
    return watch if watch is not None and watch.told else None


def tell_verdicts(plan: Plan, emit: Emitter) -> None:
    """What watchdogs did since the last run, once for each host."""
    for name, host in plan.hosts.items():
        for service, seen in host.observed.services.items():
            watch = told_watch(seen)
            if watch is not None and watch.state in _ENDED:
                emit(Kind.WATCH_ENDED, watch.told, host=name, service=service, **_data(watch))


def watched_s(calls: Sequence[Call], host: str, services: Sequence[ServicePlan], *, confirm_s: float) -> float:
    """After how many seconds, in whole ones, a host that activates these services goes back: see above."""
    names = [call.task.name for call in calls]
    first = names.index("activate") if "activate" in names else len(names)
    last = len(names) - names[::-1].index("verify") if "verify" in names else len(names)
    total = confirm_s * len(services)
    for call in calls[first:last]:
        if call.concerns(host):
            concerned = services[:1] if call.task.per_host else services
            # Another host may be at what is done once for all, be awaited, and leave it to this one.
            turns = 2 if call.once else 1
            total += turns * sum(call.task.longest_s(plan, call.arguments) for plan in concerned)
    return float(math.ceil(total))


@dataclass
class Watching:
    """What one host's part in a play does with its watchdogs. Without ``confirm_timeout_s`` none is armed."""

    host: str
    session: Callable[[], HostSession]
    emit: Emitter
    confirm_timeout_s: float = 0.0
    restored: set[str] = field(default_factory=set)
    """Services whose watchdog went back before this run could."""
    took_over: bool = False
    """Whether it ended a watchdog of an earlier run, for which the host may have counted as out of service."""
    _armed: dict[str, ServicePlan] = field(default_factory=dict)

    def before(self, work: Work, host: HostPlan, calls: Sequence[Call]) -> None:
        """Arm what ``work``, which is about to begin, needs. Raises HostError; then it must not begin."""
        plan, release = work.plan, work.plan.observed.release
        if work.name != "activate" or not self.confirm_timeout_s or not isinstance(release, Present):
            return
        if plan.activation is Activation.VERIFY and not plan.undrain:
            return  # nothing is changed, and requests come in: to go back would cost some
        services = [item for item in host.services if item.activation is not Activation.NOTHING]
        after_s = watched_s(calls, self.host, services, confirm_s=self.confirm_timeout_s)
        text = f"goes back to release {release.value.id} by itself unless confirmed within {after_s:.0f} s"
        data: dict[str, Any] = {"release": plan.release_id, "back_to": release.value.id, "seconds": after_s}
        self.emit(Kind.WATCH_ARMING, host=self.host, service=plan.desired.name, **data)
        # Before the call: one whose answer is lost may have armed it.
        self._armed[plan.desired.name] = plan
        self._watchdog(plan).arm(release.value, run=self.emit.run, release=plan.release_id, after_s=after_s)
        self.emit(Kind.WATCH_ARMED, text, host=self.host, service=plan.desired.name, **data)

    def after(self, work: Work) -> None:
        """Confirm what ``work`` has proven. Raises HostError when the host has not heard it."""
        name = work.plan.desired.name
        if work.name != "verify" or name not in self._armed:
            return
        self._ending(name, "confirm")
        self._watchdog(work.plan).confirm(run=self.emit.run, deadline_s=self.confirm_timeout_s)
        release = self._armed.pop(name).release_id
        self._ended(Watch(WatchState.CONFIRMED, self.emit.run, release), f"release {release} confirmed", name)

    def take_over(self, plan: HostPlan) -> bool:
        """End what a run that is gone has armed, before it acts in the middle of ours. Whether there was anything: then
        the host is as nobody has seen it yet.
        """
        found = [service for service in plan.services if _armed_before(service)]
        for service in found:
            self._ending(service.desired.name, "disarm")
            watch = self._watchdog(service).disarm()
            if watch is not None and watch.state in _ENDED:
                self._ended(watch, watch.told, service.desired.name)
            else:
                before = service.observed.watch
                assert isinstance(before, Present)
                text = f"the watchdog of run {before.value.run} is disarmed: this run takes over"
                self._ended(before.value, text, service.desired.name)
        self.took_over = self.took_over or bool(found)
        return bool(found)

    def stand_down(self) -> Iterator[tuple[str, FleetdeployError]]:
        """Disarm all that this run has armed and not confirmed, before it goes back itself: two must not do that.

        Where the host has gone back already, its service is ``restored``. Gives the services of which nobody knows.
        """
        for name, plan in list(self._armed.items()):
            self._ending(name, "disarm")
            try:
                watch = self._watchdog(plan).disarm()
            except HostError as error:
                release = plan.observed.release
                back = f"release {release.value.id}" if isinstance(release, Present) else "what it served before"
                error.hint = f"its watchdog goes back to {back} by itself; look with `fleetdeploy status`"
                yield name, error
                continue
            del self._armed[name]
            if watch is not None and watch.run == self.emit.run and watch.state in _ENDED:
                if watch.state is WatchState.RESTORED:
                    self.restored.add(name)
                self._ended(watch, watch.told, name)
            else:
                text = "the watchdog is disarmed: this run goes back by itself"
                self._ended(Watch(WatchState.ARMED, self.emit.run, plan.release_id), text, name)

    def stood_down(self) -> str:
        """The same for a host that this run leaves as it is; what the outcome has to say of it."""
        errors = [error for _, error in self.stand_down()]
        # Without a lease what is armed is for the run that has it to take over.
        return (
            "".join(f"; its watchdog: {item.message}" for item in errors if not isinstance(item, LeaseLost)) + self.told
        )

    @property
    def told(self) -> str:
        """What the host's outcome has to say of it."""
        return "; the host's watchdog took it back" if self.restored else ""

    def _watchdog(self, plan: ServicePlan) -> Watchdog:
        return self.session().watchdog(plan.desired.wish)

    def _ending(self, service: str, how: str) -> None:
        self.emit(Kind.WATCH_ENDING, host=self.host, service=service, how=how)

    def _ended(self, watch: Watch, text: str, service: str) -> None:
        self.emit(Kind.WATCH_ENDED, text, host=self.host, service=service, **_data(watch))


def _armed_before(plan: ServicePlan) -> bool:
    watch = plan.observed.watch
    return isinstance(watch, Present) and watch.value.state is WatchState.ARMED


def _data(watch: Watch) -> dict[str, str]:
    return {"state": watch.state.value, "watched": watch.run, "release": watch.release, "reason": watch.reason}
