"""Runs that arm watchdogs on simulated hosts, those that are killed meanwhile, and what time does to their hosts."""

from __future__ import annotations

from typing import Any

from simulation.controller import Run, changes, deploy, plays
from simulation.wire import Killed, Trouble
from simulation.world import SERVICE, World

from fleetdeploy.domain.service import DesiredService
from fleetdeploy.domain.watch import Watch, WatchState

CONFIRM_S = 30.0
LONG_S = 3000.0
"""More than any watchdog of these tests waits, and less than the virtual clock allows."""


def watched(world: World, wanted: DesiredService, **more: Any) -> Run:
    """A run of the project's playbook whose play that switches over has a ``confirm_timeout``."""
    changed = {"confirm_timeout_s": CONFIRM_S, **more.pop("play", {})}
    return deploy(world, wanted, run_plays=plays(list(world.hosts), **changed), **more)


def killed(world: World, wanted: DesiredService, *, at: int) -> None:
    """Such a run whose controller ends at its ``at``-th call."""
    try:
        watched(world, wanted, trouble=Trouble("kill", at))
    except Killed:
        return
    raise AssertionError(f"the run was over before its call {at}")


def call_of(run: Run, method: str, host: str = "gpu1") -> int:
    """Where the call stands among all of the run, from 1 on."""
    return run.calls.index((host, method)) + 1


def deaths(calls: list[tuple[str, str]]) -> list[int]:
    """Every call before which a death leaves another state behind than an earlier one."""
    return [at for at in range(1, len(calls) + 1) if at == 1 or changes(calls[at - 2][1])]


def time_passes(world: World) -> None:
    world.clock.wait(LONG_S)
    world.record()


def watch(world: World, host: str = "gpu1") -> Watch | None:
    return world.hosts[host].directory(SERVICE).watch


def state(world: World, host: str = "gpu1") -> WatchState | None:
    found = watch(world, host)
    return found.state if found else None
