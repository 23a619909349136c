"""Whether a host can go through the tasks that were chosen: what ``activate`` needs is brought there before it, and
nothing is proven or put back that was not activated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleetdeploy.domain.plan import Activation, HostPlan, Refusal, ServicePlan
from fleetdeploy.errors import NotHealthy
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.foresight.parts import afterwards, part_of
from fleetdeploy.rollout.host.proof import check_proof

_HINT = "choose the task `{task}` as well (--tags, --skip-tags, --start-at-task, `when`), or run it first"
_NEW_CONTAINER = frozenset({Activation.START, Activation.REPLACE})


def unprepared(plays: Sequence[BoundPlay], plan: HostPlan) -> tuple[Refusal, ...]:
    """A refusal for everything that would be missing on the host once ``activate`` comes; it would fail there."""
    done = _before_activate(plays, plan.host.name)
    if done is None:
        return ()
    found = (_lacking(service) for service in plan.services)
    return tuple(
        Refusal(plan.host.name, f"{what}, and no `{task}` comes before `activate`", _HINT.format(task=task))
        for lacking in found
        for task, what in lacking
        if task not in done
    )


def unproven(plays: Sequence[BoundPlay], plan: HostPlan) -> tuple[Refusal, ...]:
    """A refusal where a run would come to a ``verify`` or an ``undrain`` that :func:`check_proof` refuses."""
    host = plan.host.name
    for bound in plays:
        if host not in bound.hosts:
            continue
        part = part_of(plan, bound, changed=True, claimed=frozenset())
        begun: set[str] = set()
        for work in part.works:
            try:
                check_proof(work.name, work.plan, begun=begun)
            except NotHealthy as error:
                return (Refusal(host, error.message, error.hint),)
            begun.add(work.name)
        plan = afterwards(plan, part)
    return ()


def _before_activate(plays: Sequence[BoundPlay], host: str) -> frozenset[str] | None:
    """The tasks that the host goes through before it is first activated; None when it is not."""
    names: list[str] = []
    for bound in plays:
        for call in bound.calls if host in bound.hosts else ():
            if not call.concerns(host):
                continue
            if call.task.name == "activate":
                return frozenset(names)
            names.append(call.task.name)
    return None


def _lacking(service: ServicePlan) -> Iterator[tuple[str, str]]:
    """The task that brings what the service's activation lacks on the host, and what that is."""
    if service.activation is Activation.VERIFY:
        return
    for item in service.stage[:1]:
        more = f" and {len(service.stage) - 1} more" if len(service.stage) > 1 else ""
        yield "stage", f"version {item.version.number} of {item.model}{more} is not on the host"
    if service.pull_image and service.activation in _NEW_CONTAINER:
        yield "pull_image", f"the image {service.desired.wish.image} is not on the host"
