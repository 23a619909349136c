"""Runs in which something is wrong with a version, a container, a host or the balancer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from simulation.controller import Run, deploy, desired, plays
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import World, converged

from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.playbook import OnFailure, Quantity

from .fleets import NEW_IMAGE, V1, V2, V3, dangers, new, settled, spoil

pytestmark = pytest.mark.simulation

THREE = ("gpu1", "gpu2", "gpu3")
BACK = "FAILED: gpu1; gpu1 reverted, every host serves what it served before"


def states(run: Run) -> dict[str, HostState]:
    assert run.outcome is not None
    return {name: item.state for name, item in run.outcome.hosts.items()}


def touched(run: Run) -> set[str]:
    """Hosts whose traffic was touched."""
    return {host for host, method in run.calls if method in {"files.mark_drained", "files.write_config"}}


@pytest.mark.parametrize("quality", [Quality.WRONG, Quality.NO_VARIABLES, Quality.UNLOADABLE])
@pytest.mark.parametrize("image", ["serving:1", "serving:2"])
def test_a_bad_version_is_caught_on_the_first_host(quality: Quality, image: str) -> None:
    """The first host goes back to what it served, the rollout stops, the others are untouched, exit 3."""
    world = settled(*THREE)
    spoil(world, 2, quality)
    before = world.serves_all()
    run = deploy(world, desired(2, image=image))
    assert (run.code, run.last_line) == (3, BACK)
    assert world.serves_all() == before
    assert touched(run) == {"gpu1"}
    assert states(run) == {"gpu1": HostState.REVERTED, "gpu2": HostState.SKIPPED, "gpu3": HostState.SKIPPED}
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_a_reverted_host_says_why() -> None:
    """The outcome holds the server's own words and the container's last log lines."""
    world = settled("gpu1")
    spoil(world, 2, Quality.NO_VARIABLES)
    run = deploy(world, V2)
    assert run.outcome is not None
    outcome = run.outcome.hosts["gpu1"]
    assert "golden request 'answer of 2' to ranker version 2 failed" in outcome.reason
    assert "Could not find variable" in outcome.reason
    assert outcome.detail == "the last lines of fleetdeploy-ranking"


def test_after_a_revert_the_next_good_version_goes_through() -> None:
    """A burnt number stays behind; the fixed model under a new number is deployed by the same command."""
    world = settled(*THREE)
    spoil(world, 2, Quality.UNLOADABLE)
    assert deploy(world, V2).code == 3
    assert deploy(world, V2).code == 3, "and it fails the same way as often as it is tried"
    assert deploy(world, V3).code == 0
    assert converged(world, V3) == []
    assert dangers(world) == []


def test_a_first_deploy_that_fails_leaves_nothing_running() -> None:
    """Where nothing served before, a revert ends with nothing serving, at once, exit 3, and can be repaired."""
    world = new("gpu1", "gpu2")
    spoil(world, 1, Quality.NO_VARIABLES)
    before_s = world.clock.monotonic_s()
    run = deploy(world, V1)
    assert (run.code, run.last_line) == (3, BACK)
    assert world.clock.monotonic_s() - before_s < 30
    assert all(not host.containers for host in world.hosts.values())
    assert deploy(world, V2).code == 0
    assert converged(world, V2) == []


def test_a_crash_looping_image_is_known_at_once() -> None:
    """A container that Docker restarts is a failure within seconds, not at the deadline, and the old one comes back."""
    world = settled(*THREE)
    for host in world.hosts.values():
        host.broken_images = {"serving:2"}
    before_s = world.clock.monotonic_s()
    run = deploy(world, NEW_IMAGE)
    assert (run.code, run.last_line) == (3, BACK)
    assert world.clock.monotonic_s() - before_s < 30
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_an_image_that_cannot_be_pulled_touches_no_traffic() -> None:
    """A missing image stops the run before anything is drained; every host serves what it served."""
    world = settled(*THREE)
    run = deploy(world, desired(1, image="serving:9"))
    assert run.code == 3
    assert touched(run) == set()
    assert converged(world, V1) == []


def test_a_failure_on_the_second_wave_is_called_mixed() -> None:
    """One host new, one reverted: exit 4, and the last line names both and what to type."""
    world = settled(*THREE)
    world.hosts["gpu2"].quality[("ranker", 2)] = Quality.WRONG
    run = deploy(world, V2)
    assert run.code == 4
    assert run.last_line == ("FAILED: gpu2; the fleet is mixed: gpu1 changed; mend it, then: fleetdeploy deploy")
    served = {name: dict(now.versions)["ranker"] for name, now in world.serves_all().items()}
    assert served == {"gpu1": (2,), "gpu2": (1,), "gpu3": (1,)}
    assert states(run) == {"gpu1": HostState.CHANGED, "gpu2": HostState.REVERTED, "gpu3": HostState.SKIPPED}
    assert dangers(world) == []


@pytest.mark.parametrize("image", ["serving:1", "serving:2"])
def test_revert_all_takes_every_host_back(image: str) -> None:
    """With ``revert_all`` the hosts that were done go back too, drained first: exit 3, all serve the old version."""
    world = settled(*THREE)
    world.hosts["gpu3"].quality[("ranker", 2)] = Quality.NO_VARIABLES
    before = world.serves_all()
    run = deploy(
        world, desired(2, image=image), run_plays=plays(THREE, serial=(Quantity(1),), on_failure=OnFailure.REVERT_ALL)
    )
    assert run.code == 3
    assert run.last_line.endswith("every host serves what it served before")
    assert world.serves_all() == before
    assert set(states(run).values()) == {HostState.REVERTED}
    assert run.outcome
    assert {name for name, item in run.outcome.hosts.items() if item.taken_back} == {"gpu1", "gpu2"}
    assert run.last_line.startswith("FAILED: gpu3; ")
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_on_failure_stop_leaves_the_host_as_it_is_and_says_so() -> None:
    """``stop`` reverts nothing: the host stays out of its balancer, exit 4."""
    world = settled(*THREE)
    spoil(world, 2, Quality.WRONG)
    run = deploy(world, V2, run_plays=plays(THREE, on_failure=OnFailure.STOP))
    assert run.code == 4
    assert not world.serves("gpu1").traffic
    assert touched(run) == {"gpu1"}
    assert dangers(world) == []


def test_a_host_down_at_the_start_stops_everything() -> None:
    """Without ``--allow-unreachable`` nothing is touched, exit 5."""
    world = settled(*THREE)
    world.hosts["gpu2"].reachable = False
    run = deploy(world, V2)
    assert run.code == 5
    assert run.acts == []
    assert "gpu2: unreachable" in run.last_line


def test_a_host_down_at_the_start_can_be_gone_without() -> None:
    """With ``--allow-unreachable`` the others are done within the capacity, exit 8, and the host is named."""
    world = settled(*THREE)
    world.hosts["gpu2"].reachable = False
    run = deploy(world, V2, allow_unreachable=True, run_plays=plays(THREE, max_unavailable=Quantity(2)))
    assert run.code == 8
    assert run.last_line == "PARTLY: 2 of 3 hosts changed, skipped as unreachable: gpu2"
    assert not any(act.startswith("gpu2") for act in run.acts)
    assert dangers(world, most_out=2) == []


def test_hosts_that_are_down_count_against_the_capacity() -> None:
    """With one host down and one allowed out, no other may be taken out: exit 5, nothing touched."""
    world = settled(*THREE)
    world.hosts["gpu2"].reachable = False
    run = deploy(world, V2, allow_unreachable=True)
    assert run.code == 5
    assert run.acts == []
    assert "gpu2 out of service already" in run.last_line


def test_a_host_that_the_balancer_has_out_counts_against_the_capacity() -> None:
    """A host that serves but gets no requests is out by its balancer's word, and nobody else may leave: exit 5."""
    world = settled(*THREE)
    world.drained = {("ranking_grpc", "gpu3")}
    run = deploy(world, {"gpu1": V2, "gpu2": V1, "gpu3": V1})
    assert (run.code, run.acts) == (5, [])
    assert "gpu3 out of service already" in run.last_line


