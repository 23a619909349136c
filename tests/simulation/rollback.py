"""One ``fleetdeploy rollback`` against a simulated world, from the histories of its hosts to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

from fleetdeploy.cli.binding.project import bind
from fleetdeploy.cli.changing.rollback import DEED, way_back
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.domain.inventory import Group, Inventory
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import DesiredService, GoldenRequest, ModelWish
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.going_back import going_back
from fleetdeploy.rollout.one_way_back import Request
from fleetdeploy.rollout.targets import Target, Targets
from fleetdeploy.tasks import registry

from .controller import PLAYBOOK, Run, deploy, golden, one_by_one, sim_host
from .fleet import SimFleet
from .world import World


def back_plays(names: Sequence[str], **changes: Any) -> tuple[BoundPlay, ...]:
    """The way back of the project's playbook, bound to ``names``."""
    hosts = {name: sim_host(name) for name in names}
    groups = {name: Group(name, tuple(names)) for name in ("all", "gpu")}
    known = load_playbook(PLAYBOOK, task_names=registry().keys()).plays
    switching = [play for play in known if any(call.name == "activate" for call in play.tasks)]
    return tuple(bind(replace(way_back(play, 1), **changes), Inventory(hosts, groups), None) for play in switching)


def rollback(
    world: World, inventory: DesiredService, release: str = "", *, hosts: Sequence[str] = (), **options: Any
) -> Run:
    """``fleetdeploy rollback RELEASE`` with an inventory that wants ``inventory``; ``options`` are those of deploy."""
    names = list(hosts or world.hosts)

    def prepare(targets: Targets, fleet: SimFleet) -> Targets:
        wishes = (inventory.wish,)
        bare = {name: Target(replace(sim_host(name), services=wishes), ()) for name in targets.by_name}
        with mock.patch("fleetdeploy.rollout.going_back.side_by_side", one_by_one):
            request = Request(release, 1, _golden, partial(_secret))
            return going_back(replace(targets, by_name=bare), fleet, request).targets

    return deploy(
        world,
        dict.fromkeys(names, inventory),
        prepare=prepare,
        deed=DEED,
        **{"run_plays": back_plays(names), **options},
    )


def _golden(wish: ModelWish) -> tuple[GoldenRequest, ...]:
    return tuple(golden(number) for number in wish.versions.numbers)


def _secret(value: str) -> Secret:
    return Secret(lambda: value, note=lambda _: None, where="a container")
