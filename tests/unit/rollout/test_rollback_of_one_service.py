"""Two services on one host, each with pools of its own, of which one alone is rolled back or drained by somebody."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace

import pytest
import simulation.controller
import simulation.rollback
from simulation.controller import deploy, plays
from simulation.fleet import SimFleet
from simulation.rollback import back_plays, rollback
from simulation.wire import Wire
from simulation.world import POOLS, SERVICE, World

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import Absent, Present
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.errors import Withheld
from fleetdeploy.rollout.capacity.admission import refusals
from fleetdeploy.rollout.capacity.capacity import Capacity
from fleetdeploy.rollout.capacity.in_service import standing, unmarked_pools
from fleetdeploy.rollout.capacity.lookout import Lookout

from .fleets import V1, V2, settled

pytestmark = pytest.mark.simulation
PAIR = ("gpu1", "gpu2")
OTHER = "other"
APART = {SERVICE: POOLS[:1], OTHER: POOLS[1:]}


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> World:
    """Both versions are proven on both hosts; the second pool is that of another service."""
    world = settled(*PAIR)
    assert deploy(world, V2).code == 0
    feed(monkeypatch, APART)
    return world


def feed(monkeypatch: pytest.MonkeyPatch, pools: Mapping[str, tuple[str, ...]]) -> None:
    """The hosts' services get their requests through these pools."""
    made = simulation.controller.sim_host

    def fed(name: str, *, balanced: bool = True) -> Host:
        host = made(name, balanced=balanced)
        return replace(host, balancer=replace(host.balancer, pools=pools)) if host.balancer else host

    for module in (simulation.controller, simulation.rollback):
        monkeypatch.setattr(module, "sim_host", fed)


def left(world: World, host: str = "gpu1") -> None:
    """As a run leaves it that was killed while it had the other service out."""
    world.hosts[host].directory(OTHER).drained_by = "run-killed"
    world.drained.add((POOLS[1], host))


def served(world: World) -> set[tuple[int, ...]]:
    return {dict(now.versions)["ranker"] for now in world.serves_all().values()}


def test_our_drain_of_another_service_is_in_nobodys_way(two: World) -> None:
    """One service goes back on both hosts, and the other one stays as the killed run left it."""
    left(two)
    run = rollback(two, V2)
    assert run.code == 0, run.last_line
    assert served(two) == {(1,)}
    assert two.drained == {(POOLS[1], "gpu1")}
    assert two.hosts["gpu1"].directory(OTHER).drained_by == "run-killed"


@pytest.mark.parametrize("hosts", [PAIR[:1], PAIR], ids=["on one host", "on both"])
def test_it_goes_back_wave_by_wave_beside_our_drain_of_another(two: World, hosts: tuple[str, ...]) -> None:
    """A host that is back with what was rolled back does not count as out for the rest, however long it all takes."""
    for host in hosts:
        left(two, host)
    run = rollback(two, V2, run_plays=back_plays(PAIR, serial=(Quantity(1),)), sinks=[lambda _: two.clock.skip(10.0)])
    assert run.code == 0, run.last_line
    assert served(two) == {(1,)}


@pytest.mark.parametrize("way", ["drained", "maintenance"])
def test_a_persons_drain_of_another_service_is_in_nobodys_way(two: World, way: str) -> None:
    """What somebody does with pools that the rollback does not touch is left as it is."""
    getattr(two, way).add((POOLS[1], "gpu1"))
    run = rollback(two, V2)
    assert run.code == 0, run.last_line
    assert getattr(two, way) == {(POOLS[1], "gpu1")}


@pytest.mark.parametrize("way", ["drained", "maintenance"])
def test_a_persons_drain_of_the_service_itself_is_in_its_way(two: World, way: str) -> None:
    """Our marker for the other service says nothing of it, and it stays out."""
    left(two)
    getattr(two, way).add((POOLS[0], "gpu1"))
    run = rollback(two, V2)
    assert (run.code, served(two)) == (5, {(2,)})
    assert "gpu1 drained or in maintenance in the balancer" in run.last_line
    assert (POOLS[0], "gpu1") in getattr(two, way)


