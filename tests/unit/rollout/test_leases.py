"""Runs and their leases: who may begin, what a run does that has lost one, and that it lets go."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from simulation.clock import VirtualClock
from simulation.controller import Run, deploy, plays
from simulation.fleet import SimFleet
from simulation.leases import ELSEWHERE, SimLeases, take_over
from simulation.wire import Trouble, Wire, changes
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.lease import Holder
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.errors import Interrupted, LeaseLost, LockHeld, PreflightRefused, Unreachable
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.locks import local as lock
from fleetdeploy.rollout.locks.leases import LeaseKeeper, patiently
from fleetdeploy.rollout.targets import Target, Targets

from .fleets import V1, V2, V3, killed, settled

PAIR = ("gpu1", "gpu2")


def kinds(run: Run) -> list[Kind]:
    return [event.kind for event in run.events]


def states(world: World) -> dict[str, str]:
    return {name: host.leases[SERVICE].state for name, host in world.hosts.items() if SERVICE in host.leases}


def test_leases_are_taken_before_anything_is_touched_and_let_go_of_at_the_end() -> None:
    """Every host with work is leased before the first change on any, and free when the run has ended."""
    world = settled(*PAIR)
    run = deploy(world, {"gpu1": V2, "gpu2": V2})
    assert run.code == 0
    first = next(at for at, (_, method) in enumerate(run.calls) if changes(method))
    assert [host for host, method in run.calls[:first] if method == "leases.take"] == list(PAIR)
    assert states(world) == dict.fromkeys(PAIR, "released")
    assert kinds(run).index(Kind.LEASES_TAKEN) < kinds(run).index(Kind.PLAY_STARTED)
    assert kinds(run)[-1] is Kind.LEASES_RELEASED


def test_a_run_leases_what_it_works_on_and_whose_capacity_it_uses() -> None:
    """Where a host is taken out the others of the play are leased as well, to copy only those with work, else none."""
    world = settled(*PAIR)
    run = deploy(world, {"gpu1": V1, "gpu2": V2})
    assert [host for host, method in run.calls if method == "leases.take"] == list(PAIR)
    before = {name: host.leases[SERVICE].fence for name, host in world.hosts.items()}
    idle = deploy(world, {"gpu1": V1, "gpu2": V2})
    assert [method for _, method in idle.calls] == ["observe", "observe"]
    copied = deploy(world, {"gpu1": V1, "gpu2": V3}, run_plays=plays(list(PAIR))[:1])
    assert [host for host, method in copied.calls if method == "leases.take"] == ["gpu2"]
    assert world.hosts["gpu1"].leases[SERVICE].fence == before["gpu1"]


@pytest.mark.parametrize("wanted", [V1, V2])
def test_where_another_run_holds_a_host_nothing_is_touched(wanted: object) -> None:
    """Exit 6 at once, with the holder's name, also where there would be nothing to do on that host."""
    world = settled(*PAIR)
    take_over(world.hosts["gpu2"])
    run = deploy(world, {"gpu1": V2, "gpu2": wanted})  # type: ignore[dict-item]
    assert isinstance(run.error, LockHeld)
    assert run.code == 6
    assert f"gpu2: {ELSEWHERE}, for 0 s; free in 60 s" in run.error.message
    assert run.acts == []
    assert states(world) == {"gpu1": "released", "gpu2": "held"}


def test_a_lease_whose_time_is_over_is_in_nobodys_way() -> None:
    """Once the TTL has passed the next run takes the host, with a higher number, and converges."""
    world = settled(*PAIR)
    take_over(world.hosts["gpu2"])
    fence = world.hosts["gpu2"].leases[SERVICE].fence
    world.clock.wait(60.0)
    assert deploy(world, V2).code == 0
    assert converged(world, V2) == []
    assert world.hosts["gpu2"].leases[SERVICE].fence == fence + 1


