"""Order, failure domains, what stays in service, and failures by play, on a simulated fleet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from simulation.controller import Run, deploy, plays
from simulation.model_server import Quality
from simulation.world import World, converged

from fleetdeploy.domain.playbook import OnFailure, Order, Quantity
from fleetdeploy.errors import InputError

from .fleets import V1, V2, new, settled, spoil

pytestmark = pytest.mark.simulation

FOUR = ("gpu1", "gpu2", "gpu3", "gpu4")
RACKS: Mapping[str, Mapping[str, object]] = {
    "gpu1": {"rack": "r1"}, "gpu2": {"rack": "r1"}, "gpu3": {"rack": "r2"}, "gpu4": {"rack": "r2"},
}  # fmt: skip
ALL = Quantity(4)


def drained(run: Run) -> list[str]:
    """The hosts in the order in which they were taken out."""
    return [host for host, method in run.calls if method == "files.mark_drained"]


def most_out_in_a_rack(run: Run) -> int:
    """How many hosts of one rack were drained at once, by the markers that the run wrote."""
    out, most = set[str](), 0
    for host, method in run.calls:
        if method == "files.mark_drained":
            out.add(host)
        elif method == "files.clear_drained":
            out.discard(host)
        for rack in ("r1", "r2"):
            most = max(most, sum(RACKS[name]["rack"] == rack for name in out))
    return most


@pytest.mark.parametrize(
    ("order", "spread", "hosts"),
    [
        (Order.INVENTORY, "", "gpu3 gpu1 gpu4 gpu2"),
        (Order.REVERSE_INVENTORY, "", "gpu2 gpu4 gpu1 gpu3"),
        (Order.SORTED, "", "gpu1 gpu2 gpu3 gpu4"),
        (Order.REVERSE_SORTED, "", "gpu4 gpu3 gpu2 gpu1"),
        (Order.SORTED, "rack", "gpu1 gpu3 gpu2 gpu4"),
        (Order.REVERSE_SORTED, "rack", "gpu4 gpu2 gpu3 gpu1"),
    ],
)
def test_hosts_come_in_the_play_s_order(order: Order, spread: str, hosts: str) -> None:
    """Hosts are switched over in Ansible's orders, and with ``spread`` in turn from each failure domain."""
    names = ("gpu3", "gpu1", "gpu4", "gpu2")
    run = deploy(settled(*FOUR), V2, run_plays=plays(names, variables=RACKS, order=order, spread=spread))
    assert drained(run) == hosts.split()


def test_a_shuffle_repeats_with_its_seed() -> None:
    """One seed gives one order, whatever the order of the inventory; another seed gives another."""

    def order(seed: int, names: tuple[str, ...] = FOUR) -> list[str]:
        found = plays(names, order=Order.SHUFFLE, seed=seed)
        return list(found[1].hosts)

    assert order(1) == order(1, FOUR[::-1])
    assert sorted(order(1)) == list(FOUR)
    assert len({tuple(order(seed)) for seed in range(20)}) > 5


def test_a_host_without_its_failure_domain_is_refused() -> None:
    """The variable that names the domain has to be there for every host of the play."""
    with pytest.raises(InputError, match=r"'rak', which gpu1 has not as a text or a number \(4 of 4 hosts\)") as caught:
        plays(FOUR, variables=RACKS, spread="rak")
    assert "did you mean 'rack'?" in caught.value.problems[0].hint


@pytest.mark.parametrize("least", [Quantity(1), Quantity(50, percent=True), Quantity(34, percent=True)])
def test_enough_hosts_of_each_domain_stay_in_service(least: Quantity) -> None:
    """However many may be out in all, each failure domain keeps what ``min_available`` asks for, rounded up."""
    world = settled(*FOUR)
    bound = plays(FOUR, variables=RACKS, serial=(), max_unavailable=ALL, spread="rack", min_available=least)
    run = deploy(world, V2, run_plays=bound, threads=True)
    assert run.code == 0
    assert converged(world, V2) == []
    assert most_out_in_a_rack(run) == 1


def test_a_floor_that_nobody_can_keep_is_refused_before_anything_is_touched() -> None:
    """Where every host of a domain has to stay, none can be switched over: exit 5 and no change."""
    bound = plays(FOUR, variables=RACKS, max_unavailable=ALL, spread="rack", min_available=Quantity(2))
    run = deploy(settled(*FOUR), V2, run_plays=bound)
    assert (run.code, run.acts) == (5, [])
    assert "min_available is 2, which is 2 of the 2 hosts of r1; 1 would be left" in run.last_line


def test_a_domain_with_a_host_down_already_keeps_the_other() -> None:
    """A host that was down before the run counts as not available in its domain."""
    world = settled(*FOUR)
    world.hosts["gpu2"].reachable = False
    bound = plays(FOUR, variables=RACKS, max_unavailable=ALL, spread="rack", min_available=Quantity(1))
    run = deploy(world, V2, run_plays=bound, allow_unreachable=True)
    assert (run.code, run.acts) == (5, [])
    assert "gpu1 cannot be taken out, with gpu2 out of service already" in run.last_line


def _half_new() -> World:
    """Two hosts that serve, one in each rack, and two that nobody has deployed to."""
    world, old = new(*FOUR), settled(*FOUR)
    for name in ("gpu1", "gpu3"):
        world.hosts[name].services = old.hosts[name].services
        world.hosts[name].containers = old.hosts[name].containers
    return world