def test_a_pool_of_both_services_is_not_opened_for_one(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who puts the host back into a pool of both puts the other service back too, which nobody has proven."""
    feed(monkeypatch, {SERVICE: POOLS, OTHER: POOLS[1:]})
    left(two)
    run = rollback(two, V2)
    assert (run.code, served(two)) == (5, {(2,)})
    assert two.drained == {(POOLS[1], "gpu1")}


BOTH = (SERVICE, OTHER)


def planned(world: World, *, marked: Collection[str]) -> HostPlan:
    """gpu1's plan for both services, of which those ``marked`` were drained by a killed run."""
    plan = deploy(world.copy(), V1, check=True).plan
    assert plan is not None
    one = plan.hosts["gpu1"]
    (service,) = one.services
    services = [
        replace(
            service,
            desired=replace(service.desired, wish=replace(service.desired.wish, name=name)),
            observed=replace(service.observed, drained_by=Present("run-killed") if name in marked else Absent()),
        )
        for name in BOTH
    ]
    return replace(one, services=tuple(services))


@pytest.mark.parametrize("marked", [(), (SERVICE,), (OTHER,), BOTH], ids="+".join)
@pytest.mark.parametrize("drained", [(), (SERVICE,), (OTHER,), BOTH], ids="+".join)
def test_a_marker_speaks_for_its_own_services_pools(
    two: World, marked: tuple[str, ...], drained: tuple[str, ...]
) -> None:
    """A drain of another service's pool is a person's, and neither a run nor a host's turn in it passes over that."""
    host = planned(two, marked=marked)
    two.drained = {(pool, "gpu1") for name in drained for pool in APART[name]}
    withheld = bool(set(drained) - set(marked))
    fleet = SimFleet(two, Wire(two))
    assert ("gpu1" in standing(Plan({"gpu1": host}), fleet, {}).withheld) == withheld
    capacity = Capacity(out=(), uncounted=(), max_unavailable=1)
    lookout = Lookout({"gpu1": host.host}, capacity, fleet, two.clock)
    with pytest.raises(Withheld) if withheld else nullcontext():
        lookout.check_ours("gpu1", pools=unmarked_pools(host))


@pytest.mark.parametrize("shared", [SERVICE, OTHER])
def test_in_a_pool_of_both_services_either_marker_will_do(
    two: World, monkeypatch: pytest.MonkeyPatch, shared: str
) -> None:
    """A run that died between the two drains has marked one of them and drained the pool of both."""
    feed(monkeypatch, {SERVICE: POOLS, OTHER: POOLS})
    host = planned(two, marked=(shared,))
    two.drained = {(pool, "gpu1") for pool in POOLS}
    assert standing(Plan({"gpu1": host}), SimFleet(two, Wire(two)), {}).withheld == frozenset()


@pytest.mark.parametrize("pool", POOLS)
def test_maintenance_is_nobodys_marker(two: World, pool: str) -> None:
    """Whatever pool of the planned services it is in."""
    two.maintenance = {(pool, "gpu1")}
    host = planned(two, marked=BOTH)
    assert standing(Plan({"gpu1": host}), SimFleet(two, Wire(two)), {}).withheld == {"gpu1"}


def test_who_is_to_put_a_host_back_is_told_into_which_pools(two: World) -> None:
    """Of those that a run of fleetdeploy took it out of nobody is told so: what serves there may be unproven."""
    plan = Plan({"gpu1": planned(two, marked=(SERVICE,))})
    two.drained = {(pool, "gpu1") for pool in POOLS}
    found = standing(plan, SimFleet(two, Wire(two)), {})
    hints = [refusal.hint for bound in plays(PAIR[:1]) for refusal in refusals(plan, bound, found)]
    assert hints
    ending = f"; gpu1 in no pool but {POOLS[1]}: a run of fleetdeploy took it out of its others"
    assert all(hint.endswith(ending) for hint in hints)