def test_a_killed_runs_leases_stop_others_for_their_time_and_its_own_successor_not_at_all() -> None:
    """Another controller is turned away until the TTL is over; the next run of this one goes on at once."""
    calls = [method for _, method in deploy(settled(*PAIR), V2).calls]
    at = calls.index("serving.reload") + 1
    world = settled(*PAIR)
    killed(world, V2, at=at)
    held = world.copy()
    stranger = deploy(held, V2, owner="you@there")
    assert stranger.code == 6
    assert "of me@here" in stranger.last_line
    held.clock.wait(61.0)
    assert deploy(held, V2, owner="you@there").code == 0
    assert deploy(world, V2).code == 0
    assert converged(world, V2) == []


@pytest.mark.simulation
def test_overtaken_anywhere_a_run_changes_nothing_more_there() -> None:
    """Whatever call another run takes over at, the host stays as it was then, and the run ends with 4 and says who."""
    calls = deploy(settled(*PAIR), V2).calls
    took = max(at for at, (_, method) in enumerate(calls, 1) if method == "leases.take")
    released = min(at for at, (_, method) in enumerate(calls, 1) if method == "leases.release")
    wrong = []
    for at, (name, method) in enumerate(calls, 1):
        if not took < at < released or (name not in PAIR and not changes(method)):
            continue
        if name not in PAIR:  # the balancer's calls are about the host whose lease is asked next
            name = next(host for host, asked in calls[at:] if asked == "leases.check")  # noqa: PLW2901
        world = settled(*PAIR)
        run, before = overtaken(world, at)
        after = snapshot(world, name)
        later = [
            item for item in calls[at - 1 :] if item[0] == name and (changes(item[1]) or item[1] == "leases.check")
        ]
        if after != before or (later and (run.code != 4 or str(ELSEWHERE) not in reasons(run))):
            wrong.append((at, method, run.code, run.last_line, after != before))
    assert wrong == []


def overtaken(world: World, at: int) -> tuple[Run, object]:
    """A run that is overtaken at its ``at``-th call, and that call's host as it was at that moment."""
    seen: list[object] = []
    real = take_over

    def watched(sim: object, *arguments: object) -> None:
        real(sim, *arguments)  # type: ignore[arg-type]
        seen.append(snapshot(world, sim.name))  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulation.wire.take_over", watched)
        run = deploy(world, V2, trouble=Trouble("takeover", at))
    return run, seen[0]


def snapshot(world: World, name: str) -> object:
    """What a run could change on a host, without what time changes by itself."""
    host = world.hosts[name]
    files = host.directory(SERVICE)
    containers = [(key, item.id, item.spec, item.status == "exited") for key, item in sorted(host.containers.items())]
    aspired = [item.process.aspired for item in host.containers.values() if item.process]
    drained = sorted(pool for pool, server in world.drained if server == name)
    kept = (files.config_text, files.release, files.versions, files.staging, files.drained_by)
    return repr((kept, containers, sorted(host.images), host.commands, aspired, drained))


def reasons(run: Run) -> str:
    return " ".join(item.reason for item in run.outcome.hosts.values()) if run.outcome else str(run.error)


def test_the_rollout_stops_where_a_lease_is_lost() -> None:
    """No further host is begun, whatever share of failures the play allows, and that host is told as not known."""
    calls = deploy(settled(*PAIR), V2).calls
    at = calls.index(("gpu1", "serving.reload")) + 1
    world = settled(*PAIR)
    bound = plays(list(PAIR), max_fail_percentage=100, max_unavailable=Quantity(2))
    run = deploy(world, V2, trouble=Trouble("takeover", at), run_plays=bound)
    assert run.outcome is not None
    assert run.outcome.hosts["gpu1"].mixed
    assert run.outcome.hosts["gpu2"].state.value == "skipped"
    assert [event.host for event in run.events if event.kind is Kind.LEASE_LOST] == ["gpu1"]
    assert not any(event.kind is Kind.REVERT_STARTED for event in run.events)
    assert states(world) == {"gpu1": "held", "gpu2": "released"}


