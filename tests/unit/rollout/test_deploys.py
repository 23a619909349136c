"""Runs in which every host behaves: first deploy, nothing to do, reload, replacement."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation.controller import Run, deploy, desired, plays
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.playbook import Quantity

from .fleets import NEW_IMAGE, V1, V2, dangers, new, settled

pytestmark = pytest.mark.simulation

THREE = ("gpu1", "gpu2", "gpu3")

ONE_PLAY = """
- name: All in one
  hosts: gpu
  serial: 1
  tasks: [preflight, stage, pull_image, drain, activate, verify, undrain]
"""


def order(run: Run, *methods: str) -> list[tuple[str, str]]:
    """The calls of these methods, in order."""
    return [call for call in run.calls if call[1] in methods]


def test_a_first_deploy_makes_every_host_serve() -> None:
    """Three empty hosts end with the wanted version, proven, recorded and in their balancer; exit 0."""
    world = new(*THREE)
    run = deploy(world, V1)
    assert (run.code, run.last_line) == (0, "OK: 3 of 3 hosts changed")
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_a_second_run_costs_one_look_a_host() -> None:
    """With nothing to do there is one observation a host, no call to the balancer, and no change."""
    world = settled(*THREE)
    run = deploy(world, V1)
    assert run.calls == [(name, "observe") for name in THREE]
    assert (run.code, run.last_line) == (0, "OK: 3 hosts, nothing to do")


def test_only_hosts_that_change_are_looked_at_again() -> None:
    """A host that is as it shall be costs one look, however much happens on the others."""
    world = settled(*THREE)
    run = deploy(world, {"gpu1": V1, "gpu2": V2, "gpu3": V1})
    assert [host for host, method in run.calls if method == "observe" and host != "gpu2"] == ["gpu1", "gpu3"]
    assert run.last_line == "OK: 1 of 3 hosts changed"


def test_a_reload_keeps_the_old_version_until_the_new_one_answered() -> None:
    """Both versions are loaded, the new one answers, and only then does the final configuration go out."""
    world = settled("gpu1")
    server = world.hosts["gpu1"].server(SERVICE)
    run = deploy(world, V2)
    assert world.hosts["gpu1"].server(SERVICE) is server, "the process is the same"
    steps = [method for _, method in order(run, "serving.reload", "serving.predict", "files.write_config")]
    assert steps[:5] == [
        "files.write_config",
        "serving.reload",
        "serving.predict",
        "files.write_config",
        "serving.reload",
    ]
    assert not any("containers." in act for act in run.acts)
    assert converged(world, V2) == []


def test_file_and_memory_always_agree() -> None:
    """Every configuration that a server is told has been written to its file just before."""
    run = deploy(settled("gpu1"), V2)
    calls = [method for _, method in run.calls]
    reloads = [index for index, method in enumerate(calls) if method == "serving.reload"]
    assert len(reloads) == 2
    assert all(calls[index - 1] == "files.write_config" for index in reloads)


def test_an_image_is_changed_by_replacement_and_the_old_container_kept() -> None:
    """The new container takes the name, the old one stays, stopped, under the previous name."""
    world = settled(*THREE)
    run = deploy(world, NEW_IMAGE)
    assert run.code == 0
    assert converged(world, NEW_IMAGE) == []
    for host in world.hosts.values():
        assert host.containers["fleetdeploy-ranking"].spec.image == "serving:2"
        kept = host.containers["fleetdeploy-ranking.previous"]
        assert (kept.spec.image, kept.status) == ("serving:1", "exited")
    assert dangers(world) == []


def test_images_are_on_every_host_before_any_is_drained() -> None:
    """A registry that fails must not find the fleet half way through."""
    run = deploy(settled(*THREE), NEW_IMAGE)
    methods = [method for _, method in run.calls]
    last_pull = max(index for index, method in enumerate(methods) if method == "containers.pull")
    assert last_pull < methods.index("balancer.drain")


def test_hosts_go_one_after_the_other_and_are_drained_first() -> None:
    """Each host is drained, changed, proven and undrained before the next one is drained."""
    run = deploy(settled(*THREE), V2)
    drains = [method for _, method in order(run, "balancer.drain", "balancer.undrain")]
    assert drains == ["balancer.drain", "balancer.undrain"] * 3
    marks = order(run, "files.mark_drained", "files.clear_drained")
    assert marks == [(name, f"files.{act}_drained") for name in THREE for act in ("mark", "clear")]


def test_the_drain_is_recorded_on_the_host_before_it_happens() -> None:
    """A run that dies after the drain has left word on the host that it must be put back."""
    run = deploy(settled("gpu1"), V2)
    calls = [method for _, method in run.calls]
    assert calls.index("files.mark_drained") < calls.index("balancer.drain")
    assert calls.index("balancer.undrain") < calls.index("files.clear_drained")


def test_golden_requests_are_answered_several_times_before_traffic() -> None:
    """Once before the old version goes, three times in a row and once after a while before the host gets requests."""
    run = deploy(settled("gpu1"), V2)
    calls = [method for _, method in run.calls]
    assert calls[: calls.index("balancer.undrain")].count("serving.predict") == 5
    assert "serving.predict" not in calls[calls.index("files.write_release") :]


def test_labels_move_in_the_second_reload() -> None:
    """A label may move only to a version that is AVAILABLE, so it comes with the final configuration."""
    world = World.of("gpu1")
    assert deploy(world, desired(1, labels={"stable": 1})).code == 0
    wanted = desired(1, 2, labels={"stable": 1, "canary": 2})
    assert deploy(world, wanted).code == 0
    assert deploy(world, desired(1, 2, labels={"stable": 2, "canary": 2})).code == 0
    server = world.hosts["gpu1"].server(SERVICE)
    assert server is not None
    assert server.labels == {"ranker": {"stable": 2, "canary": 2}}


def test_a_model_is_added_and_removed_by_reload() -> None:
    """One more model is loaded beside the first; one less is unloaded, but only when that is allowed."""
    world, both = settled("gpu1"), desired(models={"ranker": (1,), "embedder": (4,)})
    assert deploy(world, both).code == 0
    assert converged(world, both) == []
    refused = deploy(world, V1)
    assert (refused.code, refused.acts) == (5, [])
    assert deploy(world, V1, allow_remove=True).code == 0
    assert converged(world, V1) == []


def test_loading_takes_its_time_and_is_waited_for() -> None:
    """A model that needs two minutes to load is no failure, and nobody waits for real."""
    world = new(*THREE)
    for host in world.hosts.values():
        host.load_s = 120.0
    assert deploy(world, V1).code == 0
    assert deploy(world, V2).code == 0
    assert converged(world, V2) == []
    assert world.clock.monotonic_s() > 700


def test_old_versions_are_pruned_and_needed_ones_never() -> None:
    """After five versions the three newest stay on disk."""
    world = settled("gpu1")
    for number in (2, 3, 4, 5):
        assert deploy(world, desired(number)).code == 0
    assert sorted(world.hosts["gpu1"].directory(SERVICE).versions["ranker"]) == [3, 4, 5]
    assert deploy(world, desired(5)).acts == []


def test_hosts_of_a_wave_go_side_by_side_within_the_capacity() -> None:
    """A wave of all six hosts with two allowed out never has three out, and ends with all of them changed."""
    names = tuple(f"gpu{number}" for number in range(6))
    world = settled(*names)
    run = deploy(world, V2, run_plays=plays(names, serial=(), max_unavailable=Quantity(2)), threads=True)
    assert run.code == 0
    assert converged(world, V2) == []
    assert dangers(world, most_out=2) == []


def test_everything_may_stand_in_one_play(tmp_path: Path) -> None:
    """A playbook that stages, pulls and switches over in one play converges at once, also to a new image."""
    path = tmp_path / "one.yml"
    path.write_text(ONE_PLAY)
    world = settled("gpu1", "gpu2")
    wanted = desired(2, image="serving:2")
    run = deploy(world, wanted, run_plays=plays(["gpu1", "gpu2"], path=path))
    assert run.code == 0
    assert converged(world, wanted) == []
    assert deploy(world, wanted, run_plays=plays(["gpu1", "gpu2"], path=path)).acts == []


def test_a_host_that_nobody_balances_is_never_drained() -> None:
    """Without a balancer there is nothing to drain, and the deploy is the same otherwise."""
    world = settled("gpu1")
    run = deploy(world, V2, balanced=False)
    assert run.code == 0
    assert not any("drain" in act for act in run.acts)


def test_events_tell_every_step_before_it_happens() -> None:
    """Each step is announced before its first call and told again with its end; the run begins with what was seen."""
    world, seen = settled("gpu1"), list[tuple[Kind, bool]]()

    def sink(event: object) -> None:
        drained = any((pool, "gpu1") in world.drained for pool in POOLS)
        if getattr(event, "task", "") == "drain":
            seen.append((getattr(event, "kind"), drained))  # noqa: B009

    run = deploy(world, V2, sinks=[sink])
    assert seen == [(Kind.STEP_STARTED, False), (Kind.STEP_FINISHED, True)]
    kinds = [event.kind for event in run.events]
    assert kinds[0] is Kind.HOST_OBSERVED
    assert kinds.count(Kind.STEP_STARTED) == kinds.count(Kind.STEP_FINISHED)
    assert Kind.SOAK_STARTED not in kinds, "one wave needs no soak"


def test_it_soaks_between_waves_and_not_after_the_last() -> None:
    """Two waves have one pause between them."""
    kinds = [event.kind for event in deploy(settled("gpu1", "gpu2"), V2).events]
    assert kinds.count(Kind.SOAK_STARTED) == 1


@pytest.mark.parametrize("change", [{"image": "serving:1"}, {"image": "serving:2"}])
def test_back_and_forth_converges(change: dict[str, str]) -> None:
    """A version can be rolled back to, with or without an image, as long as it is on disk."""
    world = settled("gpu1", "gpu2")
    assert deploy(world, desired(2, **change)).code == 0  # type: ignore[arg-type]
    assert deploy(world, V1).code == 0
    assert converged(world, V1) == []
    assert dangers(world) == []
