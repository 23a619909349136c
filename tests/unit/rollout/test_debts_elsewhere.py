"""A host that a run of another controller left behind, where the balancer has no note of that (HAProxy before 2.4, or
started anew since): nobody is told to send it requests as it is.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.controller import deploy, plays
from simulation.debts import SimDebts
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.events import Event
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.planning.container import container_name

from .fleets import V1, V2, V3, dangers, settled

pytestmark = pytest.mark.simulation
THREE = ("gpu1", "gpu2", "gpu3")
TWO_OUT = plays(THREE, max_unavailable=Quantity(2))


def drained(world: World) -> set[str]:
    return {server for _, server in world.drained}


def left_behind() -> World:
    """All have version 2 but gpu2, which is back, drained, and remembered by another controller alone."""
    world = settled(*THREE)
    world.keeps_notes = False
    world.hosts["gpu2"].reachable = False
    assert deploy(world, V2, debts=SimDebts(), allow_unreachable=True, run_plays=TWO_OUT).code == 8
    world.hosts["gpu2"].reachable = True
    return world


def test_who_may_be_left_behind_is_not_advised_to_get_requests() -> None:
    """The refusal names its release and the others', and the ways that send no request to the old one."""
    world = left_behind()
    run = deploy(world, V2, debts=SimDebts())
    assert run.code == 5
    assert run.error is not None
    old, new = (world.hosts[name].directory(SERVICE).release for name in ("gpu2", "gpu1"))
    assert old is not None
    assert new is not None
    assert run.error.message.endswith(
        "gpu2 may have been left behind by a run of another controller: "
        f"gpu2 has release {old.id} of {SERVICE}, the others have {new.id}"
    )
    assert "state ready" not in run.error.hint
    assert "stop its container" in run.error.hint
    assert drained(world) == {"gpu2"}


def test_the_way_that_is_advised_sends_no_request_to_the_old_release() -> None:
    """With its container stopped the host is put back, brought up to date by the next run, and serves only that."""
    world = left_behind()
    world.hosts["gpu2"].stop(container_name(SERVICE))
    world.drained.clear()
    served = set[int]()

    def look(_: Event) -> None:
        host = world.hosts["gpu2"]
        if world.gets_requests("gpu2") and host.server(SERVICE):
            served.update(dict(world.serves("gpu2").versions)["ranker"])

    run = deploy(world, V3, debts=SimDebts(), sinks=[look])
    assert run.code == 0, run.last_line
    assert served == {3}
    assert converged(world, V3) == []
    assert dangers(world) == []


@pytest.mark.parametrize(("out", "wanted"), [("gpu1", V2), ("gpu1", V1)], ids=["new release", "mixed fleet"])
def test_who_is_like_the_others_is_to_be_put_back(out: str, wanted: object) -> None:
    """A host that a person drained, and that serves what others serve, is theirs to put back as it is."""
    world = settled(*THREE)
    if wanted is V1:
        assert deploy(world, {"gpu1": V1, "gpu2": V2, "gpu3": V1}).code == 0
    world.drained |= {(pool, out) for pool in POOLS}
    run = deploy(world, V2)
    assert run.code == 5
    assert run.error is not None
    assert "another controller" not in run.error.message
    assert run.error.hint.startswith("put it back (HAProxy: set server POOL/SERVER state ready)")


def test_hosts_outside_the_limit_tell_who_is_behind() -> None:
    """A run of the host alone knows by the others of its play that it was left behind."""
    world = left_behind()
    alone = [replace(bound, hosts=("gpu2",)) for bound in plays(THREE)]
    run = deploy(world, {"gpu2": V2}, run_plays=alone, debts=SimDebts())
    assert run.code == 5
    assert "may have been left behind" in run.last_line