def test_a_host_without_its_container_is_repaired_first() -> None:
    """A host that is out and can be repaired goes first and frees the capacity for the others."""
    world = settled(*THREE)
    world.hosts["gpu3"].stop("fleetdeploy-ranking")
    world.hosts["gpu3"].cut.clear()
    run = deploy(world, V2)
    assert run.code == 0
    drains = [host for host, method in run.calls if method == "files.mark_drained"]
    assert drains[0] == "gpu3"
    assert converged(world, V2) == []
    assert dangers(world) == []


def test_a_host_that_goes_away_before_its_turn_is_not_touched() -> None:
    """A host lost between its first look and its turn stops the rollout; the hosts before it are told as changed."""
    world = settled(*THREE)
    seen = list[str]()

    def lose(event: object) -> None:
        seen.append(f"{getattr(event, 'host', '')} {getattr(event, 'kind', '')}")
        if getattr(event, "task", "") == "undrain" and getattr(event, "host", "") == "gpu1":
            world.hosts["gpu2"].reachable = False

    run = deploy(world, V2, sinks=[lose])
    assert run.code == 4
    assert states(run)["gpu2"] is HostState.UNREACHABLE
    assert "gpu2" not in touched(run)
    assert "gpu3" not in touched(run)
    world.hosts["gpu2"].reachable = True
    assert deploy(world, V2).code == 0