def test_an_overtaken_host_is_not_put_back() -> None:
    """Its balancer is another machine, which knows no leases: the host is asked before it is told anything."""
    world = settled(*PAIR)

    def overtake(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_FINISHED, "verify", "gpu1"):
            take_over(world.hosts["gpu1"])

    run = deploy(world, V2, sinks=[overtake])
    assert run.code == 4
    assert "gpu1" in {server for _, server in world.drained}
    assert "gpu1 balancer.undrain" not in run.acts


def test_where_the_lease_is_known_to_be_lost_no_step_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the renewal has found out is heeded before the next step, and not only when a host refuses it."""
    world = settled(*PAIR)
    error = LeaseLost(f"the lease is lost: {ELSEWHERE} took over", where="gpu1")

    def check(_: LeaseKeeper, name: str) -> None:
        if name == "gpu1":
            raise error

    monkeypatch.setattr(LeaseKeeper, "check", check)
    run = deploy(world, V2)
    assert run.code == 4
    assert not [act for act in run.acts if act.startswith("gpu1 ")]
    assert not [event for event in run.events if event.kind is Kind.STEP_STARTED and event.host == "gpu1"]


# The keeper by itself


class Scene:
    """A keeper over a simulated pair."""

    def __init__(self, *, ttl_s: float | None = None) -> None:
        self.world = World.of(*PAIR)
        self.wire = Wire(self.world)
        self.fleet = SimFleet(self.world, self.wire)
        self.events: list[Event] = []
        hosts = {name: Target(Host(name, None), (V1,)) for name in PAIR}  # type: ignore[arg-type]
        emit = Emitter("run-1", self.world.clock, views=[self.events.append])
        self.keeper = LeaseKeeper(
            Targets(hosts, "T"), self.fleet, emit, self.world.clock, lambda _: Holder("run-1", "me@here"), 1, ttl_s
        )

    def left_s(self, name: str) -> float:
        lease = self.world.hosts[name].leases[SERVICE].seen(self.world.clock.monotonic_s())
        return lease.left_s if lease else 0.0


def test_a_lease_is_renewed_every_third_of_its_time() -> None:
    """Before a third has passed nothing is asked; then the lease holds for its whole time again."""
    scene = Scene(ttl_s=30.0)
    scene.keeper.take(PAIR)
    for waited, left in ((9.0, 21.0), (1.0, 30.0), (9.0, 21.0), (1.0, 30.0)):
        scene.world.clock.wait(waited)
        scene.keeper.renew()
        assert [scene.left_s(name) for name in PAIR] == [left, left]


def test_a_large_fleet_has_more_time() -> None:
    """A lease holds for a minute, and a tenth of a second longer for every host."""
    scene = Scene()
    scene.keeper.take(PAIR)
    assert scene.keeper.holds_s == pytest.approx(60.2)


def test_a_host_that_does_not_answer_is_asked_again_and_not_given_up() -> None:
    """A renewal that fails by its connection loses nothing: the next one may be in time, or nobody came meanwhile."""
    scene = Scene(ttl_s=30.0)
    scene.keeper.take(PAIR)
    scene.world.hosts["gpu1"].reachable = False
    scene.world.clock.wait(40.0)
    scene.keeper.renew()
    scene.keeper.check("gpu1")
    scene.world.hosts["gpu1"].reachable = True
    scene.keeper.renew()
    assert scene.left_s("gpu1") == 30.0
    assert not scene.keeper.lost


def test_a_renewal_finds_out_that_the_lease_is_lost() -> None:
    """The host's next step is not begun, the journal has the event once, and the others go on."""
    scene = Scene(ttl_s=30.0)
    scene.keeper.take(PAIR)
    take_over(scene.world.hosts["gpu2"])
    for _ in range(2):
        scene.world.clock.wait(15.0)
        scene.keeper.renew()
    with pytest.raises(LeaseLost, match=str(ELSEWHERE)):
        scene.keeper.check("gpu2")
    scene.keeper.check("gpu1")
    assert [(e.kind, e.host) for e in scene.events if e.kind is Kind.LEASE_LOST] == [(Kind.LEASE_LOST, "gpu2")]
    scene.keeper.release()
    assert states(scene.world) == {"gpu1": "released", "gpu2": "held"}


