"""Plays with tasks beside what services need, and whether trouble anywhere in them is made good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from simulation.controller import deploy, plays
from simulation.wire import Killed, Trouble
from simulation.world import World, converged

from fleetdeploy.rollout.bound_play import BoundPlay

from .fleets import V2, dangers, settled

THREE = ("gpu1", "gpu2", "gpu3")
ROLES: Mapping[str, Mapping[str, object]] = {"gpu1": {"role": "canary"}, "gpu2": {"role": "x"}, "gpu3": {"role": "x"}}


def bound(
    tmp_path: Path, *beside: str, before: str = "", last: str = "", top: str = "", serial: int = 1
) -> tuple[BoundPlay, ...]:
    """One play that switches over, with tasks ``before`` the drain and ``beside`` what is done there."""
    lines = "".join(f"    - {item}\n" for item in beside)
    first = f"    - {before}\n" if before else ""
    path = tmp_path / f"book{len(list(tmp_path.iterdir()))}.yml"  # the simulation reads a path once
    path.write_text(
        f"- name: Switch\n  hosts: all\n  serial: {serial}\n{top}  tasks:\n    - stage\n    - pull_image\n{first}"
        f"    - drain\n    - activate\n    - verify\n{lines}    - undrain\n{last}"
    )
    return plays(THREE, path=path, variables=ROLES)


def commands(world: World) -> dict[str, list[tuple[str, ...]]]:
    return {name: host.commands for name, host in world.hosts.items() if host.commands}


def not_made_good(run_plays: Sequence[BoundPlay], kind: str) -> list[tuple[object, ...]]:
    """Every call at which ``kind`` of trouble leaves what the next run does not make good, or that one cannot bear."""
    calls = deploy(settled(*THREE), V2, run_plays=run_plays).calls
    wrong: list[tuple[object, ...]] = []
    for at in range(1, len(calls) + 1):
        world = settled(*THREE)
        try:
            run = deploy(world, V2, run_plays=run_plays, trouble=Trouble(kind, at))
            if run.code == 0 and converged(world, V2) and kind != "lose":
                wrong.append((at, calls[at - 1], "exit 0, not converged"))
        except Killed:
            pass
        danger = dangers(world)
        for host in world.hosts.values():
            host.reachable = True
        again = deploy(world, V2, run_plays=run_plays)
        found = [*danger, *converged(world, V2), *dangers(world)]
        third = deploy(world, V2, run_plays=run_plays)
        if again.code or found or third.acts or third.code:
            wrong.append((at, calls[at - 1], [again.last_line, *found, *third.acts]))
    return wrong