def test_a_balancer_that_cannot_be_asked_stops_before_anything() -> None:
    """Nobody knows who is in service: exit 5, nothing touched."""
    world = settled(*THREE)
    world.balancer_down = True
    run = deploy(world, V2)
    assert (run.code, run.acts) == (5, [])


def test_a_balancer_that_does_not_drain_is_not_believed() -> None:
    """Without a confirmed drain nothing is activated; the host is back as it was, exit 3."""
    world = settled(*THREE)
    world.lies = {"drain"}
    run = deploy(world, V2)
    assert (run.code, run.last_line) == (3, BACK)
    assert not any("write_config" in act for act in run.acts)
    assert converged(world, V1) == []
    assert dangers(world) == []


def test_a_balancer_that_does_not_undrain_is_a_case_for_a_person() -> None:
    """A host that cannot be put back is named, exit 4; once the balancer is mended the same command converges."""
    world = settled(*THREE)
    world.lies = {"undrain"}
    run = deploy(world, V2)
    assert run.code == 4
    assert run.last_line.startswith("FAILED: gpu1: not known to serve")
    assert touched(run) == {"gpu1"}
    assert dangers(world) == []
    world.lies = set()
    assert deploy(world, V2).code == 0
    assert converged(world, V2) == []


def test_a_server_that_rebooted_is_in_the_state_that_its_file_says() -> None:
    """A host that restarts after a deploy serves the same again, and a run finds nothing to do."""
    world = settled("gpu1")
    assert deploy(world, V2).code == 0
    world.hosts["gpu1"].reboot()
    assert converged(world, V2) == []
    assert deploy(world, V2).acts == []


def test_failed_hosts_have_no_part_in_later_plays() -> None:
    """Where some hosts may fail, one whose files could not be put in place is not switched over to them."""
    names = ("gpu1", "gpu2", "gpu3", "gpu4")
    world = settled(*names)
    bound = plays(names, max_unavailable=Quantity(2), serial=(Quantity(1),))
    bound = tuple(replace(item, play=replace(item.play, max_fail_percentage=50)) for item in bound)
    at = _call_number(settled(*names), "gpu2", "files.stage")
    run = deploy(world, V2, run_plays=bound, trouble=Trouble("refuse", at))
    assert states(run)["gpu2"] is not HostState.CHANGED
    assert "gpu2" not in touched(run)
    assert states(run)["gpu4"] is HostState.CHANGED
    assert run.code == 4
    assert dangers(world) == []


def _call_number(world: World, host: str, method: str) -> int:
    return deploy(world, V2).calls.index((host, method)) + 1


def test_a_host_that_stays_out_takes_capacity_for_good() -> None:
    """With failures allowed and one host lost on the way, no second one is taken out, and nobody waits for ever."""
    names = ("gpu1", "gpu2", "gpu3", "gpu4")
    world = settled(*names)
    bound = plays(names, max_fail_percentage=100, serial=(Quantity(1),))
    at = _call_number(settled(*names), "gpu2", "serving.reload")
    run = deploy(world, V2, run_plays=bound, trouble=Trouble("lose", at))
    assert run.code == 4
    assert dangers(world) == []
    assert states(run) == {
        "gpu1": HostState.CHANGED,
        "gpu2": HostState.UNREACHABLE,
        "gpu3": HostState.SKIPPED,
        "gpu4": HostState.SKIPPED,
    }


def test_the_balancer_must_know_the_host() -> None:
    """A host that stands in no pool is found by preflight, before anything is drained."""
    world = settled(*THREE)
    world.unlisted = {"gpu2"}
    run = deploy(world, V2)
    assert run.code != 0
    assert touched(run) == set()
    assert "no server 'gpu2'" in str(run.outcome.hosts["gpu2"].reason if run.outcome else run.error)


@pytest.mark.parametrize("begin", [lambda: settled(*THREE), lambda: new(*THREE)])
def test_max_unavailable_zero_is_refused_where_it_would_cost(begin: Callable[[], World]) -> None:
    """With no host allowed out, serving hosts are not touched; hosts that never served may still be set up."""
    world = begin()
    run = deploy(world, V2, run_plays=plays(THREE, max_unavailable=Quantity(0)))
    assert run.code == (5 if world.counted else 0)
    assert dangers(world, most_out=0) == []