def test_what_is_done_in_a_hosts_name_elsewhere_needs_its_lease() -> None:
    """The host is asked itself; one that does not answer is this run's as long as its lease holds, and no longer."""
    scene = Scene(ttl_s=30.0)
    scene.keeper.take(PAIR)
    scene.world.hosts["gpu1"].reachable = False
    scene.world.clock.wait(29.0)
    scene.keeper.prove("gpu1")
    scene.world.clock.wait(1.0)
    with pytest.raises(LeaseLost, match="has not answered for 30 s"):
        scene.keeper.prove("gpu1")
    scene.keeper.prove("gpu2")
    take_over(scene.world.hosts["gpu2"])
    with pytest.raises(LeaseLost, match=str(ELSEWHERE)):
        scene.keeper.prove("gpu2")
    assert [event.host for event in scene.events if event.kind is Kind.LEASE_LOST] == ["gpu2"]


def test_a_delegated_command_is_not_run_for_a_host_that_was_taken_over(tmp_path: Path) -> None:
    """It runs elsewhere, where nobody asks whose host it is for; so that host is asked before."""
    path = tmp_path / "play.yml"
    path.write_text(
        "- hosts: gpu1\n  tasks: [{run: {argv: [x]}, delegate_to: gpu2}, stage, drain, activate, verify, undrain]\n"
    )
    first, second = settled(*PAIR), settled(*PAIR)
    calls = deploy(first, V2, run_plays=plays(PAIR, path=path)).calls
    assert first.hosts["gpu2"].commands == [("x",)]
    asked = calls.index(("gpu2", "command"))  # counted from one it is the call before
    run = deploy(second, V2, run_plays=plays(PAIR, path=path), trouble=Trouble("takeover", asked))
    assert second.hosts["gpu2"].commands == []
    assert (run.code, str(ELSEWHERE) in reasons(run)) == (4, True)


@pytest.mark.parametrize("trouble", ["held", "unreachable"])
def test_all_or_none(trouble: str) -> None:
    """Where one lease cannot be taken the others are let go of, and the error is the one that fits."""
    scene = Scene()
    if trouble == "held":
        SimLeases(scene.world.hosts["gpu2"], Wire(scene.world)).take([V1.wish], ELSEWHERE, ttl_s=60.0)
    else:
        scene.world.hosts["gpu2"].reachable = False
    with pytest.raises(LockHeld if trouble == "held" else PreflightRefused):
        scene.keeper.take(PAIR)
    assert states(scene.world)["gpu1"] == "released"
    assert not any(event.kind is Kind.LEASES_TAKEN for event in scene.events)


def test_a_host_whose_lease_is_lost_is_let_go_of_too() -> None:
    """It may have been one service of several: what is still this run's there is free at its end."""
    scene = Scene()
    scene.keeper.take(PAIR)
    scene.keeper.lose("gpu1", LeaseLost("one of two is lost", where="gpu1"))
    scene.keeper.release()
    assert states(scene.world) == dict.fromkeys(PAIR, "released")
    assert scene.events[-1].kind is Kind.LEASES_RELEASED
    assert scene.events[-1].data["hosts"] == ["gpu2"]


def test_one_machine_under_two_names_is_refused() -> None:
    """A run that has a machine's lease for another of its hosts begins nothing, and lets go of what it has."""
    scene = Scene()
    scene.world.hosts["gpu2"] = scene.world.hosts["gpu1"]
    scene.keeper.holder_of = lambda host: Holder("run-1", "me@here", host.name)
    with pytest.raises(PreflightRefused, match="two hosts of the inventory are one machine"):
        scene.keeper.take(PAIR)
    assert set(states(scene.world).values()) == {"released"}


def test_a_take_whose_answer_was_lost_is_asked_again() -> None:
    """It may have happened: asked again the host says so, and the number is known."""
    scene = Scene()
    real, failed = SimLeases.take, []

    def once(self: SimLeases, *arguments: object, **named: object) -> None:
        real(self, *arguments, **named)  # type: ignore[arg-type]
        if not failed:
            failed.append(self)
            raise Unreachable("lost", where="gpu1")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimLeases, "take", once)
        scene.keeper.take(PAIR)
    assert scene.world.hosts["gpu1"].leases[SERVICE].fence == 1


