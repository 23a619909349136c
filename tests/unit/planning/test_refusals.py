"""What a host is refused for, beyond the case files."""

from __future__ import annotations

from dataclasses import replace

from simulation.controller import desired, sim_host
from simulation.seen import settled_host

from fleetdeploy.domain.inventory import DeclaredGpus
from fleetdeploy.domain.observed import ContainerFacts, ObservedHost, Present, Unknown
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.service import (
    LABEL_DIRECTORY,
    LABEL_SERVICE,
    DesiredService,
    GpuRequest,
    Ports,
    Requirements,
)
from fleetdeploy.planning.host import plan_host

V1 = desired(1)


def plan(observed: ObservedHost, service: DesiredService = V1, *, allow_remove: bool = False) -> HostPlan:
    return plan_host(sim_host("gpu1"), [service], observed, stamp="T1", allow_remove=allow_remove)


def only(found: HostPlan) -> str:
    (refusal,) = found.refusals
    assert refusal.exit_code == 5
    return refusal.message


def with_container(observed: ObservedHost, **labels: str) -> ObservedHost:
    """The host with further labels on its container."""
    seen = observed.services[V1.name]
    assert isinstance(seen.container, Present)
    container = replace(seen.container.value, labels={**seen.container.value.labels, **labels})
    return replace(observed, services={V1.name: replace(seen, container=Present(container))})


def test_a_service_that_the_inventory_dropped_is_not_passed_over() -> None:
    """A container of ours whose service is not listed any more is named, and left alone with --allow-remove."""
    observed = settled_host(V1)
    own = observed.services[V1.name].container
    assert isinstance(own, Present)
    stray = ContainerFacts("fleetdeploy-second", "id2", "sha256:x", "running", {LABEL_SERVICE: "second"})
    observed = replace(observed, containers=Present((own.value, stray)))
    assert "fleetdeploy-second still runs service 'second'" in only(plan(observed))
    assert plan(observed, allow_remove=True).refusals == ()


def test_a_service_is_not_moved_to_another_directory() -> None:
    """A container that mounts another directory than the inventory's is refused before anything is touched."""
    observed = with_container(settled_host(V1), **{LABEL_DIRECTORY: "/srv/elsewhere/ranking"})
    assert "lives in /srv/elsewhere/ranking" in only(plan(observed))
    assert plan(with_container(settled_host(V1), **{LABEL_DIRECTORY: str(V1.directory)})).refusals == ()


def test_new_ports_are_looked_at_before_a_replacement() -> None:
    """A running service keeps its own ports; a port it would newly open must be free."""
    observed = replace(settled_host(V1), listening=Present((8500, 8501, 9500)))
    assert plan(observed).refusals == ()
    moved = replace(V1, wish=replace(V1.wish, ports=Ports(grpc=9500, rest=9501)))
    assert "port 9500 is taken" in only(plan(observed, moved))


def test_ports_of_an_own_container_that_no_record_tells_of() -> None:
    """What our container publishes is its own whatever the record says, unless it has ended or is not ours."""
    observed = replace(settled_host(V1), listening=Present((8500, 8501, 9500, 9501)))
    moved = replace(V1, wish=replace(V1.wish, ports=Ports(grpc=9500, rest=9501)))
    seen = observed.services[V1.name]
    assert isinstance(seen.container, Present)
    new = replace(seen.container.value, published=(9500, 9501))

    def with_new(container: ContainerFacts) -> ObservedHost:
        return replace(observed, services={V1.name: replace(seen, container=Present(container))})

    assert plan(with_new(new), moved).refusals == ()
    assert plan(with_new(replace(new, status="restarting")), moved).refusals == ()
    ended = plan(with_new(replace(new, status="exited")), moved).refusals
    assert [refusal.message for refusal in ended] == [
        f"port {port} is taken by something else" for port in (9500, 9501)
    ]
    theirs = plan(with_new(replace(new, labels={})), moved).refusals
    assert "port 9500 is taken by something else" in [refusal.message for refusal in theirs]


def test_a_model_that_does_not_fit_its_gpus_is_refused() -> None:
    """What a model requires is held against the cards that its service gets."""
    model = replace(V1.wish.models[0], requires=Requirements(gpu_memory_bytes=2**60))
    wish = replace(V1.wish, gpus=GpuRequest(devices=(0,)), models=(model,))
    assert "ranker" in only(plan(settled_host(V1), replace(V1, wish=wish)))


def test_declared_gpus_that_cannot_be_seen_are_refused() -> None:
    """Cards that the inventory declares and nvidia-smi cannot tell are unknown, also where no service wants one."""
    service = replace(V1, wish=replace(V1.wish, gpus=GpuRequest()))
    host = replace(sim_host("gpu1"), gpus=DeclaredGpus(1))
    observed = replace(settled_host(service), gpus=Unknown("driver mismatch"))
    assert "cannot be compared with what is there: driver mismatch" in only(
        plan_host(host, [service], observed, stamp="T1")
    )
    assert plan_host(sim_host("gpu1"), [service], observed, stamp="T1").refusals == ()
