"""What an AVAILABLE server may still be: not what its file says, about to crash, without its GPU, slow, burnt."""

from __future__ import annotations

from contextlib import suppress

import pytest
from simulation.controller import deploy, desired
from simulation.host import MOST_RESTARTS
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble
from simulation.world import SERVICE, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.service import DesiredService

from .fleets import V1, V2, V3, dangers, new, settled, spoil
from .trapped import BACK, NAME, container, during, outcome, said, server

pytestmark = pytest.mark.simulation


def test_a_file_that_somebody_writes_meanwhile_is_not_proven() -> None:
    """The text on the host is read back: another one fails the host with both sides named, and it goes back."""
    world = settled("gpu1")
    files = world.hosts["gpu1"].directory(SERVICE)
    run = deploy(world, V2, sinks=[during("verify", lambda: setattr(files, "config_text", V3.config_text))])
    assert (run.code, run.last_line) == (3, BACK)
    assert "'versions: 3' in line" in outcome(run).reason
    assert "'versions: 2' was meant" in outcome(run).reason
    assert converged(world, V1) == []


def test_a_label_that_means_another_version_is_not_proven() -> None:
    """Labels are asked of the server, each with both sides named where it is another."""
    world = new("gpu1")
    assert deploy(world, desired(1, 2, labels={"stable": 1, "old": 1})).code == 0
    wanted = desired(1, 2, labels={"stable": 2})

    def moved() -> None:
        server(world).labels = {"ranker": {"stable": 1, "old": 2}}

    run = deploy(world, wanted, sinks=[during("verify", moved)])
    assert run.code == 3
    assert "label old of ranker means version 2 and shall be gone" in outcome(run).reason
    assert "label stable of ranker means version 1 and shall mean version 2" in outcome(run).reason


def both_models(*versions: int) -> DesiredService:
    return desired(models={"ranker": versions, "embedder": (4,)})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (desired(1, 2, labels={"stable": 1}), desired(1, 2, labels={"stable": 2})),
        (desired(1, 2, labels={"stable": 1, "old": 2}), desired(1, 2, labels={"stable": 1})),
        (both_models(1), desired(1)),
        (both_models(1), desired(2, labels={"stable": 2})),
    ],
    ids=["label moved", "label gone", "model gone", "model gone, version new"],
)
def test_killed_anywhere_memory_is_what_the_file_says_in_the_end(before: DesiredService, after: DesiredService) -> None:
    """A run killed between file and reload leaves versions that look right: the next one loads the rest."""
    world = new("gpu1")
    assert deploy(world, before).code == 0
    calls = len(deploy(world.copy(), after, allow_remove=True).calls)
    for at in range(1, calls + 1):
        there = world.copy()
        with suppress(Killed):
            deploy(there, after, allow_remove=True, trouble=Trouble("kill", at))
        assert deploy(there, after, allow_remove=True).code == 0, at
        assert converged(there, after) == [], at
        labels = {model: held for model, held in server(there).labels.items() if held}
        assert labels == {model.name: dict(model.labels) for model in after.models if model.labels}, at
        assert deploy(there, after, allow_remove=True).acts == [], at


# Servers that flap


def test_a_server_that_restarts_while_it_is_watched_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """AVAILABLE before and after, but another process: the flap fails the host and is not waited out."""
    world = settled("gpu1")
    wait, looked = world.clock.wait, list[float]()

    def crash_between_two_looks(seconds: float) -> None:
        wait(seconds)
        if seconds == 0.5:
            looked.append(seconds)
            server(world).exited = server(world).exited or len(looked) == 2

    monkeypatch.setattr(world.clock, "wait", crash_between_two_looks)
    run = deploy(world, V2)
    assert (run.code, run.last_line) == (3, BACK)
    assert len(looked) == 2
    assert "restarted 1 time by Docker; its server ended with status 255" in outcome(run).reason
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_a_version_that_leaves_while_it_is_watched_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is not AVAILABLE at one look fails the host, with the state it was seen in."""
    world = settled("gpu1")
    wait = world.clock.wait

    def reloaded(seconds: float) -> None:
        wait(seconds)
        if seconds == 0.5:
            server(world).listed["ranker"] = ()

    monkeypatch.setattr(world.clock, "wait", reloaded)
    run = deploy(world, V2)
    assert run.code == 3
    assert "ranker was AVAILABLE and did not stay so for 2 s: version 2 is END" in outcome(run).reason


def test_a_server_that_answers_at_first_only_is_found_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Golden requests are answered once more when the watched time is over."""
    world = settled("gpu1")
    wait = world.clock.wait

    def spoilt(seconds: float) -> None:
        wait(seconds)
        if seconds == 0.5:
            server(world).versions["ranker"][2].quality = Quality.WRONG

    monkeypatch.setattr(world.clock, "wait", spoilt)
    run = deploy(world, V2)
    assert run.code == 3
    assert "was answered wrongly" in outcome(run).reason


