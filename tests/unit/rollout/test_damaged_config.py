"""Hosts whose ``config/model.config`` is gone or says nothing, while the server serves on."""

from __future__ import annotations

import pytest
from simulation.controller import deploy, desired, plays
from simulation.model_server import Quality
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.tfserving.model_config import NO_MODELS

from .fleets import V1, V2, settled, spoil, untrue

pytestmark = pytest.mark.simulation

DAMAGED = [None, "", NO_MODELS, "model_config_list {"]


def damaged(text: str | None, *, recorded: bool = True) -> World:
    world = World.of("gpu1")
    assert deploy(world, V1, balanced=False).code == 0
    files = world.hosts["gpu1"].directory(SERVICE)
    files.config_text = text
    if not recorded:
        files.release = None
    return world


@pytest.mark.parametrize("text", DAMAGED)
@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("quality", [Quality.WRONG, Quality.NO_VARIABLES, Quality.UNLOADABLE])
def test_the_old_version_serves_until_the_new_one_has_answered(
    text: str | None, recorded: bool, quality: Quality
) -> None:
    """Nothing takes the host out of traffic, and version 2 does not answer: version 1 never leaves memory for it."""
    world = damaged(text, recorded=recorded)
    spoil(world, 2, quality)
    old = world.hosts["gpu1"].containers[f"fleetdeploy-{SERVICE}"].id
    run = deploy(world, V2, balanced=False, allow_remove=not recorded)
    assert run.code == 3, run.last_line
    assert [item for item in world.lost if "left memory" in item or "ended" in item] == []
    server = world.hosts["gpu1"].server(SERVICE)
    assert server is not None
    assert server.available() == {"ranker": (1,)}
    assert world.hosts["gpu1"].containers[f"fleetdeploy-{SERVICE}"].id == old
    assert world.hosts["gpu1"].directory(SERVICE).config_text == V1.config_text


@pytest.mark.parametrize("text", DAMAGED)
def test_a_good_version_takes_over_by_reload(text: str | None) -> None:
    """And the file is whole again."""
    world = damaged(text)
    run = deploy(world, V2, balanced=False)
    assert (run.code, world.lost) == (0, [])
    assert [method for _, method in run.calls].count("serving.reload") == 2
    assert converged(world, V2) == []


@pytest.mark.parametrize("text", [*DAMAGED, "not ours"])
def test_a_model_that_the_inventory_never_listed_is_not_killed(text: str | None) -> None:
    """The run is refused and touches nothing; with --allow-remove it goes."""
    both = desired(models={"ranker": (1,), "precious": (7,)})
    world = World.of("gpu1")
    assert deploy(world, both).code == 0
    files = world.hosts["gpu1"].directory(SERVICE)
    entry = 'config {{ name: "{0}" base_path: "/models/{0}" model_version_policy {{ latest {{}} }} }}'
    theirs = f"model_config_list {{ {entry.format('ranker')} {entry.format('precious')} }}"
    files.config_text = theirs if text == "not ours" else text
    before = world.serves_all()
    run = deploy(world, V2)
    assert (run.code, world.serves_all()) == (5, before)
    assert run.error is not None
    assert "would unload precious" in run.error.message
    assert deploy(world, V2, allow_remove=True).code == 0
    assert converged(world, V2) == []


@pytest.mark.parametrize("text", DAMAGED)
def test_a_wave_goes_back_as_a_whole(text: str | None) -> None:
    """The first host, whose file was damaged, is put back from its record when the second one fails."""
    world = settled("gpu1", "gpu2")
    world.hosts["gpu1"].directory(SERVICE).config_text = text
    world.hosts["gpu2"].quality[("ranker", 2)] = Quality.WRONG
    before = world.serves_all()
    run = deploy(world, V2, run_plays=plays(("gpu1", "gpu2"), on_failure=OnFailure.REVERT_ALL))
    assert run.code == 3
    assert untrue(world, before, V2, run) == []
    assert converged(world, V1) == []
