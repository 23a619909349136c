"""Ends of runs that are true: who is out of service, who is behind the others, and what the next run makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from simulation import controller
from simulation.balancer import SimBalancer
from simulation.controller import Run, deploy, desired, plays
from simulation.fleet import SimFleet
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import Traffic
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.playbook import OnFailure, Quantity
from fleetdeploy.domain.service import DesiredService, Ports
from fleetdeploy.errors import BalancerFailed
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.rollout.debt.ledger import Debts, address_of
from fleetdeploy.rollout.targets import Target, Targets

from .fleets import V1, V2, V3, dangers, killed, settled
from .test_failures import states
from .test_sweeps import deaths

pytestmark = pytest.mark.simulation
PAIR, THREE = ("gpu1", "gpu2"), ("gpu1", "gpu2", "gpu3")
TWO_OUT = plays(THREE, max_unavailable=Quantity(2))
ONE_BY_ONE = (Quantity(1),)
sim_host = controller.sim_host


@pytest.fixture
def debts(tmp_path: Path) -> Debts:
    return Debts(tmp_path / "debts")


def drained(world: World) -> set[str]:
    return {server for _, server in world.drained}


def versions(world: World) -> dict[str, tuple[int, ...]]:
    return {name: dict(now.versions)["ranker"] for name, now in world.serves_all().items()}


def behind(debts: Debts, host: str = "gpu2") -> World:
    """A fleet in which all have version 2 but one host, which is back by now."""
    world = settled(*THREE)
    world.hosts[host].reachable = False
    assert deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=TWO_OUT).code == 8
    world.hosts[host].reachable = True
    return world


def test_changed_ports_of_a_killed_run_are_its_own() -> None:
    """Wherever a run that changes ports is killed, the next one goes on: its own container is not something else."""
    moved = replace(V2, wish=replace(V2.wish, ports=Ports(9500, 9501)))
    world = settled(*PAIR)
    for at, _ in deaths(deploy(world.copy(), moved).calls):
        left = world.copy()
        with pytest.raises(Killed):
            deploy(left, moved, trouble=Trouble("kill", at))
        again = deploy(left, moved)
        assert (again.code, converged(left, moved)) == (0, []), again.last_line


@pytest.mark.parametrize("quality", [Quality.WRONG, Quality.UNLOADABLE])
def test_a_host_that_stays_behind_stays_out(debts: Debts, quality: Quality) -> None:
    """One that owes a release and fails to get it again gets no requests with the old one, and owes it still."""
    world = behind(debts)
    world.hosts["gpu2"].quality[("ranker", 2)] = quality
    for _ in range(2):
        run = deploy(world, V2, debts=debts)
        assert (run.code, states(run)["gpu2"]) == (3, HostState.REVERTED)
        assert run.outcome is not None
        assert "stays out of its balancer" in run.outcome.hosts["gpu2"].reason
        assert drained(world) == {"gpu2"}
        assert Drains(debts).by(sim_host("gpu2")) != ""
    world.hosts["gpu2"].quality.clear()
    assert deploy(world, V2, debts=debts).code == 0
    assert converged(world, V2) == []
    assert list(debts.everybodys()) == []


def test_an_interrupted_host_that_is_behind_stays_out(debts: Debts, tmp_path: Path) -> None:
    """At no call does an interruption bring a host that owes a release into service with the old one."""
    world, (path, debt) = behind(debts), next(iter(debts.everybodys()))

    def at_call(at: int) -> tuple[World, Run]:
        mine = Debts(tmp_path / str(at))
        mine.write(debt)
        left = world.copy()
        return left, deploy(left, V2, debts=mine, trouble=Trouble("signal", at))

    assert path.exists()
    for at, _ in enumerate(at_call(0)[1].calls, 1):
        left, run = at_call(at)
        assert versions(left)["gpu2"] == (2,) or "gpu2" in drained(left), (at, run.last_line)


def test_a_host_taken_back_from_what_it_owed_owes_it_again(debts: Debts) -> None:
    """Where ``revert_all`` takes back one that had paid, it is behind the others again: out, and remembered."""
    world = behind(debts, "gpu1")
    world.hosts["gpu3"].quality[("ranker", 3)] = Quality.WRONG
    run = deploy(world, V3, debts=debts, run_plays=plays(THREE, serial=ONE_BY_ONE, on_failure=OnFailure.REVERT_ALL))
    assert run.code == 3
    assert versions(world) == {"gpu1": (1,), "gpu2": (2,), "gpu3": (2,)}
    assert drained(world) == {"gpu1"}
    assert Drains(debts).by(sim_host("gpu1")) != ""
    assert deploy(world, V2, debts=debts).code == 0
    assert converged(world, V2) == []


def test_a_debt_that_cannot_be_read_stops_the_run_first(debts: Debts) -> None:
    """A damaged record of a host that is away is exit 2, with nothing touched."""
    world = settled(*THREE)
    debts.directory.mkdir()
    debts._files(address_of(sim_host("gpu2")))[0].write_text("garbage")
    world.hosts["gpu2"].reachable = False
    run = deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=TWO_OUT)
    assert (run.code, run.acts) == (2, [])
    assert versions(world)["gpu1"] == (1,)


def test_a_debt_damaged_meanwhile_is_told(debts: Debts) -> None:
    """What cannot be read once hosts were switched over changes no exit code: the host counts as one with requests."""
    world = settled(*THREE)
    world.hosts["gpu2"].reachable = False

    def damage(event: Event) -> None:
        if event.kind is Kind.PLAY_STARTED:
            debts.directory.mkdir(exist_ok=True)
            for name in ("gpu1", "gpu2"):
                debts._files(address_of(sim_host(name)))[0].write_text("garbage")

    with mock.patch.object(Drains, "by", return_value=""):
        run = deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=TWO_OUT, sinks=[damage])
    assert run.code == 8
    assert run.last_line.endswith("; gpu2 may still get requests with what it served before")
    assert drained(world) == set()


@pytest.mark.parametrize(("on_failure", "after"), [(OnFailure.REVERT, 4), (OnFailure.REVERT_ALL, 3)])
@pytest.mark.parametrize("balanced", [True, False])
def test_a_host_that_dies_during_the_last_wave_is_seen(on_failure: OnFailure, after: int, *, balanced: bool) -> None:
    """A run with a finished host down is no success, whether or not a balancer tells so."""
    world = settled(*THREE)

    def lose(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_STARTED, "activate", "gpu3"):
            world.hosts["gpu1"].containers.clear()

    keys = {"serial": ONE_BY_ONE, "on_failure": on_failure}
    run = deploy(world, V2, balanced=balanced, run_plays=plays(THREE, balanced=balanced, **keys), sinks=[lose])
    assert (run.code, states(run)["gpu1"]) == (4, HostState.FAILED) if run.code == 4 else (after, HostState.REVERTED)
    assert run.code == 4 or versions(world)["gpu1"] == (1,)


def test_the_last_look_asks_each_balancer_once() -> None:
    """Behind the last wave there is one more question to the balancer, and none to hosts that it tells of."""
    run = deploy(settled(*PAIR), V2)
    last = max(at for at, call in enumerate(run.calls) if call[1] == "balancer.undrain")
    behind_it = [call for call in run.calls[last + 1 :] if call[1] in {"observe", "balancer.members"}]
    assert behind_it[0] == ("lb", "balancer.members")
    assert behind_it[1:] == [("gpu1", "observe"), ("gpu2", "observe")], "the play behind it looks at each host anew"


@pytest.mark.parametrize("deaf", [False, True])
def test_a_finished_host_that_is_lost_on_its_way_back(debts: Debts, *, deaf: bool) -> None:
    """With ``revert_all`` one that went away by then is unreachable, mixed, owes, and is kept out where that can be."""
    world = settled(*THREE)
    world.hosts["gpu3"].quality[("ranker", 2)] = Quality.WRONG

    def lose(event: Event) -> None:
        if (event.kind, event.host) == (Kind.REVERT_STARTED, "gpu3"):
            world.hosts["gpu1"].reachable = False

    def no(*_: object, **__: object) -> None:
        raise BalancerFailed("the socket is gone")

    bound = plays(THREE, serial=ONE_BY_ONE, on_failure=OnFailure.REVERT_ALL)
    with mock.patch.object(SimBalancer, "keep_out", no if deaf else SimBalancer.keep_out):
        run = deploy(world, V2, debts=debts, sinks=[lose], run_plays=bound)
    assert run.outcome is not None
    lost = run.outcome.hosts["gpu1"]
    assert (run.code, lost.state, lost.mixed) == (4, HostState.UNREACHABLE, True)
    assert debts.of(sim_host("gpu1")) is not None
    assert drained(world) == (set() if deaf else {"gpu1"})
    assert ("gpu1 may still get requests, and could not be taken back" in run.last_line) is deaf
    assert run.last_line.endswith(": fleetdeploy deploy"), "it can be copied"
    world.hosts["gpu1"].reachable = True
    assert deploy(world, V1, debts=debts).code == 0
    assert converged(world, V1) == []
    assert list(debts.everybodys()) == []


def test_a_marker_of_a_balancer_that_is_gone() -> None:
    """A host without a balancer is kept from nothing: its old marker counts for none, and the next change clears it."""
    calls = deploy(settled(*PAIR), V2).calls
    at = next(at for at, call in enumerate(calls, 1) if call == ("gpu1", "serving.reload"))
    world = settled(*PAIR)
    killed(world, V2, at=at)
    world.drained.clear()
    assert world.hosts["gpu1"].directory(SERVICE).drained_by is not None
    other = world.copy()
    assert deploy(world, V2, balanced=False).code == 0
    assert world.hosts["gpu1"].directory(SERVICE).drained_by is None
    run = deploy(other, {"gpu1": V1, "gpu2": V3}, balanced=False)
    assert run.code == 0, run.last_line


def test_a_host_that_may_get_requests_is_named_once(debts: Debts) -> None:
    """Two plays that switch over name a host that they could not reach and not drain once, not twice."""
    world = settled(*THREE)
    world.hosts["gpu2"].reachable = False

    def no(*_: object, **__: object) -> None:
        raise BalancerFailed("the socket is gone")

    with mock.patch.object(SimBalancer, "keep_out", no):
        run = deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=TWO_OUT * 2)
    assert run.last_line.endswith("; gpu2 may still get requests with what it served before")
    assert [event.host for event in run.events if event.kind is Kind.DEBT_MADE] == ["gpu2"]


def test_who_was_only_to_be_tidied_up_does_not_make_the_fleet_mixed() -> None:
    """A run that ends while it prunes says what stopped it, not that the fleet is mixed: every host serves alike."""
    world = settled(*THREE)
    assert deploy(world, {**dict.fromkeys(THREE, V2), "gpu1": V1}).code == 0
    there = world.hosts["gpu3"].directory(SERVICE).versions["ranker"]
    there[9] = replace(there[2], number=9)

    def full(event: Event) -> None:
        if event.kind is Kind.STEP_STARTED and event.task == "prune":
            raise OSError(28, "No space left on device")

    run = deploy(world, V2, sinks=[full])
    assert states(run) == {"gpu1": HostState.CHANGED, "gpu2": HostState.OK, "gpu3": HostState.SKIPPED}
    said = "FAILED: the journal cannot be written: No space left on device, after every host was switched over; "
    assert (run.code, run.last_line) == (4, f"{said}mend it, then: fleetdeploy deploy")


@pytest.mark.parametrize(("others", "code"), [(V1, 4), (V2, 3)], ids=["one is switched over", "nobody is"])
def test_who_fails_while_it_is_tidied_up_does_not_make_the_fleet_mixed(others: DesiredService, code: int) -> None:
    """It serves what it shall: the run failed after every host was switched over, or with every host as it was."""
    world = settled(*THREE)
    assert deploy(world, {**dict.fromkeys(THREE, V2), "gpu1": others}).code == 0
    there = world.hosts["gpu3"].directory(SERVICE).versions["ranker"]
    there[9] = replace(there[2], number=9)
    bad = Trouble("bug", 1, count="files.remove_versions")
    run = deploy(world, V2, trouble=bad)
    assert states(run)["gpu3"] is HostState.FAILED
    assert run.code == code, run.last_line
    told = (
        "gpu3, after every host was switched over; mend it" if code == 4 else "every host serves what it served before"
    )
    assert told in run.last_line
    assert "mixed" not in run.last_line


OTHER, OTHER_POOLS = "tagging", ("tagging_rest",)


def host_of_two(name: str, *, balanced: bool = True) -> Host:
    wish = BalancerWish("haproxy", "lb", "/run/haproxy.sock", name, {SERVICE: POOLS, OTHER: OTHER_POOLS})
    return replace(sim_host(name, balanced=balanced), balancer=wish)


def tagger(number: int) -> DesiredService:
    found = desired(models={"tagger": (number,)})
    return replace(found, wish=replace(found.wish, name=OTHER, ports=Ports(8600, 8601)))


def both(world: World, number: int, **how: object) -> Run:
    """Both services of every host to the version."""
    pair = (desired(number), tagger(number))

    def prepare(targets: Targets, _: SimFleet) -> Targets:
        return replace(targets, by_name={name: Target(host_of_two(name), pair) for name in targets.by_name})

    return deploy(world, dict.fromkeys(PAIR, pair[0]), prepare=prepare, run_plays=plays(PAIR), **how)  # type: ignore[arg-type]


@pytest.fixture
def two_services(monkeypatch: pytest.MonkeyPatch) -> None:
    def traffic(world: World, pool: str, server: str) -> Traffic:
        if (pool, server) in world.drained:
            return Traffic.DRAINED
        host = world.hosts.get(server)
        return Traffic.UP if host and host.server(OTHER if pool in OTHER_POOLS else SERVICE) else Traffic.DOWN

    monkeypatch.setattr(World, "traffic", traffic)
    monkeypatch.setattr(SimBalancer, "_known", lambda *_: None, raising=False)
    monkeypatch.setattr(controller, "sim_host", host_of_two)


@pytest.mark.usefixtures("two_services")
def test_a_proven_service_does_not_wait_for_the_one_beside_it() -> None:
    """A service that an earlier run proved and left drained is put back although the other one of the host fails."""
    world = World.of(*PAIR)
    assert both(world, 1).code == 0
    calls = both(world.copy(), 2).calls
    at = next(at for at, call in enumerate(calls, 1) if call == ("gpu1", "files.write_release"))
    with pytest.raises(Killed):
        both(world, 2, trouble=Trouble("kill", at + 1))
    assert {pool for pool, _ in world.drained} == {*POOLS, *OTHER_POOLS}
    host = world.hosts["gpu1"]
    host.quality[("tagger", 2)] = Quality.WRONG
    server = host.server(OTHER)
    if server is not None and 2 in server.versions.get("tagger", {}):
        server.versions["tagger"][2].quality = Quality.WRONG
    run = both(world, 2)
    assert run.code == 3
    assert [pool for pool in POOLS if (pool, "gpu1") in world.drained] == []
    assert host.directory(SERVICE).drained_by is None
    assert dangers(world) == []