# GPUs


def test_a_container_that_lost_its_gpu_fails_and_gets_it_back_by_a_restart() -> None:
    """It answers, on the CPU: the host fails with nvidia-smi's words, and is back in service with its GPU."""
    world = settled("gpu1", "gpu2")
    run = deploy(world, V2, sinks=[during("verify", lambda: setattr(container(world), "gpus", False))])
    assert (run.code, run.last_line) == (3, BACK)
    assert "the server lost its GPU" in outcome(run).reason
    assert "Failed to initialize NVML" in outcome(run).reason
    assert container(world).gpus
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_a_host_whose_gpu_does_not_come_back_is_a_case_for_a_person() -> None:
    """A server that would compute on the CPU is not put back into its balancer: exit 4, and the host is named."""
    world = settled("gpu1", "gpu2")

    def lost() -> None:
        world.hosts["gpu1"].gpus = container(world).gpus = False

    run = deploy(world, V2, sinks=[during("verify", lost)])
    assert run.code == 4
    assert not world.serves("gpu1").traffic
    assert "the revert failed as well: the server lost its GPU" in outcome(run).reason
    assert dangers(world) == []


def test_an_image_without_nvidia_smi_tells_nothing_and_is_let_through() -> None:
    """A program that is not there is no lost GPU; it is said once for each host."""
    world = settled("gpu1")
    world.hosts["gpu1"].smi = False
    run = deploy(world, V2)
    assert run.code == 0
    assert said(run).count("the container has no nvidia-smi") == 1


# Slow, burnt, and looping


def test_an_answer_that_comes_too_late_fails_the_host() -> None:
    """A request has its own bound, and the error says how long it took and what is allowed."""
    world = settled("gpu1")
    spoil(world, 2, Quality.SLOW)
    run = deploy(world, V2)
    assert (run.code, run.last_line) == (3, BACK)
    assert "no answer after 10.0 s; 10 s are allowed" in outcome(run).reason
    assert converged(world, V1) == []


def test_a_burnt_number_is_named_with_the_way_out() -> None:
    """The error of a version that failed says its number, the server's words, and what a process never does again."""
    world = settled("gpu1")
    spoil(world, 2, Quality.UNLOADABLE)
    found = outcome(deploy(world, V2))
    assert "ranker: version 2 failed to load: NOT_FOUND: version 2 does not load" in found.reason
    assert "publish it under a new number" in found.hint
    assert "restarted" in found.hint


def test_a_server_that_ends_at_start_again_and_again_is_told_with_its_count() -> None:
    """A version that fails at the start of a container ends the server: the error has status, count and log."""
    world = settled("gpu1")
    spoil(world, 2, Quality.UNLOADABLE)
    found = outcome(deploy(world, desired(2, image="serving:2")))
    assert "the container is restarting, restarted " in found.reason
    assert "its server ended with status 255" in found.reason
    assert found.detail == f"the last lines of {NAME}"


def test_a_container_that_loops_is_started_at_once_on_the_way_back() -> None:
    """Docker's own next try may be a minute away: going back does not wait for it."""
    world = settled("gpu1")
    server(world).stuck = True
    spoil(world, 2, Quality.UNLOADABLE)

    def long_pauses(event: Event) -> None:
        if event.kind is Kind.REVERT_STARTED:
            container(world).restart_count = MOST_RESTARTS

    began_s = world.clock.monotonic_s()
    run = deploy(world, V2, sinks=[long_pauses])
    assert (run.code, run.last_line) == (3, BACK)
    assert converged(world, V1) == []
    assert world.clock.monotonic_s() - began_s < 60
