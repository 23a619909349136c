"""What a plan says of a run, held against the run itself on a simulated fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import Run, deploy, desired, plays, sim_host
from simulation.fleet import SimFleet
from simulation.wire import Wire
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.forecast import Expected, Forecast, PlayForecast
from fleetdeploy.domain.plan import Refusal
from fleetdeploy.domain.playbook import Order, Quantity
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.errors import HostKeyRefused
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.foresight.durations import Durations, from_events
from fleetdeploy.rollout.foresight.forecast import forecast
from fleetdeploy.rollout.in_service import never_served
from fleetdeploy.rollout.targets import Target, Targets
from fleetdeploy.tasks import registry

from .fleets import NEW_IMAGE, V1, V2, new, settled

pytestmark = pytest.mark.simulation

THREE = ("gpu1", "gpu2", "gpu3")
FORKS = 8
"""As the simulation's controller has it."""


def foresee(
    world: World,
    wanted: DesiredService | Mapping[str, DesiredService],
    bound: Sequence[BoundPlay] = (),
    *,
    durations: Durations | None = None,
    fleet: SimFleet | None = None,
) -> Forecast:
    """What ``fleetdeploy plan`` makes of a world that :func:`simulation.controller.deploy` would deploy to."""
    by_host = dict.fromkeys(world.hosts, wanted) if isinstance(wanted, DesiredService) else dict(wanted)
    fleet = fleet or SimFleet(world, Wire(world))
    targets = Targets({name: Target(sim_host(name), (item,)) for name, item in by_host.items()}, "T1")
    plan = targets.observe(fleet, Emitter("r", world.clock), forks=1)
    return forecast(plan, bound or plays(list(by_host)), fleet, forks=FORKS, durations=durations)


def waves_of(found: Forecast) -> list[tuple[str, int, int, tuple[str, ...]]]:
    """Play, number, number of all, and hosts of every wave that a plan shows."""
    return [(play.name, wave.number, len(play.waves), wave.hosts) for play in found.plays for wave in play.waves]


def waves_seen(events: Sequence[Event]) -> list[tuple[str, int, int, tuple[str, ...]]]:
    """The same of the waves that a run began."""
    seen, play = [], ""
    for event in events:
        if event.kind is Kind.PLAY_STARTED:
            play = event.message
        elif event.kind is Kind.WAVE_STARTED:
            wave, waves, hosts = (event.data[name] for name in ("wave", "waves", "hosts"))
            assert isinstance(wave, int)
            assert isinstance(waves, int)
            assert isinstance(hosts, list)
            seen.append((play, wave, waves, tuple(hosts)))
    return seen


def switching(found: Forecast) -> PlayForecast:
    """The play that switches over."""
    (play,) = (play for play in found.plays if play.bound)
    return play


