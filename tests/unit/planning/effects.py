"""What a run does to a host, step by step, as a look after each step would bring it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from simulation.controller import sim_host
from simulation.seen import on_disk, settled_host

from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    ObservedHost,
    ObservedService,
    Present,
    Reading,
    State,
    Unknown,
    VersionState,
)
from fleetdeploy.domain.plan import Activation, HostPlan, ServicePlan
from fleetdeploy.domain.service import LABEL_SERVICE, LABEL_SPEC, DesiredService, spec_hash
from fleetdeploy.planning.before import config_in_force
from fleetdeploy.planning.container import previous_name
from fleetdeploy.planning.host import plan_host
from fleetdeploy.tfserving import model_config, status

SILENT = Unknown("nothing listens on the service's port")


def plan_of(observed: ObservedHost, *wanted: DesiredService, allow_remove: bool = True) -> HostPlan:
    """The plan of the one host there is."""
    return plan_host(sim_host("gpu1"), wanted, observed, stamp="T1", allow_remove=allow_remove)


def seen_of(observed: ObservedHost) -> ObservedService:
    """The one service of a host."""
    (seen,) = observed.services.values()
    return seen


def with_service(observed: ObservedHost, **changes: Any) -> ObservedHost:
    """The host with its one service changed; its ports are open while its container runs."""
    seen = replace(seen_of(observed), **changes)
    running = isinstance(seen.container, Present) and seen.container.value.running
    ports = (8500, 8501) if running else (22,)
    return replace(observed, services={seen.name: seen}, listening=Present(ports))


def states(**models: dict[int, State]) -> dict[str, Reading[tuple[VersionState, ...]]]:
    """What a server says."""
    return {
        name: Present(tuple(VersionState(number, state) for number, state in found.items()))
        for name, found in models.items()
    }


def steps(observed: ObservedHost, wanted: DesiredService) -> Iterator[ObservedHost]:
    """Every state of the host in a run that brings it to ``wanted``, the last one with all done."""
    (service,) = plan_of(observed, wanted).services
    for item in service.stage:
        found = seen_of(observed).versions
        versions = {name: dict(there) for name, there in (found.value if isinstance(found, Present) else {}).items()}
        versions.setdefault(item.model, {})[item.version.number] = on_disk(item.version)
        observed = with_service(observed, versions=Present(versions))
        yield observed
    if service.pull_image:
        assert isinstance(observed.docker, Present)
        image = wanted.wish.image
        docker = replace(observed.docker.value, images={**observed.docker.value.images, image: f"sha256:{image}"})
        observed = replace(observed, docker=Present(docker))
        yield observed
    (service,) = plan_of(observed, wanted).services
    if service.activation in {Activation.RELOAD, Activation.START, Activation.REPLACE}:
        observed = with_service(observed, drained_by=Present("run-1"))
        yield observed
        for observed in (_reload if service.activation is Activation.RELOAD else _replace)(observed, service):  # noqa: B020
            yield observed
    if service.activation is not Activation.NOTHING:
        goal = seen_of(settled_host(wanted)).release
        assert isinstance(goal, Present)
        observed = with_service(observed, release=Present(replace(goal.value, id=service.release_id)))
        yield observed
    (service,) = plan_of(observed, wanted).services
    if service.undrain:
        observed = with_service(observed, drained_by=Absent())
        yield observed


def _reload(observed: ObservedHost, service: ServicePlan) -> Iterator[ObservedHost]:
    """File, memory, file, memory."""
    before = config_in_force(service.desired, seen_of(observed))
    both = model_config.overlap(before, service.desired.config_text)
    wanted = {model.name: model.wanted for model in service.desired.models}
    listed = {name: entry.versions for name, entry in model_config.wanted(model_config.parse(both, where="")).items()}
    observed = with_service(observed, config_text=Present(both))
    yield observed
    seen = seen_of(observed).served
    there = {name: status.available(said.value) for name, said in seen.items() if isinstance(said, Present)}
    for arriving in (State.LOADING, State.AVAILABLE):
        served = {
            # What is in memory stays there: a reload loads what is not.
            name: {
                number: arriving if number in wanted[name] and number not in there.get(name, ()) else State.AVAILABLE
                for number in listed[name]
            }
            for name in wanted
        }
        observed = with_service(observed, served=states(**served))
        yield observed
    observed = with_service(observed, config_text=Present(service.desired.config_text))
    yield observed
    left = {
        name: {number: State.AVAILABLE if number in wanted[name] else State.END for number in listed[name]}
        for name in wanted
    }
    observed = with_service(observed, served=states(**left))
    yield observed


def _replace(observed: ObservedHost, service: ServicePlan) -> Iterator[ObservedHost]:
    """What is worth it is kept, stopped; the rest goes; a new container comes, and its server after it."""
    seen, name = seen_of(observed), service.desired.name
    silent = {model.name: SILENT for model in service.desired.models}
    if isinstance(seen.container, Present):
        present, release = seen.container.value, seen.release
        proven = isinstance(release, Present) and present.labels.get(LABEL_SPEC) == spec_hash(release.value.container)
        if proven or (present.running and not isinstance(release, Present)):
            stopped = replace(present, status="exited")
            observed = with_service(observed, container=Present(stopped), served=silent)
            yield observed
            kept = Present(replace(stopped, name=previous_name(name)))
            observed = with_service(observed, container=Absent(), previous=kept)
            yield observed
    observed = with_service(observed, container=Absent(), served=silent)
    yield observed
    observed = with_service(observed, config_text=Present(service.desired.config_text))
    yield observed
    labels = {LABEL_SERVICE: name, LABEL_SPEC: service.container.spec_hash}
    made = ContainerFacts(service.container.name, "made", service.container.image_id, "running", labels)
    observed = with_service(observed, container=Present(made))
    yield observed
    up = {model.name: dict.fromkeys(model.wanted, State.AVAILABLE) for model in service.desired.models}
    observed = with_service(observed, served=states(**up))
    yield observed
