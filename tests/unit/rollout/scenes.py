"""Fleets in any state, and plays in any shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hypothesis import strategies as st
from simulation.controller import deploy, plays
from simulation.world import POOLS, SERVICE, World

from fleetdeploy.domain.playbook import Order, Quantity
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.rollout.bound_play import BoundPlay

from .fleets import NEW_IMAGE, V2, new, settled

STATES = ("settled", "done", "new", "stopped", "left drained", "left marked", "drained by hand", "gone")
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
            elif state == "left marked":
                host.directory(SERVICE).drained_by = "run"
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
