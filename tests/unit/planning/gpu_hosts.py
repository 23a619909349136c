"""Services that require GPU memory, and hosts that serve them, for the tests of what fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from simulation.controller import desired, sim_host
from simulation.seen import empty_host, settled_host

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import Gpu, ObservedHost, Present
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.service import LABEL_SERVICE, DesiredService, GpuRequest, Ports, Requirements
from fleetdeploy.planning.host import plan_host

GIB = 1024**3


def needing(
    gib: Mapping[str, float],
    *,
    name: str = "ranking",
    devices: tuple[int, ...] = (0,),
    image: str = "serving:1",
    **models: tuple[int, ...],
) -> DesiredService:
    """A service of ``models`` by name with their versions, each of which needs so many GiB."""
    service = desired(models=models, image=image)
    wishes = tuple(
        replace(model, requires=Requirements(round(gib.get(model.name, 0) * GIB))) for model in service.wish.models
    )
    ports = service.wish.ports if name == "ranking" else Ports(*(9000 + sum(name.encode()) + n for n in (0, 1)))
    return replace(
        service,
        wish=replace(service.wish, name=name, models=wishes, gpus=GpuRequest(devices=devices), ports=ports),
    )


def host_with(*before: DesiredService, gib: float = 80, count: int = 2, used_gib: float = 0) -> ObservedHost:
    """A host on which these services were deployed and proven, with ``count`` GPUs of ``gib`` each."""
    hosts = [settled_host(service) for service in before] or [replace(empty_host(desired(1)), services={})]
    gpus = tuple(
        Gpu(index, "card", round(gib * GIB), round(used_gib * GIB), "8.0", "580.159.03") for index in range(count)
    )
    seen = {name: item for host in hosts for name, item in host.services.items()}
    for name, item in seen.items():
        assert isinstance(item.container, Present)
        labels = {**item.container.value.labels, LABEL_SERVICE: name}
        seen[name] = replace(item, container=Present(replace(item.container.value, labels=labels)))
    ports = tuple(port for service in before for port in (service.wish.ports.grpc, service.wish.ports.rest))
    return replace(hosts[0], gpus=Present(gpus), services=seen, listening=Present(ports))


def plan_for(
    observed: ObservedHost, *wanted: DesiredService, host: Host | None = None, allow_remove: bool = False
) -> HostPlan:
    """The plan of one host."""
    return plan_host(host or sim_host("gpu1"), wanted, observed, stamp="T1", allow_remove=allow_remove)


def activations(plan: HostPlan) -> dict[str, str]:
    """Each service's activation; empty where the host is refused."""
    return {service.desired.name: service.activation.value for service in plan.services}
