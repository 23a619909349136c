"""What a plan says of a run, held against the run itself on a simulated fleet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import Run, deploy, desired, plays, sim_host
from simulation.fleet import SimFleet
from simulation.wire import Wire
from simulation.world import POOLS, SERVICE, converged

from fleetdeploy.domain.forecast import Expected
from fleetdeploy.domain.plan import Refusal
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.errors import HostKeyRefused
from fleetdeploy.rollout.capacity.in_service import never_served
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.foresight.durations import Durations, from_events
from fleetdeploy.rollout.targets import Target, Targets

from .fleets import NEW_IMAGE, V1, V2, new, settled
from .foreseeing import FORKS, THREE, Watch, foresee, switching, waves_of, waves_seen
from .scenes import Scene, scenes

pytestmark = pytest.mark.simulation


@settings(deadline=None, max_examples=60)
@given(scene=scenes(), threads=st.sampled_from([False, False, False, True]))
def test_a_run_goes_as_its_plan_said(scene: Scene, *, threads: bool) -> None:
    """Whatever fleet and play: the same waves, never fewer in service than was said, refused for the same reason."""
    world, bound = scene.world(), scene.plays()
    found = foresee(world, scene.by_host(), bound)
    watch = Watch(world)
    run = deploy(world, scene.by_host(), run_plays=bound, allow_unreachable=True, sinks=[watch], threads=threads)
    if found.refusals:
        assert run.error is not None
        assert (run.code, run.acts) == (found.refusal_exit_code, [])
        assert next((item.message, item.where, item.hint) for item in found.refusals) == (
            run.error.message, run.error.where, run.error.hint,
        )  # fmt: skip
        return
    missing = any(not world.hosts[name].reachable for name in scene.by_host())
    assert run.code == (8 if missing else 0), run.last_line
    assert waves_of(found) == waves_seen(run.events)
    told = [wave.service for play in found.plays for wave in play.waves]
    for service, lowest, before, switched in zip(told, watch.lowest, watch.before, watch.switched, strict=True):
        assert switched & before == set(service.taken_out if service else ())
        assert service is None or lowest >= service.lowest
    for play in found.plays:
        for service in (wave.service for wave in play.waves):
            if service is not None:
                assert service.before - service.lowest == service.side_by_side <= play.max_unavailable
                assert service.side_by_side <= len(service.taken_out)


def test_hosts_out_of_service_come_first_and_count_afterwards() -> None:
    """A host left drained is repaired in the first wave, which takes none out; from then on it is one that serves."""
    world = settled(*THREE)
    world.drained |= {(pool, "gpu2") for pool in POOLS}
    world.hosts["gpu2"].directory(SERVICE).drained_by = "run"
    found = foresee(world, V2)
    assert found.refusals == ()
    first, *others = switching(found).waves
    assert first.hosts == ("gpu2",)
    assert first.service is not None
    assert (first.service.before, first.service.lowest, first.service.taken_out) == (2, 2, ())
    for wave in others:
        assert wave.service is not None
        assert (wave.service.before, wave.service.lowest, wave.service.taken_out) == (3, 2, wave.hosts)


def test_new_hosts_cost_nothing() -> None:
    """A first deploy takes none out, and every wave finds more hosts in service."""
    play = switching(foresee(new(*THREE), V1))
    assert [(wave.service.before, wave.service.taken_out) for wave in play.waves if wave.service] == [
        (0, ()), (1, ()), (2, ()),
    ]  # fmt: skip


@pytest.mark.parametrize(("allowed", "size", "lowest"), [(1, 4, 3), (2, 4, 2), (4, 2, 2), (4, 4, 2), (1, 1, 3)])
def test_the_lowest_number_in_service(allowed: int, size: int, lowest: int) -> None:
    """max_unavailable, the size of the waves and what each rack must keep bound it together."""
    racks = {f"gpu{number}": {"rack": f"r{number % 2}"} for number in range(1, 5)}
    bound = plays(
        list(racks), variables=racks, serial=(Quantity(size),), max_unavailable=Quantity(allowed), spread="rack",
        min_available=Quantity(1),
    )  # fmt: skip
    service = switching(foresee(settled(*racks), V2, bound)).waves[0].service
    assert service is not None
    assert (service.before, service.lowest) == (4, lowest)
    assert service.domain is not None
    assert (service.domain.total, service.domain.least) == (2, 1)


def test_forks_bound_what_is_out_at_once() -> None:
    """Where more hosts may be out than are worked on at a time, only those are."""
    names = [f"gpu{number:02}" for number in range(FORKS + 4)]
    bound = plays(names, serial=(), max_unavailable=Quantity(100, percent=True))
    service = switching(foresee(settled(*names), V2, bound)).waves[0].service
    assert service is not None
    assert (service.side_by_side, service.lowest, len(service.taken_out)) == (FORKS, 4, FORKS + 4)


def test_hosts_outside_the_limit_count() -> None:
    """With --limit the plan counts all hosts of the play, as the run does."""
    limited = [replace(play, hosts=("gpu2",)) for play in plays(THREE)]
    play = switching(foresee(settled(*THREE), {"gpu2": V2}, limited))
    assert play.total == 3
    assert [(wave.hosts, wave.service and wave.service.lowest) for wave in play.waves] == [(("gpu2",), 2)]


@pytest.mark.parametrize("gone", [True, False])
def test_a_new_host_outside_the_limit_serves_nothing(*, gone: bool) -> None:
    """What `min_available` asks for is not found on a host that was never deployed: refused before anything is touched,
    where a host that is away leaves no other that serves, and not where one does.
    """
    world = settled("gpu1", "gpu2")
    world.hosts["gpu3"] = new("gpu3").hosts["gpu3"]
    world.hosts["gpu2"].reachable = not gone
    bound = plays(THREE, max_unavailable=Quantity(2), min_available=Quantity(1))
    limited = [replace(play, hosts=("gpu1", "gpu2")) for play in bound]
    run = deploy(world, dict.fromkeys(("gpu1", "gpu2"), V2), run_plays=limited, allow_unreachable=True)
    assert (run.code, bool(run.acts)) == ((5, False) if gone else (0, True)), run.last_line


def test_a_fleet_with_nothing_to_do_asks_no_balancer() -> None:
    """Neither plays nor refusals, and no call to the balancer, which may be down."""
    world = settled(*THREE)
    world.balancer_down = True
    fleet = SimFleet(world, Wire(world))
    found = foresee(world, V1, fleet=fleet)
    assert (found.plays, found.refusals, found.expected) == ((), (), None)
    assert [method for _, method in fleet.wire.calls if method.startswith("balancer")] == []


def test_each_balancer_is_asked_once() -> None:
    """A plan with changes costs one look at the balancer, however many hosts and plays there are."""
    world = settled(*THREE)
    fleet = SimFleet(world, Wire(world))
    foresee(world, V2, fleet=fleet)
    assert [method for _, method in fleet.wire.calls if method.startswith("balancer")] == ["balancer.members"]


def test_a_balancer_that_does_not_answer_is_a_refusal_beside_the_rest() -> None:
    """The same sentence as the run's, exit 5; waves are told, what serves is not."""
    world = settled(*THREE)
    world.balancer_down = True
    found = foresee(world, V2)
    run = deploy(world, V2)
    assert [item.message for item in found.refusals] == [run.error.message if run.error else ""]
    assert found.refusal_exit_code == run.code == 5
    assert [wave.service for wave in switching(found).waves] == [None] * 3
    assert [wave.hosts for wave in switching(found).waves] == [("gpu1",), ("gpu2",), ("gpu3",)]


