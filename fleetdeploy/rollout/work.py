"""What a play's tasks come to on one host: calls with checked arguments, and the work they find there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.plan import HostPlan, ServicePlan
from fleetdeploy.tasks.step import Task

AFTER_FAILURE = frozenset({"notify", "run"})
"""The tasks that are done for a host that failed: everything else that it needs is seen to by its way back."""


@dataclass(frozen=True)
class Call:
    """A task with its checked arguments. ``hosts`` are those for which its conditions hold, None for every host;
    ``once`` means once in the whole rollout; ``delegate`` is the host it is done on instead.
    """

    task: Task
    arguments: BaseModel
    hosts: frozenset[str] | None = None
    label: str = ""
    once: bool = False
    delegate: Host | None = None

    def concerns(self, host: str) -> bool:
        return self.hosts is None or host in self.hosts


@dataclass(frozen=True)
class Work:
    """One call on one service of the host."""

    call: Call
    plan: ServicePlan
    summary: str

    @property
    def name(self) -> str:
        return self.call.task.name

    def further(self, host: HostPlan) -> bool:
        """Whether a plan of the host has to name it beside what the host's services need."""
        return self.call.task.per_host if host.changed else self.changes

    @property
    def undoable(self) -> bool:
        """Whether there is something to take back; a call with an argument ``undo`` says so by it."""
        return not self.call.task.no_undo and getattr(self.call.arguments, "undo", True) != ()

    @property
    def changes(self) -> bool:
        """Whether it counts as a change."""
        declared = getattr(self.call.arguments, "changes", None)
        return not self.call.task.looks_only if declared is None else bool(declared)


def work_of(plan: HostPlan, calls: Sequence[Call], *, changed: bool = False) -> tuple[Work, ...]:
    """Everything ``calls`` would do on the host, in order; a call with nothing to do is left out.

    ``changed`` says that this run has changed the host already: what goes with a change, such as a command, is due then
    although the plan holds nothing any longer.
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
        for service in services:
            balanced = balancer is not None and bool(balancer.pools.get(service.desired.name))
            summary = call.task.summary(service, balanced, call.arguments)
            if summary:
                found.append(Work(call, service, f"{call.label}: {summary}" if call.label else summary))
    return tuple(found)
