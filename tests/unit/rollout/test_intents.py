"""Nothing is done to a fleet before a record says that it is begun: on the way back and behind a host's back too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from simulation.controller import deploy, desired, plays, sim_host
from simulation.debts import SimDebts
from simulation.model_server import Quality
from simulation.wire import changes
from simulation.world import World

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.tasks import registry

from .fleets import NEW_IMAGE, V2, settled, spoil

pytestmark = pytest.mark.simulation
THREE = ("gpu1", "gpu2", "gpu3")
TWO_OUT = plays(THREE, max_unavailable=Quantity(2))


@dataclass
class Watch:
    """A journal that knows how many acts the ``world`` had seen when each record came."""

    world: World
    told: list[tuple[int, Event]] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.told.append((len(self.world.acts), event))

    def silent(self, host: str) -> list[str]:
        """Acts on the host that nothing open had announced, once it was on its way back."""
        return [
            method
            for at, (_, about, method) in enumerate(self.world.acts)
            if about == host and changes(method) and self._returning(host, at) and not self._open(host, at)
        ]

    def _last(self, host: str, at: int, kinds: set[Kind]) -> Kind | None:
        found = [event.kind for seen, event in self.told if seen <= at and event.host == host and event.kind in kinds]
        return found[-1] if found else None

    def _returning(self, host: str, at: int) -> bool:
        return self._last(host, at, {Kind.REVERT_STARTED, Kind.HOST_FINISHED}) is Kind.REVERT_STARTED

    def _open(self, host: str, at: int) -> bool:
        steps = {Kind.STEP_STARTED, Kind.STEP_FINISHED, Kind.STEP_FAILED}
        return self._last(host, at, steps) is Kind.STEP_STARTED

    def undone(self, host: str) -> list[str]:
        told = [event for _, event in self.told if event.host == host and event.data.get("undo")]
        return [event.task for event in told if event.kind is Kind.STEP_STARTED]


@pytest.mark.parametrize("wanted", [V2, desired(2, image="serving:2")], ids=["reload", "replacement"])
def test_no_step_of_the_way_back_comes_before_its_record(wanted: DesiredService) -> None:
    """Every act that takes a host back lies behind the record of its undo, and before that of its end."""
    world = settled("gpu1", "gpu2")
    spoil(world, 2, Quality.NO_VARIABLES)
    watch = Watch(world)
    run = deploy(world, wanted, sinks=[watch])
    assert run.code == 3
    assert watch.undone("gpu1") == ["activate", "drain"]
    assert watch.silent("gpu1") == []


def test_the_tasks_that_are_undone_on_hosts_are_these() -> None:
    """A task of which something on a host is taken back belongs to the way back that is looked at here."""
    undone = {name for name, task in registry().items() if not task.no_undo}
    assert undone == {"activate", "drain", "run"}, "`run` takes back by a command of its own"


def test_a_lost_host_is_kept_out_behind_a_record() -> None:
    """Before the balancer is told to send a host nothing, the journal says that it will be."""
    world = settled(*THREE)
    world.hosts["gpu2"].reachable = False
    watch = Watch(world)
    assert deploy(world, V2, debts=SimDebts(), allow_unreachable=True, run_plays=TWO_OUT, sinks=[watch]).code == 8
    (act,) = (at for at, (_, about, method) in enumerate(world.acts) if (about, method) == KEPT_OUT)
    (before,) = (seen for seen, event in watch.told if event.kind is Kind.DEBT_MAKING)
    (behind,) = (seen for seen, event in watch.told if event.kind is Kind.DEBT_MADE)
    assert before == act < behind


KEPT_OUT = ("gpu2", "balancer.keep_out")


def full_at(kind: Kind) -> Callable[[Event], None]:
    def write(event: Event) -> None:
        if event.kind is kind:
            raise OSError(28, "No space left on device")

    return write


def test_without_a_journal_a_lost_host_is_kept_out_all_the_same() -> None:
    """What keeps a host that is behind from its requests is done, and remembered, where no record can be written."""
    world, debts = settled(*THREE), SimDebts()
    world.hosts["gpu2"].reachable = False
    full = full_at(Kind.DEBT_MAKING)
    run = deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=TWO_OUT, sinks=[full])
    assert (run.code, {server for _, server in world.drained}) == (8, {"gpu2"})
    assert Drains(debts).by(sim_host("gpu2")) != ""


def test_a_host_that_was_put_back_is_kept_out_again_and_told() -> None:
    """One that owes already and gets requests again, by a person's hand, is drained behind two records like the first
    time.
    """
    world, debts = settled(*THREE), SimDebts()
    world.hosts["gpu2"].reachable = False
    deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=TWO_OUT)
    world.drained.clear()
    run = deploy(world, NEW_IMAGE, debts=debts, allow_unreachable=True, run_plays=TWO_OUT)
    told = [event.kind for event in run.events if event.kind in {Kind.DEBT_MAKING, Kind.DEBT_MADE}]
    assert told == [Kind.DEBT_MAKING, Kind.DEBT_MADE]
    assert {server for _, server in world.drained} == {"gpu2"}