def test_a_balancer_with_another_key_is_exit_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed host key of the balancer is told as such, as in a run."""
    fleet = SimFleet(world := settled("gpu1"), Wire(world))

    def refused(*_: object) -> None:
        raise HostKeyRefused("another key", where="lb")

    monkeypatch.setattr(fleet, "balancer", refused)
    found = foresee(world, V2, fleet=fleet)
    assert (found.refusal_exit_code, [item.where for item in found.refusals]) == (2, ["lb"])


def test_every_reason_for_a_refusal_is_told() -> None:
    """A host drained by hand and no room for another one: the run stops at the first, the plan has both."""
    world = settled(*THREE)
    world.drained |= {(pool, "gpu2") for pool in POOLS}
    world.hosts["gpu3"].reachable = False
    found = foresee(world, V2)
    assert ["gpu2 drained" in found.refusals[0].message, "gpu3 out of service" in found.refusals[1].message] == [
        True
    ] * 2
    assert len(found.refusals) == 2


def test_a_host_left_drained_comes_back_where_only_always_puts_it_back(tmp_path: Path) -> None:
    """A healthy host that an earlier run drained is work also for a play whose ``undrain`` stands under ``always``."""
    path = tmp_path / "always.yml"
    path.write_text("- hosts: all\n  tasks: [drain, activate, verify]\n  always: [undrain]\n")
    world = settled(*THREE)
    world.drained |= {(pool, "gpu2") for pool in POOLS}
    world.hosts["gpu2"].directory(SERVICE).drained_by = "run"
    bound = plays(THREE, path=path)
    assert waves_of(foresee(world, V1, bound)) == [("all", 1, 1, ("gpu2",))]
    assert deploy(world, V1, run_plays=bound).code == 0
    assert converged(world, V1) == []
    assert world.in_service("gpu2")


ONLY_A_COMMAND = """
- name: switch
  hosts: all
  max_unavailable: 3
  tasks:
    - run: {argv: [sync], every_time: true, changes: true}
    - stage:
    - drain:
    - activate:
    - verify:
    - undrain:
