"""What a selection of tasks may not leave out on a host."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from simulation.controller import deploy, desired, plays, sim_host
from simulation.fleet import SimFleet
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble, Wire
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.observed import Absent, ObservedService
from fleetdeploy.domain.plan import Activation
from fleetdeploy.errors import NotHealthy
from fleetdeploy.rollout.host.proof import check_proof

from .fleets import V1, V2, V3, killed, settled, spoil


def plan(activation: Activation, *, undrain: bool = False) -> Any:
    """A service that serves what its record says."""
    desired = SimpleNamespace(name="ranking", models=V1.models)
    return SimpleNamespace(activation=activation, undrain=undrain, desired=desired, observed=seen())


@cache
def seen() -> ObservedService:
    world = settled("gpu1")
    return SimFleet(world, Wire(world)).session(sim_host("gpu1")).observe([V1.wish]).services[SERVICE]


@pytest.mark.parametrize(
    ("task", "activation", "undrain", "begun"),
    [
        ("verify", Activation.REPLACE, False, {"drain"}),
        ("undrain", Activation.VERIFY, True, set()),
        ("undrain", Activation.VERIFY, True, {"drain"}),
        ("undrain", Activation.REPLACE, True, set()),
    ],
)
def test_what_is_not_proven_is_refused(task: str, activation: Activation, undrain: bool, begun: set[str]) -> None:
    """What is not active is not proven, and what an earlier run left unproven is not put back."""
    with pytest.raises(NotHealthy) as caught:
        check_proof(task, plan(activation, undrain=undrain), begun=begun)
    assert "--start-at-task" in caught.value.hint


@pytest.mark.parametrize(
    ("task", "activation", "undrain", "begun"),
    [
        ("verify", Activation.REPLACE, False, {"drain", "activate"}),
        ("verify", Activation.VERIFY, True, set()),
        ("undrain", Activation.NOTHING, True, set()),
        ("undrain", Activation.VERIFY, True, {"verify"}),
        ("undrain", Activation.RELOAD, True, {"drain"}),
        ("undrain", Activation.RELOAD, False, set()),
    ],
)
def test_what_is_safe_goes_on(task: str, activation: Activation, undrain: bool, begun: set[str]) -> None:
    """An interrupted run may be finished by its last tasks, and a host that was only drained comes back."""
    check_proof(task, plan(activation, undrain=undrain), begun=begun)


@pytest.mark.parametrize("spoilt", ["release", "container", "config_text", "served"])
def test_what_differs_from_its_record_is_not_put_back(spoilt: str) -> None:
    """A host that a run drained and did more to is not taken for one that was only drained."""
    found = plan(Activation.RELOAD, undrain=True)
    found.observed = replace(found.observed, **{spoilt: {} if spoilt == "served" else Absent()})
    with pytest.raises(NotHealthy):
        check_proof("undrain", found, begun={"drain"})


MAINTENANCE = """
- name: Upkeep
  hosts: gpu
  serial: 1
  tasks: [drain: , run: {argv: [upkeep]}, undrain: ]
"""


def upkeep(tmp_path: Path) -> Path:
    path = tmp_path / "upkeep.yml"
    path.write_text(MAINTENANCE)
    return path


@pytest.mark.parametrize("wanted", [V1, V2, V3], ids=["old", "new", "next"])
def test_upkeep_puts_nobody_back_that_is_unproven(tmp_path: Path, wanted: Any) -> None:
    """A playbook that only drains and undrains leaves out what a killed run left behind its activation."""
    world = settled("gpu1", "gpu2")
    spoil(world, 2, Quality.WRONG)
    at = deploy(world.copy(), V2).calls.index(("gpu1", "serving.predict")) + 1
    killed(world, V2, at=at)
    run = deploy(world, wanted, run_plays=plays(["gpu1", "gpu2"], path=upkeep(tmp_path)))
    assert run.code != 0
    assert world.lost == []
    assert not world.gets_requests("gpu1")


def test_upkeep_puts_back_what_was_only_drained(tmp_path: Path) -> None:
    """Where the killed run had only drained the host, it comes back with what it served, whatever more is wanted."""
    world = settled("gpu1", "gpu2")
    at = deploy(world.copy(), V2).calls.index(("gpu1", "files.write_config")) + 1
    killed(world, V2, at=at)
    assert not world.gets_requests("gpu1")
    run = deploy(world, V2, run_plays=plays(["gpu1", "gpu2"], path=upkeep(tmp_path)))
    assert (run.code, world.lost) == (0, [])
    assert world.gets_requests("gpu1")
    assert converged(world, V1) == []


def test_upkeep_puts_back_what_has_a_model_that_is_wanted_no_longer(tmp_path: Path) -> None:
    """Nobody asks the server for that one: that it is listed as recorded is enough."""
    world = World.of("gpu1", "gpu2")
    assert deploy(world, desired(models={"ranker": (1,), "other": (1,)})).code == 0
    bound = plays(["gpu1", "gpu2"], path=upkeep(tmp_path))
    at = deploy(world.copy(), V1, run_plays=bound, allow_remove=True).calls.index(("gpu1", "command")) + 1
    with pytest.raises(Killed):
        deploy(world, V1, run_plays=bound, allow_remove=True, trouble=Trouble("kill", at))
    assert not world.gets_requests("gpu1")
    world.clock.skip(1)
    assert deploy(world, V1, run_plays=bound, allow_remove=True).code == 0
    assert world.gets_requests("gpu1")
