"""What a run knows of its hosts while it goes on: how each stands, and what it has done to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState
from fleetdeploy.domain.plan import Plan
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.course import Progress
from fleetdeploy.rollout.finished import Finished
from fleetdeploy.rollout.host.host_run import HostRun
from fleetdeploy.rollout.outcomes import closed, merge


@dataclass
class SoFar:
    """``touched`` hosts were looked at for their part, ``prepared`` ones were changed in some way, ``drained`` ones are
    drained by this run and may stay so, ``put_back`` ones are in their balancers by it, ``finished`` ones were changed,
    and each of their parts so far went well.
    """

    outcomes: dict[str, HostOutcome] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    prepared: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    put_back: set[str] = field(default_factory=set)
    finished: dict[str, Finished] = field(default_factory=dict)

    def state(self, name: str) -> HostState | None:
        """The host's outcome so far; None without one."""
        return self.outcomes[name].state if name in self.outcomes else None

    def failed(self, names: Iterable[str]) -> list[str]:
        """Those of the hosts that count as failures."""
        return [name for name in names if self.state(name) in FAILURES]

    def is_activated(self, name: str) -> bool:
        """Whether the host serves something new by this run."""
        return name in self.outcomes and self.outcomes[name].activated

    def finish(self, part: Finished) -> None:
        """The host's part in a play has changed it, and went well."""
        self.finished.pop(part.name, None)  # the one that was finished last is the last one
        self.finished[part.name] = part

    def forget(self, name: str) -> None:
        """All that the run did to the host is back, as if it had never gone well."""
        self.outcomes.pop(name, None)
        self.finished.pop(name, None)

    def standing(self, bound: BoundPlay) -> list[Finished]:
        """The hosts that this play was the last one to switch over and that are left so, as far as is known: also those
        that failed at something later. The last one comes first.
        """
        return [item for item in reversed(self.finished.values()) if item.play is bound and self._stands(item.name)]

    def _stands(self, name: str) -> bool:
        found = self.outcomes.get(name)
        if found is None or found.mixed:
            return False
        return found.state is HostState.CHANGED or (found.state is HostState.FAILED and found.activated)

    def progress(self, out: AbstractSet[str]) -> Progress:
        """For the plays to come: a host that failed or was passed over has no part in them."""
        lost = {name for name, item in self.outcomes.items() if item.state in {*FAILURES, HostState.SKIPPED}}
        activated = {name for name in self.outcomes if self.is_activated(name)}
        return Progress(frozenset(out), self.touched, activated, lost)

    def note(self, run: HostRun, outcome: HostOutcome) -> None:
        """What a host's part in a play has left on it."""
        if run.changes:
            self.prepared.add(run.name)
        if outcome.mixed and any(work.name == "drain" for work in run.done):
            self.drained.add(run.name)
        if outcome.state is HostState.CHANGED and any(work.name == "undrain" for work in run.done):
            self.put_back.add(run.name)

    def add(self, outcome: HostOutcome) -> None:
        """A host's outcome in one more play."""
        self.outcomes[outcome.host] = merge(self.outcomes.get(outcome.host), outcome)

    def close(self, plays: Sequence[BoundPlay], plan: Plan, *, why: str) -> None:
        """At the run's end every host of it gets an outcome. ``why`` it ended early, "" where it did not."""
        for name in (name for bound in plays for name in bound.hosts):
            planned, put_back = plan.hosts.get(name), name in self.put_back
            self.outcomes[name] = closed(self.outcomes.get(name), name, why=why, planned=planned, put_back=put_back)
