"""A play's capacity is that of all its hosts: also of those that --limit leaves out or another controller works on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
from simulation.controller import PLAYBOOK, Run, deploy, sim_host
from simulation.leases import SimLeases, take_over
from simulation.wire import Killed, Trouble
from simulation.world import POOLS, SERVICE, World

from fleetdeploy.cli.binding.project import bind
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import Group, Inventory
from fleetdeploy.errors import HostError, LockHeld, RemoteCommandFailed, Unreachable
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.locks.leases import LeaseKeeper
from fleetdeploy.tasks import registry

from .fleets import NEW_IMAGE, V1, V2, new, settled

NAMES = ("gpu1", "gpu2", "gpu3")
pytestmark = pytest.mark.simulation


def limited(limit: str, *, balanced: bool = True) -> tuple[BoundPlay, ...]:
    """The project's plays with --limit: of three hosts one may be out."""
    hosts = {name: sim_host(name, balanced=balanced) for name in NAMES}
    inventory = Inventory(hosts, {name: Group(name, NAMES) for name in ("all", "gpu")})
    playbook = load_playbook(PLAYBOOK, task_names=registry().keys())
    return tuple(bind(play, inventory, limit) for play in playbook.plays)


def of_one(world: World, name: str, *, balanced: bool = True, **options: Any) -> Run:
    """A deploy of a new image to one host of the three."""
    return deploy(
        world, {name: NEW_IMAGE}, balanced=balanced, run_plays=limited(name, balanced=balanced), **options
    )  # fmt: skip


@pytest.mark.parametrize("balanced", [True, False])
def test_another_controller_cannot_take_out_a_second_host(balanced: bool) -> None:
    """Whenever it comes, with another --limit, and dies with a host out: the two never add up to two hosts."""
    calls = of_one(settled(*NAMES), "gpu2", balanced=balanced, owner="you@there").calls
    out = next(at for at, (_, method) in enumerate(calls, 1) if method in {"balancer.drain", "containers.stop"}) + 1
    codes = set()
    for at in range(1, len(of_one(settled(*NAMES), "gpu1", balanced=balanced).calls) + 1):
        world = settled(*NAMES)

        def other(_: str, world: World = world) -> None:
            try:
                of_one(world, "gpu2", balanced=balanced, owner="you@there", trouble=Trouble("kill", out))
            except Killed:
                codes.add("killed")

        run = of_one(world, "gpu1", balanced=balanced, trouble=Trouble("meanwhile", at, meanwhile=other))
        codes.add(str(run.code))
        assert world.most_out <= 1, f"call {at} of {run.calls}: {run.last_line}"
    assert {"killed", "0", "6"} <= codes


def stop(world: World) -> None:
    for container in world.hosts["gpu2"].containers.values():
        container.process, container.status = None, "exited"


def lose(world: World) -> None:
    world.hosts["gpu2"].reachable = False


@pytest.mark.parametrize(("away", "balanced"), [(stop, True), (stop, False), (lose, False)])
def test_a_limit_is_no_way_around_a_host_that_is_out(away: Callable[[World], None], balanced: bool) -> None:
    """One that is down counts, whether the run is about it or not, and without a balancer one that cannot be reached:
    exit 5, nothing is touched.
    """
    world = settled(*NAMES)
    away(world)
    run = of_one(world, "gpu1", balanced=balanced)
    assert (run.code, world.most_out) == (5, 1)
    assert "gpu2 out of service already, and max_unavailable is 1: gpu1 cannot be taken out as well" in run.last_line


def test_of_a_host_that_cannot_be_reached_its_balancer_tells() -> None:
    """Beyond the limit it serves where it gets requests, and one that is in no pool is not built yet."""
    world = settled(*NAMES)
    lose(world)
    assert of_one(world, "gpu1").code == 0
    world.maintenance |= {(pool, "gpu2") for pool in POOLS}
    refused = deploy(world, {"gpu1": V2}, run_plays=limited("gpu1"))
    assert refused.code == 5
    assert "gpu2 out of service already" in refused.last_line


