"""Runs in which the journal's, the playbook's or a person's doing asks for standing back."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from simulation.controller import deploy, desired, plays, sim_host
from simulation.fleet import SimFleet
from simulation.model_server import Quality
from simulation.wire import Trouble, Wire
from simulation.world import POOLS, SERVICE, converged

from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.errors import NotHealthy
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.host.host_run import HostRun
from fleetdeploy.rollout.work import Call, Work
from fleetdeploy.tasks.step import Step

from .fleets import V1, V2, new, settled, spoil
from .test_failures import THREE, states

pytestmark = pytest.mark.simulation


def test_a_host_that_a_person_keeps_out_is_not_put_back() -> None:
    """A host drained by hand, with no marker of ours, is left out of service and the run refused before it begins."""
    world = settled(*THREE)
    world.drained |= {(pool, "gpu2") for pool in POOLS}
    run = deploy(world, V2)
    assert run.code == 5
    assert "gpu2 drained or in maintenance" in run.last_line
    assert run.acts == []


def test_what_is_not_staged_is_not_activated() -> None:
    """A playbook that activates versions that no task put on the host fails at once, with nothing changed there."""
    world = settled("gpu1")
    run = deploy(world, V2, run_plays=[play for play in plays(["gpu1"]) if play.touches_traffic])
    assert run.code == 3
    assert run.outcome is not None
    assert "version 2 of ranker is not on the host" in run.outcome.hosts["gpu1"].reason
    assert converged(world, V1) == []


def test_a_first_deploy_that_is_taken_back_leaves_no_release() -> None:
    """A host on which nothing serves after an undo has no current release either, so the next run starts afresh."""
    world = new("gpu1")
    calls = [method for _, method in deploy(world.copy(), V1).calls]
    run = deploy(world, V1, trouble=Trouble("refuse", 1 + calls.index("balancer.undrain")))
    assert run.code in {3, 4}
    assert world.hosts["gpu1"].directory(SERVICE).release is None
    assert deploy(world, V1).code == 0
    assert converged(world, V1) == []


def test_hosts_outside_the_limit_count_against_the_capacity() -> None:
    """With --limit, a host of the play that is down already still leaves no room for another one."""
    world = settled("gpu1", "gpu2")
    world.drained |= {(pool, "gpu1") for pool in POOLS}
    limited = [replace(play, hosts=("gpu2",)) for play in plays(["gpu1", "gpu2"])]
    run = deploy(world, {"gpu2": V2}, run_plays=limited)
    assert run.code == 5
    assert "gpu1 out of service already" in run.last_line
    assert run.acts == []


def test_a_replacement_without_a_record_keeps_what_runs() -> None:
    """A lost release record costs nothing: a container that runs is kept, and comes back when the new one fails."""
    world = settled("gpu1")
    world.hosts["gpu1"].directory(SERVICE).release = None
    spoil(world, 2, Quality.WRONG)
    before = world.serves_all()
    run = deploy(world, desired(2, image="serving:2"))
    assert run.code == 3
    assert world.serves_all() == before


def test_a_golden_file_that_is_wrong_does_not_stop_the_revert() -> None:
    """What served before serves again although today's golden file does not agree with its answers."""
    world = settled("gpu1")
    spoil(world, 1, Quality.WRONG)
    spoil(world, 2, Quality.WRONG)
    run = deploy(world, V2)
    assert run.code == 3
    assert states(run) == {"gpu1": HostState.REVERTED}


def test_a_bug_on_one_host_is_an_outcome_of_that_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody expected is reported for its host, which goes back, and ends with a true last line."""
    world = settled(*THREE)

    def broken(*_: object, **__: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("fleetdeploy.tasks.activate.reload", broken)
    run = deploy(world, V2)
    assert run.code == 3
    assert run.outcome is not None
    assert "a bug in fleetdeploy: KeyError" in run.outcome.hosts["gpu1"].reason
    assert converged(world, V1) == []


class Recorder:
    """A task that records what is undone, and fails to undo the service named in ``broken``."""

    touches_traffic, prepares, no_undo = True, False, ""

    def __init__(self, name: str, undone: list[tuple[str, str]], broken: str = "") -> None:
        self.name, self._undone, self._broken = name, undone, broken

    def undo(self, step: Step, _: object) -> None:
        service = step.plan.desired.name
        if service == self._broken:
            raise NotHealthy(f"{service} does not come back")
        self._undone.append((self.name, service))


def test_an_undo_goes_on_past_a_service_that_fails() -> None:
    """One service that cannot be taken back stays drained; the others on the host are taken back and put back."""
    world, undone = settled("gpu1"), list[tuple[str, str]]()
    services = [SimpleNamespace(desired=SimpleNamespace(name=name)) for name in ("first", "second")]
    drain, activate = Recorder("drain", undone), Recorder("activate", undone, broken="second")
    works = [Work(Call(task, None), plan, task.name) for task in (drain, activate) for plan in services]  # type: ignore[arg-type]
    run = HostRun(
        host=sim_host("gpu1", balanced=False), fleet=SimFleet(world, Wire(world)), emit=Emitter("r", world.clock),
        clock=world.clock, check_stop=lambda: None, take_capacity=lambda: None, look=lambda: None,
        on_failure=OnFailure.REVERT, done=works,
    )  # type: ignore[arg-type, return-value]  # fmt: skip
    with pytest.raises(NotHealthy, match="second does not come back"):
        run.undo()
    assert undone == [("activate", "first"), ("drain", "first")]
