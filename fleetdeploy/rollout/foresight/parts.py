"""What a play is expected to do on each host, when nothing fails and nobody interferes."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from fleetdeploy.domain.forecast import Foreseen
from fleetdeploy.domain.observed import ObservedService, Present, ProvenRelease, Unknown
from fleetdeploy.domain.plan import Activation, HostPlan, ServicePlan
from fleetdeploy.planning.rollback import proven_here
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.work import Call, Work, work_of
from fleetdeploy.tasks.verify import release_of


@dataclass(frozen=True)
class Part:
    """A host's part in a play: its work in order."""

    host: str
    works: tuple[Work, ...]

    @property
    def in_traffic(self) -> bool:
        """Whether what the host serves, or whether it gets requests, can change."""
        return any(work.call.task.touches_traffic for work in self.works)

    @property
    def is_taken_out(self) -> bool:
        """Whether the host may be out of service meanwhile: this is bound by capacity."""
        return any(work.takes_out for work in self.works)

    @property
    def changes(self) -> bool:
        return any(work.changes for work in self.works)

    @property
    def activates(self) -> bool:
        return any(work.name == "activate" for work in self.works)


def part_of(host: HostPlan, bound: BoundPlay, *, changed: bool, claimed: AbstractSet[int]) -> Part:
    """What a host has to do in a play. ``changed`` says that an earlier play has changed it, ``claimed`` which calls
    (by id) some host has done for all.
    """
    works: list[Work] = []

    def add(calls: Sequence[Call]) -> None:
        for call in calls:
            if not (call.once and id(call) in claimed):
                works.extend(work_of(host, (call,), changed=changed or any(work.changes for work in works)))

    add(bound.calls)
    ran = {work.name for work in works}
    add([call for call in bound.always if call.task.per_host or call.task.name not in ran])
    return Part(host.host.name, tuple(works))


def foreseen(part: Part) -> tuple[Foreseen, ...]:
    """The host's part as a plan tells it."""
    return tuple(
        Foreseen(
            work.name, work.summary, "" if work.call.task.per_host else work.plan.desired.name, changes=work.changes
        )
        for work in part.works
    )


def afterwards(host: HostPlan, part: Part) -> HostPlan:
    """The host's plan as a new look will find it, once its part is done."""
    done: dict[str, set[str]] = {}
    for work in part.works:
        done.setdefault(work.plan.desired.name, set()).add(work.name)
    services = tuple(_afterwards(item, done.get(item.desired.name, frozenset())) for item in host.services)
    return replace(host, services=services) if done else host


def _afterwards(service: ServicePlan, done: AbstractSet[str]) -> ServicePlan:
    activation = Activation.VERIFY if "activate" in done else service.activation
    return replace(
        service,
        observed=_with_record(service) if "verify" in done else service.observed,
        stage=() if "stage" in done else service.stage,
        pull_image=service.pull_image and "pull_image" not in done,
        undrain=(service.undrain or "drain" in done) and "undrain" not in done,
        activation=Activation.NOTHING if "verify" in done else activation,
    )


def _with_record(service: ServicePlan) -> ObservedService:
    """What was seen, with the record that ``verify`` writes: what is pruned afterwards goes by it."""
    record = release_of(service, "")
    line = ProvenRelease(record.id, record.models, record.took_back)
    before = service.observed.history
    if isinstance(before, Unknown):
        return replace(service.observed, release=Present(record))
    return replace(service.observed, release=Present(record), history=Present((*proven_here(service.observed), line)))
