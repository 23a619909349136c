"""What a run would do: the plan of the first look, held against the plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.plan import Plan
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.work import work_of


def forecast(plan: Plan, plays: Sequence[BoundPlay]) -> Forecast:
    """What ``plays`` would do with a fleet of which ``plan`` was made."""
    return Forecast(plan, further_work(plan, plays))


def further_work(plan: Plan, plays: Sequence[BoundPlay]) -> Mapping[str, tuple[str, ...]]:
    """Work that the playbook finds on a host beyond what its services need: versions to prune, commands, messages.

    What leaves a host as it is, such as a command that only looks, is no work on a host that needs nothing else.
    """
    found: dict[str, list[str]] = {}
    for bound in plays:
        for name in bound.hosts:
            host = plan.hosts.get(name)
            if host is None:
                continue
            due = [work for work in work_of(host, bound.calls) if work.further(host)]
            found.setdefault(name, []).extend(f"{work.name}: {work.summary}" for work in due)
    return {name: tuple(work) for name, work in found.items() if work}
