"""Every point at which a run can be killed, fail, lose a host or be interrupted, one after the other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from simulation.controller import changes, deploy, desired
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.service import DesiredService

from .fleets import NEW_IMAGE, V1, V2, dangers, killed, new, settled, spoil, untrue

pytestmark = pytest.mark.simulation
PAIR = ("gpu1", "gpu2")
SCENES: dict[str, tuple[Callable[..., World], DesiredService]] = {
    "first deploy": (new, V1),
    "reload": (settled, V2),
    "replacement": (settled, NEW_IMAGE),
}


def calls_of(start: Callable[..., World], wanted: DesiredService) -> list[tuple[str, str]]:
    """Every protocol call of a run in which nothing goes wrong."""
    run = deploy(start(*PAIR), wanted)
    assert run.code == 0
    assert len(run.calls) > 40
    return run.calls


def deaths(calls: list[tuple[str, str]]) -> list[tuple[int, tuple[str, str]]]:
    """Every call before which a death leaves another state behind than an earlier one.

    What a dead controller knew is gone with it: to die before or after a mere look is the same.
    """
    return [(at, call) for at, call in enumerate(calls, 1) if at == 1 or changes(calls[at - 2][1])]


@pytest.mark.parametrize("scene", SCENES)
def test_killed_anywhere_it_converges(scene: str) -> None:
    """Whatever call the controller died at, the same command converges, and once more changes nothing."""
    start, wanted = SCENES[scene]
    wrong = []
    for at, call in deaths(calls_of(start, wanted)):
        world = start(*PAIR)
        killed(world, wanted, at=at)
        danger = dangers(world)
        again = deploy(world, wanted)
        found = [*converged(world, wanted), *danger, *dangers(world)]
        third = deploy(world, wanted)
        if again.code or found or third.acts or third.code:
            wrong.append((at, call, again.last_line, found, third.acts))
    assert wrong == []


@pytest.mark.parametrize("kind", ["refuse", "drop"])
@pytest.mark.parametrize("scene", SCENES)
def test_whatever_call_fails_the_last_line_is_true(scene: str, kind: str) -> None:
    """One call that fails, or whose answer is lost, leaves no healthy host drained and no untrue word."""
    start, wanted = SCENES[scene]
    wrong = []
    for at, call in enumerate(calls_of(start, wanted), 1):
        if kind == "drop" and not changes(call[1]):
            continue  # the same as a look that failed
        world = start(*PAIR)
        before = world.serves_all()
        run = deploy(world, wanted, trouble=Trouble(kind, at))
        found = untrue(world, before, wanted, run)
        if found:
            wrong.append((at, call, run.code, run.last_line, found))
    assert wrong == []


@pytest.mark.parametrize("scene", ["replacement"])
def test_a_host_lost_anywhere_is_told_and_repaired_later(scene: str) -> None:
    """A host that goes away at any call stops the rollout truthfully; once it is back the same command converges."""
    start, wanted = SCENES[scene]
    wrong = []
    for at, call in enumerate(calls_of(start, wanted), 1):
        if call[0] not in PAIR:
            continue
        world = start(*PAIR)
        before = world.serves_all()
        run = deploy(world, wanted, trouble=Trouble("lose", at))
        found = untrue(world, before, wanted, run)
        world.hosts[call[0]].reachable = True
        again = deploy(world, wanted)
        found += [*converged(world, wanted), *dangers(world)]
        if found or again.code:
            wrong.append((at, call, run.code, run.last_line, again.last_line, found))
    assert wrong == []


def test_interrupted_anywhere_it_ends_safely_and_can_go_on() -> None:
    """After a signal at any call no host is left drained or unproven, exit 130, and the same command converges."""
    start, wanted = SCENES["reload"]
    wrong = []
    for at, call in enumerate(calls_of(start, wanted), 1):
        world = start(*PAIR)
        run = deploy(world, wanted, trouble=Trouble("signal", at))
        found = [f"{name} drained" for name in world.hosts if world.hosts[name].directory(SERVICE).drained_by]
        found += [f"{name} out" for name in world.hosts if not world.in_service(name)]
        again = deploy(world, wanted)
        found += [*converged(world, wanted), *dangers(world)]
        if run.code != 130 or again.code or found:
            wrong.append((at, call, run.code, again.last_line, found))
    assert wrong == []


@pytest.mark.parametrize("image", ["serving:1", "serving:2"])
def test_killed_while_a_broken_version_is_tried_the_old_one_comes_back(image: str) -> None:
    """Whatever call died over a version that is AVAILABLE and answers nothing, the next run reverts it, exit 3."""
    wanted = desired(2, image=image)
    first = settled("gpu1")
    spoil(first, 2, Quality.NO_VARIABLES)
    calls = deploy(first.copy(), wanted).calls
    wrong = []
    for at, call in deaths(calls):
        world = first.copy()
        killed(world, wanted, at=at)
        again = deploy(world, wanted)
        found = [*converged(world, V1), *dangers(world)]
        if again.code != 3 or found:
            wrong.append((at, call, again.code, again.last_line, found))
    assert wrong == []


def test_without_a_balancer_the_old_version_stays_until_the_new_one_answered() -> None:
    """Under traffic all the time, and killed anywhere, no version leaves memory before its successor answered."""
    calls = deploy(settled(*PAIR), V2, balanced=False).calls
    assert not any(host == "lb" for host, _ in calls)
    wrong = []
    for at, call in deaths(calls):
        world = settled(*PAIR)
        killed(world, V2, at=at, balanced=False)
        again = deploy(world, V2, balanced=False)
        if again.code or converged(world, V2) or world.lost:
            wrong.append((at, call, again.last_line, world.lost))
    assert wrong == []