@pytest.mark.parametrize("serial", [(), (Quantity(1),), (Quantity(2),)])
def test_new_hosts_serve_before_old_ones_leave(serial: tuple[Quantity, ...]) -> None:
    """Hosts that never served come first where their domain needs them, and the run waits for no other than those."""
    bound = plays(FOUR, variables=RACKS, serial=serial, max_unavailable=ALL, spread="rack", min_available=Quantity(1))
    world = _half_new()
    run = deploy(world, V2, run_plays=bound, threads=True)
    assert run.code == 0
    assert converged(world, V2) == []
    switched = [host for host, method in run.calls if method == "files.clear_drained"]
    assert switched.index("gpu2") < switched.index("gpu1")
    assert switched.index("gpu4") < switched.index("gpu3")


def test_a_new_host_that_fails_is_not_waited_for() -> None:
    """An old host whose domain waits for a new one that failed stays in service, and the run ends."""
    world = _half_new()
    world.hosts["gpu2"].quality[("ranker", 2)] = Quality.WRONG
    bound = plays(
        FOUR, variables=RACKS, serial=(), max_unavailable=ALL, spread="rack", min_available=Quantity(1),
        max_fail_percentage=90,
    )  # fmt: skip
    run = deploy(world, V2, run_plays=bound, threads=True)
    assert run.code == 4
    assert world.serves("gpu1").versions == (("ranker", (1,)),)
    assert "gpu1" not in drained(run)


TWO_PLAYS = """
- hosts: all
  max_fail_percentage: 50
  serial: 1
  max_unavailable: 4
  tasks: [stage, pull_image, drain, activate, verify, undrain]
"""


@pytest.mark.parametrize(("share", "tried"), [(0, 1), (25, 1), (26, 2), (50, 2), (51, 3), (100, 4)])
def test_the_budget_is_a_share_of_the_play_s_hosts(share: int, tried: int) -> None:
    """The rollout stops as soon as the failures reach the share of all hosts of the play."""
    world = settled(*FOUR)
    spoil(world, 2, Quality.WRONG)
    bound = plays(FOUR, serial=(Quantity(1),), max_fail_percentage=share, on_failure=OnFailure.REVERT)
    run = deploy(world, V2, run_plays=bound)
    assert len(drained(run)) == tried
    assert run.code == 3


def test_a_play_counts_failures_of_its_own_hosts(tmp_path: Path) -> None:
    """A failure on a host of another play does not use up this play's budget."""
    book = tmp_path / "book.yml"
    play = TWO_PLAYS.strip()
    text = f"{play.replace('hosts: all', 'hosts: gpu1:gpu2')}\n{play.replace('hosts: all', 'hosts: gpu3:gpu4')}\n"
    book.write_text(text.replace("max_fail_percentage: 50", "max_fail_percentage: 60"))
    world = settled(*FOUR)
    for name in ("gpu1", "gpu3"):
        world.hosts[name].quality[("ranker", 2)] = Quality.WRONG
    run = deploy(world, V2, run_plays=plays(FOUR, path=book))
    assert run.outcome is not None
    states = {name: item.state.value for name, item in run.outcome.hosts.items()}
    assert states == {"gpu1": "reverted", "gpu2": "changed", "gpu3": "reverted", "gpu4": "changed"}


def test_a_person_who_says_no_ends_the_rollout() -> None:
    """Before each wave somebody is asked; after a no the hosts so far stay, and the run is held."""
    asked: list[str] = []

    def approve(text: str) -> bool:
        asked.append(text)
        return len(asked) < 4

    world = settled(*FOUR)
    run = deploy(world, V2, run_plays=plays(FOUR, serial=(Quantity(1),)), approve=approve)
    assert run.code == 9
    assert run.last_line.startswith("HELD: held before wave 3 of 4 of play 'Switch over, wave by wave'; gpu1, gpu2 swi")
    assert [world.serves(name).versions[0][1] for name in FOUR] == [(2,), (2,), (1,), (1,)]
    assert deploy(world, V1).code == 0


def test_hosts_that_a_play_made_serve_count_in_the_next(tmp_path: Path) -> None:
    """A host that was new when the run began, and serves since its first play, is available to its domain."""
    book = tmp_path / "book.yml"
    play = TWO_PLAYS.strip().replace("serial: 1", "spread: rack\n  min_available: 1")
    book.write_text(f"{play.replace('hosts: all', 'hosts: gpu2:gpu4')}\n{play.replace('hosts: all', 'hosts: all')}\n")
    world = _half_new()
    run = deploy(world, V2, run_plays=plays(FOUR, path=book, variables=RACKS), threads=True)
    assert (run.code, converged(world, V2)) == (0, [])
    assert most_out_in_a_rack(run) == 1


def test_a_no_takes_back_nothing_that_went_well() -> None:
    """``revert_all`` answers failures; who holds a rollout keeps what it has done."""
    asked: list[str] = []
    world = settled(*FOUR)
    bound = plays(FOUR, serial=(Quantity(1),), on_failure=OnFailure.REVERT_ALL)
    run = deploy(world, V2, run_plays=bound, approve=lambda text: not asked.append(text) and len(asked) < 3)
    assert run.code == 9
    assert [world.serves(name).versions[0][1] for name in FOUR] == [(2,), (1,), (1,), (1,)]
