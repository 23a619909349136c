"""A host that has a part in several plays of one run: it is watched, and goes back, as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simulation.controller import deploy, plays
from simulation.model_server import Quality
from simulation.world import POOLS, World, converged

from fleetdeploy.domain.events import Event, Kind, Sink
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.playbook import OnFailure, Quantity
from fleetdeploy.rollout.bound_play import BoundPlay

from .fleets import V1, V2, new, settled, untrue

SWITCH = """
- name: Prepare
  hosts: gpu
  tasks: [preflight, stage, pull_image]
- name: Switch
  hosts: gpu
  serial: 1
  tasks: [drain: , activate: , verify: , {call}, undrain: ]
"""
REGISTER = "run: {argv: [register], changes: true}"
SMOKE_TEST = "run: {argv: ['false']}"


def canary_first(tmp_path: Path, *others: str, then: str = REGISTER, **keys: Any) -> tuple[BoundPlay, ...]:
    """gpu1 is switched over in a play of its own; the next one does ``then`` on it and switches the others over."""
    found = []
    for name, hosts, call in (("canary", ["gpu1"], REGISTER), ("rest", ["gpu1", *others], then)):
        path = tmp_path / f"{name}.yml"
        path.write_text(SWITCH.replace("{call}", f"{{{call}}}"))
        found += plays(hosts, path=path, **keys)
    return tuple(found)


def end_server(world: World, name: str, *, at: tuple[Kind, str, str] | Kind) -> Sink:
    """The server of a host ends at the first event ``at``: its kind, host and task, or its kind."""
    due = [name]

    def sink(event: Event) -> None:
        if at in (event.kind, (event.kind, event.host, event.task)) and due:
            host = world.hosts[due.pop()]
            host.stop(next(iter(host.containers)))

    return sink


@pytest.mark.parametrize("then", [REGISTER, "run: {argv: [register]}"])
def test_all_of_it_goes_back_where_another_host_fails(tmp_path: Path, then: str) -> None:
    """``revert_all`` takes a canary back that had a part in the play of all hosts as well, whether it changed it."""
    world = settled("gpu1", "gpu2")
    before = world.serves_all()
    world.hosts["gpu2"].quality[("ranker", 2)] = Quality.WRONG
    run = deploy(world, V2, run_plays=canary_first(tmp_path, "gpu2", then=then, on_failure=OnFailure.REVERT_ALL))
    assert run.code == 3
    assert run.last_line == "FAILED: gpu2; gpu1, gpu2 reverted, every host serves what it served before"
    assert untrue(world, before, V2, run) == []


@pytest.mark.parametrize("on_failure", [OnFailure.REVERT, OnFailure.REVERT_ALL])
@pytest.mark.parametrize("then", [SMOKE_TEST, "run: {argv: ['false'], undo: [mend]}"])
def test_a_canary_that_fails_its_smoke_test_goes_back(tmp_path: Path, then: str, on_failure: OnFailure) -> None:
    """What fails on it in a later play takes back what it was switched over to before, and no other host begins."""
    world = settled("gpu1", "gpu2")
    before = world.serves_all()
    run = deploy(world, V2, run_plays=canary_first(tmp_path, "gpu2", then=then, on_failure=on_failure))
    assert run.code == 3
    assert run.last_line == "FAILED: gpu1; gpu1 reverted, every host serves what it served before"
    assert converged(world, V1) == []
    assert untrue(world, before, V2, run) == []


def test_a_canary_is_left_as_it_is_where_nothing_shall_be_taken_back(tmp_path: Path) -> None:
    """With ``on_failure: stop`` it goes on serving what it was switched over to, and the fleet is called mixed."""
    world = settled("gpu1", "gpu2")
    run = deploy(world, V2, run_plays=canary_first(tmp_path, "gpu2", then=SMOKE_TEST, on_failure=OnFailure.STOP))
    assert run.code == 4
    assert "the fleet is mixed: gpu1 changed" in run.last_line
    assert {name: item.versions for name, item in world.serves_all().items()} == {
        "gpu1": (("ranker", (2,)),),
        "gpu2": (("ranker", (1,)),),
    }


def test_a_canary_that_never_served_goes_back_to_nothing(tmp_path: Path) -> None:
    """A new host that fails in a later play serves nothing again, as before the run."""
    world = new("gpu1", "gpu2")
    before = world.serves_all()
    run = deploy(world, V2, run_plays=canary_first(tmp_path, "gpu2", then=SMOKE_TEST))
    assert run.code == 3
    assert world.serves_all() == before
    assert untrue(world, before, V2, run) == []


def test_no_room_to_take_a_canary_back_is_told(tmp_path: Path) -> None:
    """Where another host is down by then, it goes on serving what it has, and nobody says that it is back."""
    world = settled("gpu1", "gpu2", "gpu3")
    down = end_server(world, "gpu3", at=(Kind.STEP_FINISHED, "gpu1", "undrain"))
    run = deploy(world, V2, run_plays=canary_first(tmp_path, "gpu2", "gpu3", then=SMOKE_TEST), sinks=[down])
    assert run.code == 4
    assert run.last_line.startswith("FAILED: gpu1: not known to serve what it served before")
    assert world.serves("gpu1").versions == (("ranker", (2,)),)
    assert world.in_service("gpu1")


@pytest.mark.parametrize("on_failure", [OnFailure.REVERT, OnFailure.REVERT_ALL])
def test_one_that_ends_behind_its_second_part_goes_back(tmp_path: Path, on_failure: OnFailure) -> None:
    """A server that ends in the soak of a later play is found out, though that play had only a command for it."""
    world = settled("gpu1", "gpu2")
    rollout = canary_first(tmp_path, "gpu2", on_failure=on_failure, soak_s=30.0)
    run = deploy(world, V2, run_plays=rollout, sinks=[end_server(world, "gpu1", at=Kind.SOAK_STARTED)])
    assert run.code == 3
    assert run.outcome is not None
    assert run.outcome.hosts["gpu1"].state is HostState.REVERTED
    assert converged(world, V1) == []


@pytest.mark.parametrize("balanced", [True, False])
def test_a_canary_that_ends_while_the_others_are_switched_over_is_found_out(balanced: bool) -> None:
    """Hosts of an earlier play are watched to the end of the run: no exit 0 over one that serves nothing."""
    world = settled("gpu1", "gpu2", "gpu3")
    keys: dict[str, Any] = {
        "on_failure": OnFailure.REVERT_ALL,
        "max_unavailable": Quantity(2),
        "serial": (Quantity(1),),
        "soak_s": 30.0,
        "balanced": balanced,
    }
    rollout = (*plays(["gpu1"], **keys), *plays(["gpu1", "gpu2", "gpu3"], **keys))
    down = end_server(world, "gpu1", at=(Kind.STEP_FINISHED, "gpu2", "activate"))
    run = deploy(world, V2, run_plays=rollout, sinks=[down], balanced=balanced)
    assert run.code == 3
    assert converged(world, V1) == []


def test_a_canary_of_other_hosts_than_the_play_at_work_is_watched() -> None:
    """Also where the later play does not name it: its balancer's word about it is asked for all the same."""
    world = settled("gpu1", "gpu2", "gpu3")
    rollout = (*plays(["gpu1"]), *plays(["gpu2", "gpu3"], serial=(Quantity(1),)))
    down = end_server(world, "gpu1", at=(Kind.STEP_FINISHED, "gpu2", "activate"))
    run = deploy(world, V2, run_plays=rollout, sinks=[down])
    assert run.code == 4
    assert run.last_line.startswith("FAILED: gpu1; the fleet is mixed: gpu2 changed")
    assert {name: world.serves(name).versions for name in world.hosts} == {
        "gpu1": (("ranker", (1,)),),
        "gpu2": (("ranker", (2,)),),
        "gpu3": (("ranker", (1,)),),
    }