@dataclass
class Watch:
    """Counts the hosts that serve after every call of a run, by the wave that was under way.

    ``before`` are those that served when it began, ``switched`` those on which a task that touches traffic began.
    """

    world: World
    lowest: list[int] = field(default_factory=list)
    before: list[set[str]] = field(default_factory=list)
    switched: list[set[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._record = self.world.record
        self.world.record = self._look  # type: ignore[method-assign]

    def __call__(self, event: Event) -> None:
        """A sink: a wave begins, or a step."""
        if event.kind is Kind.WAVE_STARTED:
            with self.world.lock:
                self.world.tick()
                self.before.append(self._serving())
                self.lowest.append(len(self.before[-1]))
                self.switched.append(set())
        elif event.kind is Kind.STEP_STARTED and registry()[event.task].touches_traffic:
            self.switched[-1].add(event.host)

    def _look(self) -> None:
        self._record()
        if self.lowest:
            self.lowest[-1] = min(self.lowest[-1], len(self._serving()))

    def _serving(self) -> set[str]:
        """A host that this controller cannot reach may serve all the same."""
        found = {name: self.world.serves(name) for name in self.world.hosts}
        return {name for name, now in found.items() if now.traffic and all(numbers for _, numbers in now.versions)}


STATES = ("settled", "done", "new", "stopped", "left drained", "drained by hand", "gone")
QUANTITIES = st.builds(Quantity, st.integers(1, 4)) | st.builds(
    Quantity, st.sampled_from([1, 34, 50, 100]), st.just(True)
)


@dataclass(frozen=True)
class Scene:
    """A fleet in some state, and how its play goes."""

    states: tuple[str, ...]
    racks: tuple[str, ...]
    wanted: DesiredService
    limit: frozenset[int]
    twice: bool
    keys: Mapping[str, object]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"gpu{number}" for number in range(1, len(self.states) + 1))

    def world(self) -> World:
        world, old = settled(*self.names), new(*self.names)
        for name, state in zip(self.names, self.states, strict=True):
            host = world.hosts[name]
            if state == "done":
                with_it = replace_all(world, name, self.wanted)
                world.hosts[name] = with_it.hosts[name]
            elif state == "new":
                host.services, host.containers = old.hosts[name].services, old.hosts[name].containers
            elif state == "stopped":
                for container in list(host.containers):
                    world.drained |= {(pool, name) for pool in POOLS}
                    host.stop(container)
                    world.drained -= {(pool, name) for pool in POOLS}
            elif state in {"left drained", "drained by hand"}:
                world.drained |= {(pool, name) for pool in POOLS}
                host.directory(SERVICE).drained_by = "run" if state == "left drained" else None
            elif state == "gone":
                host.reachable = False
        return world

    def plays(self) -> tuple[BoundPlay, ...]:
        variables = {name: {"rack": rack} for name, rack in zip(self.names, self.racks, strict=True)}
        bound = plays(self.names, variables=variables, **self.keys)
        left = {name for at, name in enumerate(self.names) if at not in self.limit} or set(self.names)
        limited = tuple(replace(play, hosts=tuple(name for name in play.hosts if name in left)) for play in bound)
        return limited * 2 if self.twice else limited

    def by_host(self) -> dict[str, DesiredService]:
        left = {name for play in self.plays() for name in play.hosts}
        return {name: self.wanted for name in self.names if name in left}


def replace_all(world: World, name: str, wanted: DesiredService) -> World:
    """The same fleet after a run of its own on one host."""
    alone = World.of(name, registry=["serving:2"])
    alone.clock = world.clock
    other = World(clock=world.clock, hosts={name: world.hosts[name]}, drained=world.drained)
    assert deploy(other, wanted).code == 0
    return other


@st.composite
def scenes(draw: Callable[[st.SearchStrategy[object]], object]) -> Scene:
    """Up to five hosts, most of which serve."""
    states = draw(st.lists(st.sampled_from(("settled", *STATES)), min_size=1, max_size=5))
    assert isinstance(states, list)
    racks = draw(st.lists(st.sampled_from(["r1", "r2"]), min_size=len(states), max_size=len(states)))
    keys = draw(
        st.fixed_dictionaries(
            {
                "serial": st.lists(QUANTITIES, max_size=3).map(tuple),
                "max_unavailable": QUANTITIES,
                "order": st.sampled_from(list(Order)),
                "spread": st.sampled_from(["", "rack"]),
                "min_available": st.just(Quantity(0)) | st.builds(Quantity, st.integers(1, 2)),
            }
        )
    )
    wanted = draw(st.sampled_from([V2, NEW_IMAGE]))
    limit = draw(st.frozensets(st.integers(0, 4), max_size=2))
    twice = draw(st.booleans())
    return Scene(tuple(states), tuple(racks), wanted, limit, twice, keys)  # type: ignore[arg-type]


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
    assert waves * 30 + (waves - 1) * 5 <= expected.seconds <= waves * 32 + (waves - 1) * 5


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
