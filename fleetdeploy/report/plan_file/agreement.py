"""Whether a plan file still holds: before any host is contacted, before anything is touched, and host by host."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fleetdeploy.domain.plan import HostPlan, Refusal
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.errors import PlanOutdated
from fleetdeploy.report.plan_file import document
from fleetdeploy.report.plan_file.differences import Difference, differences, rows
from fleetdeploy.report.plan_file.stored import StoredPlan
from fleetdeploy.rollout.targets import Target

CONSEQUENCES = frozenset({"activation", "message", "lowest"})
"""Keys of a plan that tell most of what would be done otherwise: how a host is changed, why not, and what serves."""
DURATIONS = frozenset({"seconds", "seconds_at_least"})
"""Keys that say how long something may take. That is learnt anew from each run, and nothing is done by it."""


def as_stored(value: object, redactor: Redactor) -> dict[str, Any]:
    """A document as it stands in a file, and so as two of them can be held against each other."""
    found = json.loads(json.dumps(redactor.value(value), default=str))
    assert isinstance(found, dict)
    return found


def check_wanted(stored: StoredPlan, now: Mapping[str, object], *, again: str) -> None:
    """Before any host is contacted. Raises PlanOutdated when the inventory, the models or the playbook have changed.

    A place that had to be masked is passed over: here not every secret is known yet. It is seen when hosts were.
    """
    found = [item for item in differences(stored.wanted, now) if not item.masked]
    if found:
        raise _outdated("the inputs have changed since this was planned", found, again)


def check_fleet(
    stored: StoredPlan,
    wanted: Mapping[str, object],
    observed: Mapping[str, object],
    plan: Mapping[str, object],
    *,
    again: str,
) -> None:
    """Before anything is touched. Raises PlanOutdated when anything is not as it was when it was planned.

    What was seen comes first; below it stands what would be done otherwise because of it, in short.
    """
    inputs = differences(stored.wanted, wanted)
    fleet = differences(stored.observed, observed)
    work = differences(_foreseen(stored.plan), _foreseen(plan))
    if inputs:
        raise _outdated("the inputs have changed since this was planned", [*inputs, *fleet], again)
    if fleet:
        told = [item for item in work if CONSEQUENCES & set(item.place[-1:])]
        raise _outdated("the fleet has changed since this was planned", [*fleet, *told], again)
    if work:
        made = f"{stored.made_at} by fleetdeploy {stored.made_by}"
        message = f"the plan comes out otherwise than when it was made ({made}), by what is not in the file: a secret,"
        message += " memory in use on a GPU, or the balancer's word"
        raise _outdated(message, work, again)


def host_as_planned(
    stored: StoredPlan, targets: Mapping[str, Target], plan: HostPlan, *, prepared: bool, redactor: Redactor
) -> HostPlan:
    """A host as it is when its turn comes: as it is, or refused when it is not what the file says any more.

    ``prepared`` says that the run has put files in place there already, so that only what serves is compared.
    """
    name = plan.host.name
    hosts = stored.observed["hosts"]
    assert isinstance(hosts, dict)
    before = hosts.get(name, {})
    now = as_stored(document.observed_host(plan, targets[name]), redactor)
    if prepared:
        before, now = document.prepared_host(before), document.prepared_host(now)
    found = differences(before, now)
    if not found:
        return plan
    message = f"changed since it was planned: {'; '.join(rows(found, most=3))}"
    refusal = Refusal(name, message, "find out who works on this host, then plan again")
    return replace(plan, services=(), refusals=(refusal, *plan.refusals))


def _foreseen(plan: Mapping[str, object]) -> Mapping[str, object]:
    """A plan without how long its waves may take."""
    plays = plan.get("plays")
    if not isinstance(plays, list):
        return plan
    return {**_without(plan), "plays": [_play(play) for play in plays]}


def _play(play: object) -> object:
    if not isinstance(play, Mapping):
        return play
    waves = play.get("waves")
    return {**_without(play), "waves": [_without(wave) for wave in waves] if isinstance(waves, list) else waves}


def _without(value: object) -> Any:
    return {key: item for key, item in value.items() if key not in DURATIONS} if isinstance(value, Mapping) else value


def _outdated(message: str, found: Sequence[Difference], again: str) -> PlanOutdated:
    return PlanOutdated(message, hint=f"nothing was touched; look at what has changed, and plan again: {again}",
                        detail="\n".join(rows(found)))  # fmt: skip