def test_a_host_that_never_served_costs_nothing() -> None:
    """Hosts of the play that are still to come are looked at, and neither counted nor leased."""
    world = new(*NAMES)
    deploy(world, {"gpu1": V1}, run_plays=limited("gpu1"))
    run = of_one(world, "gpu1")
    assert run.code == 0
    assert {host for host, method in run.calls if method == "leases.take"} == {"gpu1"}


def test_a_host_of_the_play_that_another_run_holds_ends_it() -> None:
    """Exit 6 with its name: what that run takes out is not known, and so is not what this one may."""
    world = settled(*NAMES)
    take_over(world.hosts["gpu3"])
    run = of_one(world, "gpu1")
    assert (run.code, type(run.error)) == (6, LockHeld)
    assert "gpu3" in run.last_line


def test_who_takes_nobody_out_looks_no_further() -> None:
    """A run with nothing to do on its hosts asks no other one."""
    world = settled(*NAMES)
    run = deploy(world, {"gpu1": V1}, run_plays=limited("gpu1"))
    assert run.calls == [("gpu1", "observe")]


def no_lease_of_gpu3(monkeypatch: pytest.MonkeyPatch, error: HostError) -> None:
    """Whoever asks for it gets this error."""
    take = SimLeases.take

    def refused(leases: SimLeases, *words: Any, **options: Any) -> None:
        if leases.sim.name == "gpu3":
            raise error
        take(leases, *words, **options)

    monkeypatch.setattr(SimLeases, "take", refused)


def test_a_full_disk_elsewhere_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without work whose lease cannot be written is done without, and told; one with work ends the run."""
    no_lease_of_gpu3(monkeypatch, RemoteCommandFailed("no space left on device", where="gpu3"))
    run = of_one(settled(*NAMES), "gpu1")
    assert run.code == 0
    (taken,) = (event.data for event in run.events if event.kind is Kind.LEASES_TAKEN)
    assert (taken["hosts"], taken["without"]) == (["gpu1", "gpu2"], ["gpu3"])
    assert of_one(settled(*NAMES), "gpu3").code == 5


def test_a_host_that_goes_away_before_its_lease_counts_as_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves no room for another one, and nothing is touched."""
    no_lease_of_gpu3(monkeypatch, Unreachable("no route to host", where="gpu3"))
    world = settled(*NAMES)
    run = of_one(world, "gpu1")
    assert run.code == 5
    assert "gpu3 out of service already" in run.last_line
    assert {host.leases[SERVICE].state for host in world.hosts.values() if SERVICE in host.leases} == {"released"}


def test_a_lease_that_is_lost_beyond_the_limit_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run may take that host out at any moment, so this one begins with no further host."""
    world, keepers, take = settled(*NAMES), list[LeaseKeeper](), LeaseKeeper.take

    def taken(keeper: LeaseKeeper, *names: Collection[str]) -> frozenset[str]:
        keepers.append(keeper)
        return take(keeper, *names)

    def overtaken(_: str) -> None:
        take_over(world.hosts["gpu3"])
        world.clock.skip(keepers[-1].holds_s / 2)
        keepers[-1].renew()

    pair = {"gpu1": V2, "gpu2": V2}
    calls = deploy(settled(*NAMES), pair, run_plays=limited("gpu1,gpu2")).calls
    first = next(at for at, (_, method) in enumerate(calls, 1) if method == "balancer.undrain")
    monkeypatch.setattr(LeaseKeeper, "take", taken)
    run = deploy(world, pair, run_plays=limited("gpu1,gpu2"), trouble=Trouble("meanwhile", first, meanwhile=overtaken))
    assert run.code == 4, run.last_line
    served = {name: item.versions for name, item in world.serves_all().items()}
    assert served == {"gpu1": (("ranker", (2,)),), "gpu2": (("ranker", (1,)),), "gpu3": (("ranker", (1,)),)}
    assert world.in_service("gpu1")
    assert any("gpu3" in event.message for event in run.events if event.kind is Kind.ROLLOUT_STOPPED)
