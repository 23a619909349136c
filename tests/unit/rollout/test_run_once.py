"""``run_once``: a task that one host does for all, and what becomes of the others where that does not go well."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from simulation.controller import Run, deploy
from simulation.fleet import SimOutside
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import World

from fleetdeploy.domain.protocols import Ended
from fleetdeploy.errors import HostError
from fleetdeploy.rollout.agreements import Agreements
from fleetdeploy.rollout.work import Call

from .books import THREE, bound, commands
from .fleets import V2, dangers, settled, untrue

pytestmark = pytest.mark.simulation

LONG_S = 30.0
FAILS = "{run: {argv: ['false']}, run_once: true, delegate_to: gpu3}"
HALF = "  max_fail_percentage: 50\n"


def states(run: Run) -> dict[str, str]:
    assert run.outcome is not None
    return {name: item.state.value for name, item in run.outcome.hosts.items()}


def versions(world: World) -> dict[str, tuple[int, ...]]:
    return {name: dict(item.versions)["ranker"] for name, item in world.serves_all().items()}


@pytest.mark.parametrize("behind", [False, True])
def test_what_failed_for_one_has_failed_for_all(tmp_path: Path, behind: bool) -> None:
    """Each host that comes to it fails, before anything is done there, until the budget is spent; none goes without."""
    world = settled(*THREE)
    before = world.serves_all()
    run = deploy(
        world, V2, run_plays=bound(tmp_path, FAILS, top=HALF) if behind else bound(tmp_path, before=FAILS, top=HALF)
    )
    assert commands(world) == {"gpu3": [("false",)]}
    assert run.outcome is not None
    assert states(run) == {"gpu1": "reverted" if behind else "failed", "gpu2": "failed", "gpu3": "skipped"}
    reason = run.outcome.hosts["gpu2"].reason
    assert reason == "gpu1 failed at `run`, which it did for all hosts: false ended with status 1"
    assert run.outcome.hosts["gpu2"].untouched
    assert run.code == 3
    assert untrue(world, before, V2, run) == []


def test_hosts_that_it_does_not_concern_go_on(tmp_path: Path) -> None:
    """The budget leaves room for those that failed with it, and nobody else depends on it."""
    world = settled(*THREE)
    text = "{run: {argv: ['false']}, run_once: true, when: role == 'canary'}"
    run = deploy(world, V2, run_plays=bound(tmp_path, text, top=HALF))
    assert states(run) == {"gpu1": "reverted", "gpu2": "changed", "gpu3": "changed"}
    assert run.code == 4


@pytest.mark.parametrize("fails", [False, True])
def test_the_hosts_of_a_wave_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """No host goes on before it has ended, and none at all where it failed."""
    world, came, told = settled(*THREE), set[str](), list[Sequence[str]]()
    changed, forward = threading.Condition(), Agreements.forward

    def coming(self: Agreements, call: Call, host: str, *rest: Any) -> None:
        if call.once:
            with changed:
                came.add(host)
                changed.notify_all()
        forward(self, call, host, *rest)

    def command(_: SimOutside, argv: Sequence[str], *__: object, **___: object) -> Ended:
        with changed:
            assert changed.wait_for(lambda: came == set(THREE), LONG_S)
        told.append(argv)
        assert set(versions(world).values()) == {(1,)}
        if fails:
            raise HostError("nobody listens")
        return Ended(0, "")

    monkeypatch.setattr(Agreements, "forward", coming)
    monkeypatch.setattr(SimOutside, "command", command)
    text = "{notify: {command: [tell], required: true, retries: 0}, run_once: true}"
    run = deploy(world, V2, run_plays=bound(tmp_path, before=text, serial=3), threads=True)
    assert len(told) == 1
    assert versions(world) == dict.fromkeys(THREE, (1,) if fails else (2,))
    assert states(run) == dict.fromkeys(THREE, "failed" if fails else "changed")
    assert run.code == (3 if fails else 0)
    assert dangers(world) == []


def test_what_went_back_with_its_host_is_done_anew(tmp_path: Path) -> None:
    """The next host does not rely on what has been taken back; those behind it rely on that one."""
    world = settled(*THREE)
    world.hosts["gpu1"].quality[("ranker", 2)] = Quality.WRONG
    text = "{run: {argv: [silence], undo: [speak]}, run_once: true}"
    run = deploy(world, V2, run_plays=bound(tmp_path, before=text, top=HALF))
    assert states(run) == {"gpu1": "reverted", "gpu2": "changed", "gpu3": "changed"}
    assert commands(world) == {"gpu1": [("silence",), ("speak",)], "gpu2": [("silence",)]}


def test_what_failed_and_was_taken_back_has_still_failed(tmp_path: Path) -> None:
    """It is not tried on one host after the other."""
    world = settled(*THREE)
    text = "{run: {argv: ['false'], undo: [mend]}, run_once: true}"
    run = deploy(world, V2, run_plays=bound(tmp_path, before=text, top=HALF))
    assert commands(world) == {"gpu1": [("false",), ("mend",)]}
    assert states(run) == {"gpu1": "reverted", "gpu2": "failed", "gpu3": "skipped"}


@pytest.mark.parametrize("threads", [False, True])
def test_a_no_at_one_question_for_all_is_nobodys_failure(tmp_path: Path, threads: bool) -> None:
    """All hosts of the wave are passed over and are back, and it has been asked once."""
    world, asked = settled(*THREE), list[str]()
    run_plays = bound(tmp_path, before="{pause: {prompt: Go?}, run_once: true}", serial=3)

    def refuse(text: str) -> bool:
        asked.append(text)
        return False

    run = deploy(world, V2, run_plays=run_plays, ask=refuse, threads=threads)
    assert (run.code, asked) == (9, ["Go?"])
    assert states(run) == dict.fromkeys(THREE, "skipped")


def test_a_rescue_is_done_once(tmp_path: Path) -> None:
    """The first host that fails does it for the others, whatever becomes of it there."""
    world = settled(*THREE)
    for name in ("gpu1", "gpu2"):
        world.hosts[name].quality[("ranker", 2)] = Quality.WRONG
    last = f"  max_fail_percentage: 70\n  rescue: [{FAILS}]\n"
    run = deploy(world, V2, run_plays=bound(tmp_path, last=last))
    assert states(run) == {"gpu1": "reverted", "gpu2": "reverted", "gpu3": "changed"}
    assert commands(world) == {"gpu3": [("false",)]}


def test_a_lost_lease_leaves_it_to_nobody(tmp_path: Path) -> None:
    """The rollout ends with the lease, and the others do not wait for a host that is another run's."""
    text = "{run: {argv: [x]}, run_once: true}"
    run_plays = bound(tmp_path, before=text, serial=3)
    at = deploy(settled(*THREE), V2, run_plays=run_plays).calls.index(("gpu1", "command"))
    world = settled(*THREE)
    run = deploy(world, V2, run_plays=run_plays, trouble=Trouble("takeover", at + 1), threads=False)
    assert commands(world) == {}
    assert set(versions(world).values()) == {(1,)}
    assert run.code == 4
