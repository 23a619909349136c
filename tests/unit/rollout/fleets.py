"""Worlds that the tests of this room begin with, and what must be true of every world after a run."""

from __future__ import annotations

from functools import cache

from simulation.controller import Run, deploy, desired
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble
from simulation.world import SERVICE, Serving, World, converged

from fleetdeploy.domain.service import DesiredService

V1, V2, V3 = desired(1), desired(2), desired(3)
NEW_IMAGE = desired(1, image="serving:2")


@cache
def _settled(*names: str) -> World:
    world = World.of(*names, registry=["serving:2"])
    assert deploy(world, V1).code == 0
    assert converged(world, V1) == []
    return world


def new(*names: str) -> World:
    """Hosts that nobody has deployed to."""
    return World.of(*names, registry=["serving:2"])


def settled(*names: str) -> World:
    """Hosts that serve version 1 of ``ranker``, proven and in their balancer."""
    return _settled(*names).copy()


def spoil(world: World, number: int, quality: Quality) -> None:
    """Make a version of ``ranker`` bad on every host."""
    for host in world.hosts.values():
        host.quality[("ranker", number)] = quality


def killed(world: World, wanted: DesiredService, *, at: int, balanced: bool = True) -> None:
    """A run whose controller ends at its ``at``-th call."""
    try:
        deploy(world, wanted, trouble=Trouble("kill", at), balanced=balanced)
    except Killed:
        return
    raise AssertionError(f"the run was over before its call {at}")


def untrue(world: World, before: dict[str, Serving], wanted: DesiredService, run: Run) -> list[str]:
    """Everything about a run's exit code, last line and leavings that the fleet itself does not bear out."""
    after, found = world.serves_all(), list[str]()
    mixed = {name for name, item in run.outcome.hosts.items() if item.mixed} if run.outcome else set()
    # What an earlier run left unproven serves as before once it is proven, and makes the fleet mixed all the same.
    activated = run.outcome is not None and any(item.activated for item in run.outcome.hosts.values())
    missing = converged(world, wanted)
    if run.code == 0 and missing:
        found.append(f"exit 0, but {missing}")
    if run.code in {2, 3, 5, 6, 7} and after != before:
        found.append(f"exit {run.code}, but not every host serves what it served before")
    if run.code == 4 and "the fleet is mixed" in run.last_line and len(set(after.values())) < 2:
        found.append("called mixed, but all hosts serve the same")
    if run.code == 4 and "after every host was switched over" in run.last_line:
        found += [f"said to be switched over: {item}" for item in missing]
    elif run.code == 4 and not mixed and not activated and after == before:
        found.append("exit 4, but every host serves what it served before")
    if "every host serves what it served before" in run.last_line and after != before:
        found.append("the last line is not true")
    for name, host in world.hosts.items():
        if name in mixed or not host.reachable or name not in world.counted:
            continue
        if after[name].versions and not after[name].traffic:
            found.append(f"{name} is healthy and out of its balancer")
        if host.directory(SERVICE).drained_by is not None:
            found.append(f"{name} still has the drain marker")
    return found + dangers(world)


def dangers(world: World, *, most_out: int = 1) -> list[str]:
    """What no run may do at any instant: lose a request, or take out more hosts than allowed."""
    return world.lost + ([f"{world.most_out} hosts were out at once"] if world.most_out > most_out else [])
