"""Servers that take no configuration any more: reloads that hang, and lists that stick although they were refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from simulation.controller import deploy, desired
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.errors import ReloadRefused

from .fleets import V1, V2, dangers, new, settled
from .trapped import BACK, NAME, container, during, outcome, said, server

pytestmark = pytest.mark.simulation


def test_a_hung_server_is_restarted_where_nobody_is_sent_and_the_rollout_goes_on() -> None:
    """A drained server whose reload lock is held for ever is restarted once, as a step that is told, and goes on."""
    world = settled("gpu1", "gpu2")
    server(world).stuck = True
    kept = {name: container(world, name).id for name in world.hosts}
    run = deploy(world, V2)
    assert run.code == 0, run.last_line
    assert converged(world, V2) == []
    assert {name: container(world, name).id for name in world.hosts} == kept
    assert [act for act in run.acts if act.endswith((".stop", ".start"))] == [
        "gpu1 containers.stop",
        "gpu1 containers.start",
    ]
    assert "an earlier reload of this server never ended" in said(run)
    assert dangers(world) == []


def test_a_hung_server_without_a_balancer_is_left_alone() -> None:
    """Nobody can tell who uses it: the run fails, says what clears it, and the server serves on as it did."""
    world = settled("gpu1")
    server(world).stuck = True
    process, starts = server(world), container(world).starts
    run = deploy(world, V2, balanced=False)
    assert run.code == 3, run.last_line
    assert (server(world), container(world).starts) == (process, starts)
    assert "no balancer" in said(run)
    assert "nothing of the new configuration was begun" in outcome(run).reason
    assert f"docker restart {NAME}" in outcome(run).hint
    assert process.available() == {"ranker": (1,)}
    assert world.hosts["gpu1"].directory(SERVICE).config_text == V1.config_text


def test_a_host_that_comes_back_into_its_balancer_is_not_restarted() -> None:
    """What the balancer says at that moment counts, not that the host was drained before."""
    world = settled("gpu1")
    server(world).stuck = True

    def undrain() -> None:
        world.drained.clear()

    starts = container(world).starts
    run = deploy(world, V2, sinks=[during("activate", undrain)])
    assert run.code == 3
    assert container(world).starts == starts
    assert "it may get requests through ranking_rest (up), ranking_grpc (up)" in said(run)


def test_a_slow_load_is_no_hang() -> None:
    """A new model that loads for longer than the reload call waits is LOADING all the time: no restart."""
    world, both = settled("gpu1"), desired(models={"ranker": (1,), "embedder": (4,)})
    world.hosts["gpu1"].load_s = server(world).load_s = 100.0
    starts = container(world).starts
    run = deploy(world, both)
    assert run.code == 0, run.last_line
    assert container(world).starts == starts
    assert converged(world, both) == []


def test_a_server_that_hangs_in_the_second_half_is_found_by_what_it_still_has() -> None:
    """Every wanted version is there, but the old ones stay and the labels do not move: that is a hang too."""
    world, old, wanted = new("gpu1"), desired(1, 2, labels={"stable": 1}), desired(1, 2, labels={"stable": 2})
    assert deploy(world, old).code == 0
    server(world).stuck = True
    assert deploy(world, wanted).code == 0
    assert server(world).labels == {"ranker": {"stable": 2}}
    assert converged(world, wanted) == []


def test_a_model_that_never_settles_does_not_block_the_way_back() -> None:
    """A new model that is never ready holds the lock past every deadline: going back restarts the drained server."""
    world, both = settled("gpu1"), desired(models={"ranker": (1,), "embedder": (4,)})
    world.hosts["gpu1"].load_s = server(world).load_s = 10_000.0

    def mended(event: Event) -> None:
        if event.kind is Kind.REVERT_STARTED:
            world.hosts["gpu1"].load_s = 0.0

    starts = container(world).starts
    run = deploy(world, both, sinks=[mended])
    assert (run.code, run.last_line) == (3, BACK)
    assert container(world).starts == starts + 1
    assert converged(world, V1) == []
    assert server(world).available() == {"ranker": (1,)}
    assert deploy(world, V2).code == 0


# Lists that a server refused, and remembers


def entry(name: str, *versions: int, platform: str = "tensorflow", path: str = "", label: str = "") -> str:
    listed = " ".join(f"versions: {number}" for number in versions)
    return (
        f'config {{ name: "{name}" base_path: "{path or f"/models/{name}"}" '
        + (f'model_platform: "{platform}" ' if platform else "")
        + f"model_version_policy {{ specific {{ {listed} }} }} {label} }}"
    )


RANKER = entry("ranker", 1)
REFUSED: Mapping[str, str] = {
    "bad platform": RANKER + entry("other", 1, platform="caffe"),
    "duplicate name": RANKER + RANKER,
    "relative path": RANKER + entry("other", 1, path="models/other"),
    "label to an unloaded version": entry("ranker", 1, label='version_labels { key: "stable" value: 9 }'),
}


def told(world: World, text: str) -> None:
    """Somebody's own reload, past us."""
    with pytest.raises(ReloadRefused):
        server(world).reload(f"model_config_list {{ {text} }}", 5.0)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_list_that_the_server_refused_does_not_stand_in_the_way(text: str) -> None:
    """After somebody's bad list the next deploy goes through in the same process."""
    world = new("gpu1")
    assert deploy(world, desired(1, labels={"stable": 1})).code == 0
    told(world, text)
    process, wanted = server(world), desired(2, labels={"stable": 2})
    assert deploy(world, wanted).code == 0
    assert server(world) is process
    assert converged(world, wanted) == []


@pytest.mark.parametrize("balanced", [True, False])
def test_a_server_that_refuses_everything_is_restarted_where_nobody_is_sent(balanced: bool) -> None:
    """A remembered list without a platform spoils all later ones: exit 3, and the next run goes through."""
    world = settled("gpu1")
    told(world, RANKER + entry("other", 1, platform=""))
    starts = container(world).starts
    run = deploy(world, V2, balanced=balanced)
    assert (run.code, run.last_line) == (3, BACK)
    assert "the server refused" in outcome(run).reason or "INVALID_ARGUMENT" in outcome(run).reason
    assert converged(world, V1) == []
    assert world.lost == []
    assert container(world).starts == starts + balanced
    assert "the server refuses even what served before" in said(run)
    assert deploy(world, V2, balanced=balanced).code == (0 if balanced else 3)
