"""What a plan makes of a world, and what a run that is watched does with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from simulation.controller import beyond, plays, sim_host
from simulation.fleet import SimFleet
from simulation.wire import Wire
from simulation.world import World

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.forecast import Forecast, PlayForecast
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.foresight.durations import Durations
from fleetdeploy.rollout.foresight.forecast import forecast
from fleetdeploy.rollout.targets import Target, Targets
from fleetdeploy.tasks import registry

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
    bound = bound or plays(list(by_host))
    found = {name: Target(sim_host(name), (item,)) for name, item in by_host.items()}
    targets = Targets(found, "T1", beyond=beyond(bound, by_host))
    plan = targets.observe(fleet, Emitter("r", world.clock), forks=1)
    return forecast(plan, bound, fleet, forks=FORKS, durations=durations)


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