def test_leases_are_let_go_of_whatever_ends_the_run() -> None:
    """Also where the run ends with an error, and the thread that renews ends with it."""
    scene = Scene()
    seen = []

    def run() -> None:
        with scene.keeper.renewing():
            scene.keeper.take(PAIR)
            seen.extend(thread.name for thread in threading.enumerate())
            raise Unreachable("gone")

    with pytest.raises(Unreachable):
        run()
    assert "leases" in seen
    assert states(scene.world) == dict.fromkeys(PAIR, "released")
    assert not any(thread.name == "leases" for thread in threading.enumerate())


# Waiting for another run


def turns(*ends: object) -> Callable[[], object]:
    left = list(ends)

    def attempt() -> object:
        end = left.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end

    return attempt


def test_waiting_tries_again_until_it_is_free() -> None:
    """The attempt is made anew after a second or more, until it is not turned away."""
    clock = VirtualClock()
    assert patiently(turns(LockHeld("a"), LockHeld("b"), 7), clock=clock, wait_s=10, check=lambda: None) == 7
    assert clock.monotonic_s() == pytest.approx(2.0, abs=0.5)


def test_waiting_ends_with_its_time() -> None:
    """Without --wait-lock there is one attempt; with it the last one is at the end of the time."""
    for wait_s in (0.0, 3.0):
        clock = VirtualClock()
        with pytest.raises(LockHeld):
            patiently(turns(*[LockHeld("held")] * 9), clock=clock, wait_s=wait_s, check=lambda: None)
        assert clock.monotonic_s() == pytest.approx(wait_s, abs=0.3)


def test_waiting_can_be_interrupted() -> None:
    """A signal ends the wait at once."""

    def interrupted() -> None:
        raise Interrupted("stopped by SIGINT", signal_number=2)

    with pytest.raises(Interrupted):
        patiently(turns(LockHeld("held"), 7), clock=VirtualClock(), wait_s=60, check=interrupted)


# The local lock, and what it proves


def test_the_lock_of_a_host_tells_its_holder_from_all_others(tmp_path: Path) -> None:
    """Of one origin are the runs that lock the same byte of the same file, under whatever name; no others are."""
    one, alias, two = (Host(name, Connection(at)) for name, at in (("a", "10.0.0.1"), ("b", "10.0.0.1"), ("c", "x")))
    clock = VirtualClock()
    with lock.hold(tmp_path / "locks", [one, two], "run-1", clock) as held:
        first, other = held.holder_of(one), held.holder_of(two)
    with lock.hold(tmp_path / "locks", [alias], "run-2", clock) as held:
        later = held.holder_of(alias)
    with lock.hold(tmp_path / "elsewhere", [one], "run-3", clock) as held:
        elsewhere = held.holder_of(one)
    assert later.run == "run-2"
    assert later.follows(first)
    assert not later.follows(other)
    assert not elsewhere.follows(first)


def test_without_a_boot_id_nothing_is_concluded() -> None:
    """Where the system does not tell its boot, a later run waits like any other."""
    host = Host("a", Connection("10.0.0.1"))
    first, later = (lock.Held(run, "").holder_of(host) for run in ("run-1", "run-2"))
    assert not later.follows(first)


def test_who_works_here_is_seen_while_it_does(tmp_path: Path) -> None:
    """A host is told with the run that holds its lock on this machine, and no longer than that."""
    clock, hosts = VirtualClock(), [Host("a", Connection("10.0.0.1")), Host("b", Connection("10.0.0.2"))]
    with lock.hold(tmp_path, hosts[:1], "run-1", clock):
        clock.wait(5.0)
        seen = lock.held_here(tmp_path, hosts, clock)
    assert {name: (note.run, note.pid, note.age_s) for name, note in seen.items()} == {"a": ("run-1", os.getpid(), 5.0)}
    assert lock.held_here(tmp_path, hosts, clock) == {}