- name: again
  hosts: all
  serial: 1
  max_unavailable: 3
  min_available: 1
  tasks:
    - run: {argv: [sync], every_time: true, changes: true}
    - stage:
    - drain:
    - activate:
    - verify:
    - undrain:
"""


def test_a_command_does_not_bring_a_host_back(tmp_path: Path) -> None:
    """A host that its balancer holds for down, and on which only a command was run, is out as before."""
    path = tmp_path / "command.yml"
    path.write_text(ONLY_A_COMMAND)
    world = settled(*THREE)
    real = world.traffic

    def traffic(pool: str, server: str) -> object:
        from fleetdeploy.domain.observed import Traffic

        return Traffic.DOWN if server == "gpu3" else real(pool, server)

    world.traffic = traffic  # type: ignore[method-assign, assignment]
    bound = plays(THREE, path=path)
    wanted = {"gpu1": V2, "gpu2": V1, "gpu3": V1}
    found = foresee(world, wanted, bound)
    assert [hosts for play, *_, hosts in waves_of(found) if play == "again"] == [("gpu3",), ("gpu1",), ("gpu2",)]
    assert waves_seen(deploy(world, wanted, run_plays=bound).events) == waves_of(found)


@pytest.mark.parametrize("state", ["left drained", "new"])
def test_what_an_earlier_play_brought_back_comes_in_its_order(tmp_path: Path, state: str) -> None:
    """A host that the first play repairs, or makes serve, is in the second play like any other."""
    path = tmp_path / "twice.yml"
    path.write_text(ONLY_A_COMMAND)
    world = Scene(("settled", "settled", state), ("r1",) * 3, V2, frozenset(), twice=False, keys={}).world()
    bound = plays(THREE, path=path)
    found = foresee(world, V2, bound)
    assert waves_of(found)[-3:] == [("again", at, 3, (name,)) for at, name in enumerate(THREE, 1)]
    assert waves_seen(deploy(world, V2, run_plays=bound).events) == waves_of(found)


def test_a_refused_host_is_not_taken_for_new() -> None:
    """Nobody has planned its services, so that nobody can say that it never served."""
    world = settled("gpu1")
    targets = Targets({"gpu1": Target(sim_host("gpu1"), (V2,))}, "T1")
    plan = targets.observe(SimFleet(world, Wire(world)), Emitter("r", world.clock), forks=1)
    refused = replace(plan.hosts["gpu1"], services=(), refusals=(Refusal("gpu1", "no space"),))
    assert never_served(replace(plan, hosts={"gpu1": refused}), ["gpu1"]) == frozenset()
    assert never_served(replace(plan, hosts={"gpu1": replace(refused, refusals=())}), ["gpu1"]) == {"gpu1"}


def earlier(run: Run) -> Durations:
    """What a plan knows after a run."""
    lines = [{"kind": event.kind.value, "host": event.host, "task": event.task, "message": event.message,
              "data": dict(event.data)} for event in run.events]  # fmt: skip
    return from_events([lines])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_durations_come_from_earlier_runs(size: int) -> None:
    """After a replacement that took its time another one is expected to take as long, with the soak between waves."""
    world = settled(*THREE)
    for host in world.hosts.values():
        host.load_s = 30.0
    bound = plays(THREE, serial=(Quantity(size),), max_unavailable=Quantity(size), soak_s=5.0)
    first = deploy(world, NEW_IMAGE, run_plays=bound)
    assert first.code == 0
    expected = switching(foresee(world, V1, bound, durations=earlier(first))).expected
    assert expected is not None
    waves = -(-3 // size)
    assert not expected.at_least
    assert waves * 30 + (waves - 1) * 5 <= expected.seconds <= waves * 34 + (waves - 1) * 5


def test_of_another_kind_of_activation_nothing_is_known() -> None:
    """What reloads took says nothing about a new container: at least what is known of the rest, and never a guess."""
    world = settled(*THREE)
    known = earlier(deploy(world, V2))
    found = switching(foresee(world, desired(2, image="serving:2"), durations=known))
    assert found.expected is not None
    assert found.expected.at_least
    assert switching(foresee(world, desired(3), durations=Durations())).expected is None


def test_hosts_that_may_not_be_out_together_follow_one_another() -> None:
    """One wave of three hosts takes three times as long where only one of them may be out."""
    world = settled(*THREE)
    for host in world.hosts.values():
        host.load_s = 30.0
    known = earlier(deploy(world, NEW_IMAGE))

    def expected(allowed: int) -> Expected | None:
        bound = plays(THREE, serial=(), max_unavailable=Quantity(allowed))
        return switching(foresee(world, V1, bound, durations=known)).expected

    one, all_at_once = expected(1), expected(3)
    assert one is not None
    assert all_at_once is not None
    assert one.seconds == pytest.approx(3 * all_at_once.seconds, rel=0.05)
