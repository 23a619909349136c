"""A person puts a host into maintenance in its balancer: that is theirs to end, whatever a run was about to do."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.controller import Run, deploy
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.rollout.verdict import judge

from .fleet_faults import maintenance
from .fleets import V1, V2, killed, settled
from .test_failures import THREE

pytestmark = pytest.mark.simulation
OUT = {(pool, "gpu1") for pool in POOLS}


def calls_until(world: World, wanted: DesiredService, method: str) -> int:
    """Which call of a run, from 1, is the first of ``method``."""
    return 1 + [name for _, name in deploy(world.copy(), wanted).calls].index(method)


def held_at(world: World, wanted: DesiredService, method: str) -> Run:
    """A run in which a person puts gpu1 into maintenance right before a call."""

    def person(_: str) -> None:
        maintenance(world, "gpu1")

    return deploy(world, wanted, trouble=Trouble("meanwhile", calls_until(world, wanted, method), meanwhile=person))


def comes_back(world: World, wanted: DesiredService) -> None:
    """While it lasts no run touches the host; when the person ends it, the same command converges."""
    refused = deploy(world, wanted, again=True)
    assert refused.code == 5
    assert "gpu1 drained or in maintenance" in refused.last_line
    assert refused.acts == []
    assert world.maintenance == OUT
    maintenance(world, "gpu1", over="ready")
    assert deploy(world, wanted, again=True).code == 0
    assert converged(world, wanted) == []
    assert (third := deploy(world, wanted)).code == 0
    assert third.acts == []


@pytest.mark.parametrize(
    ("method", "code", "serves"), [("balancer.drain", 3, 1), ("serving.reload", 4, 2), ("balancer.undrain", 4, 2)]
)
def test_maintenance_that_begins_in_the_middle_is_left(method: str, code: int, serves: int) -> None:
    """The run fails on that host, says so in its last line, and leaves it in maintenance with what it serves."""
    world = settled(*THREE)
    run = held_at(world, V2, method)
    assert world.maintenance == OUT
    assert run.code == code
    assert "gpu1 left in maintenance, which fleetdeploy did not ask for" in run.last_line
    assert "every host serves" not in run.last_line
    assert run.outcome is not None
    ended = run.outcome.hosts["gpu1"]
    assert (ended.state, ended.withheld, ended.mixed) == (HostState.FAILED, "in maintenance", code == 4)
    assert ended.reason.count("maintenance") == 1
    assert "state ready" in ended.hint
    assert world.serves("gpu1").versions == (("ranker", (serves,)),)
    assert world.lost == []
    comes_back(world, V2)


def test_a_host_that_is_held_before_its_turn_is_told() -> None:
    """Maintenance that begins between two hosts ends the run before the next one, whose name the last line has."""
    world = settled(*THREE)
    plain = deploy(world.copy(), V2).calls
    at = 1 + max(
        at for at, call in enumerate(plain) if call == ("gpu1", "observe") and at < plain.index(("gpu1", "files.stage"))
    )
    run = deploy(world, V2, trouble=Trouble("meanwhile", at, meanwhile=lambda _: maintenance(world, "gpu1")))
    assert (run.code, world.maintenance) == (3, OUT)
    assert "gpu1 left " in run.last_line
    assert "in maintenance" in run.last_line
    assert "every host serves what it served" not in run.last_line
    comes_back(world, V2)


def test_a_host_that_was_not_drained_gets_no_marker() -> None:
    """A drain that is refused leaves nothing that would make a person's next drain there ours to end."""
    world = settled(*THREE)
    held_at(world, V2, "balancer.drain")
    assert world.hosts["gpu1"].directory(SERVICE).drained_by is None
    maintenance(world, "gpu1", over="ready")
    world.drained |= OUT
    run = deploy(world, V2, again=True)
    assert run.code == 5
    assert world.drained == OUT


@pytest.mark.parametrize("at", ["serving.reload", "balancer.undrain"])
def test_maintenance_behind_a_killed_run_is_left(at: str) -> None:
    """Our marker beside it does not make it ours: no run touches the host until the person ends it."""
    world = settled(*THREE)
    killed(world, V2, at=calls_until(world, V2, at))
    assert world.hosts["gpu1"].directory(SERVICE).drained_by is not None
    maintenance(world, "gpu1")
    world.clock.skip(90.0)
    comes_back(world, V2)


def test_what_was_taken_back_stays_in_maintenance() -> None:
    """A host whose release failed goes back to what it served, and not into its balancer."""
    world = settled(*THREE)
    at = calls_until(world, V2, "serving.reload")
    world.hosts["gpu1"].quality["ranker", 2] = Quality.NO_VARIABLES
    trouble = Trouble("meanwhile", at, meanwhile=lambda _: maintenance(world, "gpu1"))
    run = deploy(world, V2, trouble=trouble)
    assert world.maintenance == OUT
    assert run.code == 4
    assert "gpu1 left in maintenance" in run.last_line
    assert run.outcome is not None
    assert "the revert failed as well: gpu1 is in maintenance" in run.outcome.hosts["gpu1"].reason
    assert "state ready" in run.outcome.hosts["gpu1"].hint
    assert world.serves("gpu1").versions == (("ranker", (1,)),)
    comes_back(world, V1)


def test_whoever_somebody_keeps_out_is_named_beside_every_end() -> None:
    """The last line never counts a host that somebody keeps out among those that serve, however the run ended."""

    def told(*others: HostOutcome, **changes: Any) -> str:
        held = HostOutcome("h1", HostState.FAILED, withheld="drained or in maintenance", **changes)
        hosts = {item.host: item for item in (held, *others)}
        return judge("run", hosts, allowed=(), interrupted=0, again="again").last_line

    left = "h1 left drained or in maintenance, which fleetdeploy did not ask for"
    assert told() == f"FAILED: h1; every other host serves what it served before, {left}"
    changed = HostOutcome("h2", HostState.CHANGED, activated=True)
    assert told(changed) == f"FAILED: h1 ({left}); the fleet is mixed: h2 changed; mend it, then: again"
    assert told(mixed=True).startswith(f"FAILED: {left}; look")
    lost = HostOutcome("h2", HostState.FAILED, mixed=True)
    assert told(lost, mixed=True).startswith(f"FAILED: h2: not known to serve what it served before; {left}; look")
    assert told(activated=True) == f"FAILED: h1 ({left}), after every host was switched over; mend it, then: again"
    also = HostOutcome("h2", HostState.FAILED, withheld="in maintenance")
    assert "h1 left drained or in maintenance and h2 left in maintenance, which" in told(also)
