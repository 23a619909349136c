"""Whether a plan file still holds: before any host is contacted, before anything is touched, and host by host."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.plan import HostPlan, Plan, Refusal
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.errors import PlanOutdated
from fleetdeploy.report.plan import as_json
from fleetdeploy.report.plan_file import document
from fleetdeploy.report.plan_file.differences import Difference, differences, rows
from fleetdeploy.report.plan_file.stored import StoredPlan
from fleetdeploy.rollout.targets import Target
from fleetdeploy.rollout.work import UNDECIDED

CONSEQUENCES = frozenset({"activation", "message", "lowest"})
"""Keys of a plan that tell most of what would be done otherwise: how a host is changed, why not, and what serves."""
WORK = ("activation", "container", "stage", "pull_image", "undrain")
"""Keys of a service's plan that say what is done with it on its host."""
DURATIONS = frozenset({"seconds", "seconds_at_least"})
"""Keys that say how long something may take. That is learnt anew from each run, and nothing is done by it."""


def as_stored(value: object, redactor: Redactor) -> dict[str, Any]:
    """A document as it stands in a file, and so as two of them can be held against each other."""
    found = json.loads(json.dumps(redactor.value(value), default=str))
    assert isinstance(found, dict)
    return found


def check_wanted(
    then: Mapping[str, object], now: Mapping[str, object], *, again: str, since: str = "this was planned"
) -> None:
    """Before any host is contacted. Raises PlanOutdated when the inventory, the models or the playbook have changed.

    A place that had to be masked is passed over: here not every secret is known yet. It is seen when hosts were.
    """
    found = [item for item in differences(then, now) if not item.masked]
    if found:
        raise _outdated(f"the inputs have changed since {since}", found, again)


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

    What would be done is held against the file as well as what was seen: the two are looked at apart, so that nothing
    which makes another plan has to be known here. ``prepared`` says that the run has put files in place there already;
    then what serves is compared, and what is still to be done. A host that is refused anyway keeps its own words.
    """
    if plan.refusals:
        return plan
    name = plan.host.name
    seen, work = _of_host(stored.observed, name), _work(_of_host(stored.plan, name))
    seen_now = as_stored(document.observed_host(plan, targets[name]), redactor)
    made = as_json.plan(Forecast(Plan({name: plan})))
    work_now = _work(_of_host(as_stored(made, redactor), name))
    if prepared:
        pulled = {service for service, item in work.items() if item["pull_image"]}
        work, work_now = _prepared_work(work, work, pulled), _prepared_work(work_now, work, pulled)
        seen, seen_now = (document.prepared_host(item, pulled=pulled) for item in (seen, seen_now))
    found = (*differences(seen, seen_now), *differences({"services": work}, {"services": work_now}))
    if not found:
        return plan
    message = f"changed since it was planned: {'; '.join(rows(found, most=3))}"
    refusal = Refusal(name, message, "find out who works on this host, then plan again")
    return replace(plan, services=(), refusals=(refusal, *plan.refusals))


def _of_host(document: Mapping[str, object], name: str) -> Mapping[str, Any]:
    hosts = document["hosts"]
    found = hosts.get(name) if isinstance(hosts, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _work(host: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What is done with each service."""
    services = host.get("services", {})
    return {name: {key: service.get(key) for key in WORK} for name, service in services.items()}


def _prepared_work(
    work: Mapping[str, Mapping[str, Any]], planned: Mapping[str, Mapping[str, Any]], pulled: Collection[str]
) -> dict[str, dict[str, Any]]:
    """The same of a host where the run has begun: of versions, those that it was not going to put in place.

    An image that was still to be pulled has got its id by then.
    """
    found = {}
    for name, service in work.items():
        foreseen = [_version(item) for item in planned[name]["stage"]] if name in planned else []
        unforeseen = [item for item in service["stage"] if _version(item) not in foreseen]
        container = {key: item for key, item in service["container"].items() if key != "image_id" or name not in pulled}
        found[name] = {"activation": service["activation"], "container": container, "stage": unforeseen}
    return found


def _version(item: Mapping[str, object]) -> tuple[object, object]:
    return item["model"], item["version"]


def _foreseen(plan: Mapping[str, object]) -> Mapping[str, object]:
    """A plan without how long its waves may take, and without why something could not be read: that is worded anew
    each time.
    """
    plays, hosts = plan.get("plays"), plan.get("hosts")
    assert isinstance(hosts, Mapping), "see stored.read"
    rest = {**_without(plan), "hosts": {name: _unworded(host) for name, host in hosts.items()}}
    return {**rest, "plays": [_play(play) for play in plays]} if isinstance(plays, list) else rest


def _unworded(host: object) -> object:
    """A host's plan in which of what is unknown only that it is stands, and of which models."""

    def service(value: object) -> object:
        return _with(value, "server", lambda server: _with(server, "unread", _each(lambda _: document.UNKNOWN)))

    host = _with(host, "services", _each(service))
    host = _with(host, "signatures", _each(lambda found: _with(found, "unknown", bool)))
    return _with(host, "further", _each(lambda work: str(work).partition(UNDECIDED)[0]))


def _with(value: object, key: str, change: Callable[[Any], object]) -> object:
    return {**value, key: change(value[key])} if isinstance(value, Mapping) and key in value else value


def _each(change: Callable[[Any], object]) -> Callable[[Any], object]:
    """``change`` for each value of a mapping or a list; what is neither stays, as a file may hold anything."""

    def changed(values: object) -> object:
        if isinstance(values, Mapping):
            return {key: change(item) for key, item in values.items()}
        return [change(item) for item in values] if isinstance(values, list) else values

    return changed


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
