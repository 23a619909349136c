"""What a play's tasks come to on one host: calls with checked arguments, and the work they find there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ObservedHost
from fleetdeploy.domain.plan import HostPlan, Refusal, ServicePlan
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import HostError
from fleetdeploy.tasks.step import Task

AFTER_FAILURE = frozenset({"notify", "run"})
"""The tasks that are done for a host that failed: everything else that it needs is seen to by its way back."""

UNDECIDED = " (nobody can tell whether: "
"""Follows the summary of work that only a look could decide; then why the look did not."""


@dataclass(frozen=True)
class OnFacts:
    """Conditions that only a look at a host can answer. ``holds`` raises HostError where the look does not tell.

    ``moves`` says that the run itself may change what they ask for, so that only their task's turn decides them.
    """

    holds: Callable[[ObservedHost], bool]
    moves: bool = False


@dataclass(frozen=True)
class Call:
    """A task with its checked arguments. ``hosts`` are those for which its conditions hold, None for every host, and
    ``facts`` what has to hold besides; ``once`` means once in the whole rollout; ``delegate`` is the host it is done on
    instead; ``environment`` is that of its commands.
    """

    task: Task
    arguments: BaseModel
    hosts: frozenset[str] | None = None
    label: str = ""
    once: bool = False
    delegate: Host | None = None
    facts: OnFacts | None = None
    environment: Mapping[str, str | Secret] = field(default_factory=dict)

    def concerns(self, host: str) -> bool:
        return self.hosts is None or host in self.hosts


@dataclass(frozen=True)
class Work:
    """One call on one service of the host; ``undecided`` says why nobody can tell whether it is due."""

    call: Call
    plan: ServicePlan
    summary: str
    undecided: HostError | None = None

    @property
    def name(self) -> str:
        return self.call.task.name

    @property
    def takes_out(self) -> bool:
        """Whether its host may be out of service for it: this is bound by capacity. To be put back costs none."""
        return self.call.task.touches_traffic and self.name != "undrain"

    def further(self, host: HostPlan) -> bool:
        """Whether a plan of the host has to name it beside what the host's services need."""
        return self.call.task.per_host if host.changed else self.changes

    @property
    def undoable(self) -> bool:
        """Whether there is something to take back; a call with an argument ``undo`` says so by it."""
        return not self.call.task.no_undo and getattr(self.call.arguments, "undo", True) != ()

    @property
    def changes(self) -> bool:
        """Whether it counts as a change; a task with ``only_tells`` says so by it when it changes nothing this time."""
        tells = getattr(self.call.task, "only_tells", None)
        if tells is not None and tells(self.plan, self.call.arguments):
            return False
        declared = getattr(self.call.arguments, "changes", None)
        return not self.call.task.looks_only if declared is None else bool(declared)


def work_of(
    plan: HostPlan, calls: Sequence[Call], *, changed: bool = False, seen: Callable[[], ObservedHost] | None = None
) -> tuple[Work, ...]:
    """Everything ``calls`` would do on the host, in order; a call with nothing to do is left out.

    ``changed`` says that this run has changed the host already: what goes with a change, such as a command, is due then
    although the plan holds nothing any longer. Conditions on facts are answered by ``seen``, which is asked only for
    them, or by the look that the plan was made of.
    """
    balancer = plan.host.balancer
    found = []
    for call in calls:
        if not call.concerns(plan.host.name):
            continue
        services = plan.services
        if call.task.per_host:
            due = changed or plan.changed or getattr(call.arguments, "every_time", False)
            services = services[:1] if due else ()
        mine = []
        for service in services:
            balanced = balancer is not None and bool(balancer.pools.get(service.desired.name))
            summary = call.task.summary(service, balanced, call.arguments)
            if summary:
                mine.append(Work(call, service, f"{call.label}: {summary}" if call.label else summary))
        found += _as_facts_allow(call.facts, mine, seen or (lambda: plan.observed))
    return tuple(found)


def _as_facts_allow(facts: OnFacts | None, works: list[Work], seen: Callable[[], ObservedHost]) -> list[Work]:
    """The work, unless the facts say no. What they do not tell is no reason to leave it out, nor to do it."""
    if facts is None or not works:
        return works
    looked = seen()
    try:
        return works if facts.holds(looked) else []
    except HostError as error:
        return [replace(work, summary=f"{work.summary}{UNDECIDED}{error.message})", undecided=error) for work in works]


def undecided(plan: HostPlan, calls: Sequence[Call]) -> tuple[Refusal, ...]:
    """Why ``calls`` cannot be decided on the host, for conditions on facts that no step of a run changes."""
    settled = [call for call in calls if call.facts is not None and not call.facts.moves]
    errors = [work.undecided for work in work_of(plan, settled) if work.undecided is not None]
    return tuple(dict.fromkeys(Refusal(plan.host.name, error.message, error.hint) for error in errors))
