"""Everything that a plan rests on, as JSON values that two looks can be held against each other by.

``wanted`` is what the inventory, the models and the playbook say: it is known before any host is contacted.
``observed`` is what the hosts were seen to have, as far as a plan depends on it; readings that change by themselves
(free space, memory in use, the clock) are left out. Neither holds a secret: of one that has changed, the plan tells
where something else would be done. Of a web address only its host is there, as the rest of it may be secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    DockerFacts,
    Gpu,
    ObservedService,
    Present,
    Reading,
    VersionOnDisk,
    VersionState,
)
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.playbook import Play, TaskCall
from fleetdeploy.domain.service import LABEL_RELEASE, LABEL_SPEC, DesiredModel, DesiredService
from fleetdeploy.report.plan_file.plain import digest, plain
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.targets import Target
from fleetdeploy.rollout.work import Call

UNKNOWN = "unknown"
_TOLD_OTHERWISE = ("tasks", "always", "rescue", "origin", "hosts_origin", "variables", "hosts")
"""Of a play: what is told of its calls and hosts instead, and variables, which are seen in what they make."""


def wanted(
    targets: Mapping[str, Target], plays: Sequence[BoundPlay], inventory: Mapping[str, Host]
) -> dict[str, object]:
    """What every host shall run, and every play with its hosts and tasks. ``inventory`` has all hosts by name."""
    return {
        "hosts": {name: _target(target) for name, target in targets.items()},
        "other_hosts": {name: _connection(inventory[name]) for name in _others(targets, plays)},
        "plays": [_play(bound) for bound in plays],
    }


def observed(plan: Plan, targets: Mapping[str, Target]) -> dict[str, object]:
    """What every host of the plan was seen to have, and which could not be seen."""
    return {
        "hosts": {name: observed_host(host, targets[name]) for name, host in plan.hosts.items()},
        "unreachable": dict(plan.unreachable),
    }


def observed_host(plan: HostPlan, target: Target) -> dict[str, object]:
    """What one host was seen to have. ``image`` is the id behind the name of the image that is wanted."""
    services = {}
    for service in target.desired:
        seen = plan.observed.services.get(service.name) or ObservedService(service.name)
        image = _read(plan.observed.docker, partial(_image, service.wish.image))
        services[service.name] = {"observed": {**_observed(seen, service), "image": image}}
    return {"gpus": _read(plan.observed.gpus, lambda gpus: [_gpu(gpu) for gpu in gpus]), "services": services}


def prepared_host(document: Mapping[str, object], *, pulled: Collection[str] = ()) -> dict[str, object]:
    """Of what :func:`observed_host` says: what stays while a run only puts files in place and takes traffic away.

    Of the services ``pulled`` the image was not there yet, so that which one it is now is no difference.
    """
    services = document.get("services")
    assert isinstance(services, dict)
    kept = ("container", "config", "release", "served", "image")
    return {
        "services": {
            name: {"observed": {key: item["observed"].get(key) for key in kept if key != "image" or name not in pulled}}
            for name, item in services.items()
        }
    }


# What is wanted


def _target(target: Target) -> dict[str, object]:
    host = target.host
    return {
        "connection": _connection(host),
        "balancer": plain(host.balancer),
        "gpus": plain(host.gpus),
        "services": {service.name: {"wanted": _desired(service)} for service in target.desired},
    }


def _others(targets: Mapping[str, Target], plays: Sequence[BoundPlay]) -> list[str]:
    """The hosts that something is done on for others: of balancers, and those that tasks are delegated to."""
    fleet = [
        *(target.host for target in targets.values()),
        *(host for play in plays for host in play.everyone.values()),
    ]
    calls = [call for play in plays for call in (*play.calls, *play.rescue, *play.always)]
    names = {host.balancer.host for host in fleet if host.balancer}
    return sorted(names | {call.delegate.name for call in calls if call.delegate})


def _connection(host: Host) -> dict[str, object]:
    """Which machine is meant. Who logs in, and with which key, is no part of a plan."""
    found = host.connection
    return {"address": found.address, "port": found.port, "proxy_jump": found.proxy_jump, "become": found.become}


def _desired(service: DesiredService) -> dict[str, object]:
    wish = plain(service.wish, without=("models", "where", "name"))
    assert isinstance(wish, dict)
    return {
        **wish,
        "config": _hash(service.config_shown or service.config_text),
        "models": {model.name: _model(model, service) for model in service.models},
    }


def _model(model: DesiredModel, service: DesiredService) -> dict[str, object]:
    (wish,) = (item for item in service.wish.models if item.name == model.name)
    # Where it lies on this machine is no part of what is shipped.
    rest = plain(wish, without=("name", "source", "golden", "places", "versions", "labels"))
    assert isinstance(rest, dict)
    return {
        **rest,
        "versions": {str(version.number): version.manifest.digest for version in model.versions},
        "labels": plain(model.labels),
        "golden": digest([asdict(request) for request in model.golden]),
    }


def _play(bound: BoundPlay) -> dict[str, object]:
    play = bound.play
    own = {field.name: plain(getattr(play, field.name)) for field in fields(Play) if field.name not in _TOLD_OTHERWISE}
    return {
        **own,
        "hosts": list(bound.hosts),
        "everyone": list(bound.everyone),
        "domains": plain(bound.domains),
        "tasks": _calls(bound.calls, play.tasks),
        "rescue": _calls(bound.rescue, play.rescue),
        "always": _calls(bound.always, play.always),
    }


def _calls(calls: Sequence[Call], tasks: Sequence[TaskCall]) -> list[dict[str, object]]:
    """The tasks by what they are, with their conditions as they are written: each call is made of one task."""
    return [
        {"task": call.task.name, "when": [when.text for when in task.when], **_call(call)}
        for call, task in zip(calls, tasks, strict=True)
    ]


def _call(call: Call) -> dict[str, object]:
    rest = plain(call, without=("task", "facts"))
    assert isinstance(rest, dict)
    return rest


# What was seen


def _observed(seen: ObservedService, desired: DesiredService) -> dict[str, object]:
    return {
        "container": _read(seen.container, _container),
        "previous": _read(seen.previous, _container),
        "config": _config(seen, desired),
        "release": _read(seen.release, lambda release: release.id),
        "served": {model: _read(seen.served.get(model, Absent()), _states) for model in sorted(seen.served)},
        "versions": _read(seen.versions, _versions),
        "drained_by": _read(seen.drained_by, str),
    }


def _read(reading: Reading[Any], show: Callable[[Any], object]) -> object:
    """What was read; null for what is not there. Why something could not be read is worded anew each time."""
    if isinstance(reading, Present):
        return show(reading.value)
    return None if isinstance(reading, Absent) else UNKNOWN


def _image(reference: str, facts: DockerFacts) -> str | None:
    return facts.images.get(reference)


def _container(found: ContainerFacts) -> dict[str, object]:
    return {
        "id": found.id,
        "image_id": found.image_id,
        "status": found.status,
        "spec": found.labels.get(LABEL_SPEC, ""),
        "release": found.labels.get(LABEL_RELEASE, ""),
    }


def _config(seen: ObservedService, desired: DesiredService) -> object:
    """The configuration by what is known of it. A hash stands for one that nobody vouches for.

    One that holds a secret is never hashed: the rest of it is known, and the secret could be found by trying.
    """

    def show(text: str) -> str:
        if text == desired.config_text:
            return "as wanted"
        if isinstance(seen.release, Present) and text == seen.release.value.config_text:
            return "as recorded"
        return "other" if desired.config_shown else _hash(text)

    return _read(seen.config_text, show)


def _states(states: Sequence[VersionState]) -> dict[str, object]:
    return {
        str(item.number): f"{item.state.value} ({item.error})" if item.error else item.state.value for item in states
    }


def _versions(found: Mapping[str, Mapping[int, VersionOnDisk]]) -> dict[str, object]:
    return {
        model: {str(number): item.manifest_digest for number, item in sorted(numbers.items())}
        for model, numbers in sorted(found.items())
    }


def _gpu(gpu: Gpu) -> dict[str, object]:
    return {
        "index": gpu.index,
        "name": gpu.name,
        "memory_bytes": gpu.memory_bytes,
        "compute_capability": gpu.compute_capability,
        "driver": gpu.driver,
        "uuid": gpu.uuid,
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