SMOKE_PLAY = """
- name: Smoke
  hosts: gpu
  tasks: [run: {argv: ['false']}]
"""
REGISTER_PLAY = """
- name: Register
  hosts: gpu
  tasks: [run: {argv: [register], changes: true}]
"""


def behind(tmp_path: Path, text: str, hosts: list[str], *, balanced: bool = True, **keys: Any) -> tuple[BoundPlay, ...]:
    """Three hosts are switched over, and behind that comes a play of commands for some of them."""
    path = tmp_path / "behind.yml"
    path.write_text(text)
    return (*plays(["gpu1", "gpu2", "gpu3"], balanced=balanced, **keys), *plays(hosts, path=path, balanced=balanced))


def test_a_smoke_test_takes_nobody_out_that_capacity_forbids(tmp_path: Path) -> None:
    """Where another host is down by then, a host that fails in a play of commands goes on serving what it has."""
    world = settled("gpu1", "gpu2", "gpu3")

    def down(event: Event) -> None:
        if event.kind is Kind.STEP_STARTED and (event.host, event.task) == ("gpu1", "run"):
            world.clock.skip(20)
            world.hosts["gpu2"].stop(next(iter(world.hosts["gpu2"].containers)))

    run = deploy(world, V2, run_plays=behind(tmp_path, SMOKE_PLAY, ["gpu1"]), sinks=[down])
    assert (run.code, world.most_out) == (4, 1)
    assert world.in_service("gpu1")


def test_a_smoke_test_puts_nobody_back_that_a_person_drained(tmp_path: Path) -> None:
    """A person's drain before it fails is theirs to end: the host is left as it is."""
    world = settled("gpu1", "gpu2", "gpu3")
    drained = {(pool, "gpu1") for pool in POOLS}

    def drain(event: Event) -> None:
        if event.kind is Kind.STEP_STARTED and (event.host, event.task) == ("gpu1", "run"):
            world.clock.skip(20)
            world.drained |= drained

    run = deploy(world, V2, run_plays=behind(tmp_path, SMOKE_PLAY, ["gpu1"]), sinks=[drain])
    assert run.code == 4
    assert world.drained == drained


@pytest.mark.parametrize("balanced", [True, False])
def test_what_switched_a_host_over_says_whether_it_goes_back(tmp_path: Path, balanced: bool) -> None:
    """``on_failure: stop`` of that play counts, and not the default of one of commands behind it."""
    world = settled("gpu1", "gpu2", "gpu3")
    rollout = behind(tmp_path, REGISTER_PLAY, ["gpu1", "gpu2", "gpu3"], balanced=balanced, on_failure=OnFailure.STOP)
    down = end_server(world, "gpu1", at=(Kind.STEP_STARTED, "gpu3", "run"))
    last = plays(["gpu2"], balanced=balanced, on_failure=OnFailure.STOP)
    deploy(world, V2, run_plays=(*rollout, *last), sinks=[down], balanced=balanced)
    assert world.serves("gpu1").versions in {(), (("ranker", (2,)),)}


def test_a_play_of_commands_looks_at_no_host_once_more() -> None:
    """Behind the tidying up of hosts without a balancer nobody asks again whether they serve."""
    world = settled("gpu1", "gpu2")
    run = deploy(world, V2, run_plays=plays(["gpu1", "gpu2"], balanced=False), balanced=False)
    last = max(at for at, call in enumerate(run.calls) if call[1] == "files.write_release")
    assert [host for host, method in run.calls[last + 1 :] if method == "observe"].count("gpu1") <= 2
