"""The simulated host of a case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.protocols import Fleet, HostSession
from fleetdeploy.domain.service import GoldenRequest, ModelVersion, ServiceWish
from tests.fleet.contract.places import HOST, IDLE, NO_VARIABLES, UNLOADABLE, Place, release
from tests.simulation import controller
from tests.simulation.fleet import SimFleet
from tests.simulation.host import Container
from tests.simulation.model_server import Quality
from tests.simulation.wire import Trouble, Wire
from tests.simulation.world import POOLS, World

LOAD_S = 0.5


class Simulated(Place):
    """A host of a simulated world, whose time passes at once."""

    def __init__(self) -> None:
        self.world = World.of(HOST, IDLE)
        self.host, self.image, self.bind = Host(HOST, Connection(HOST)), "serving:1", "10.0.0.0/8"
        self.sim = self.world.hosts[HOST]
        self.sim.load_s = LOAD_S
        self.sim.quality = {("ranker", NO_VARIABLES): Quality.NO_VARIABLES, ("ranker", UNLOADABLE): Quality.UNLOADABLE}
        super().__init__()

    def fleet(self) -> Fleet:
        return SimFleet(self.world, Wire(self.world))

    def wait(self, seconds: float) -> None:
        self.world.clock.wait(seconds)
        self.world.tick()

    def version(self, number: int) -> ModelVersion:
        return controller.version("ranker", number)

    def changed(self, number: int) -> ModelVersion:
        return replace(self.version(number), manifest=self.version(number + 1).manifest)

    def golden(self, number: int) -> GoldenRequest:
        return controller.golden(number)

    def losing_answers(self) -> HostSession:
        return SimFleet(self.world, Wire(self.world, Trouble("drop", at=1))).session(self.host)

    def leave_in_staging(self, wish: ServiceWish, *names: str) -> None:
        self.sim.directory(wish.name).staging += names

    def fill_history(self, wish: ServiceWish, lines: int) -> None:
        for number in range(1, lines + 1):
            self.session.files(wish).write_release(release(f"r{number}", wish))

    def make_foreign(self, name: str) -> None:
        self.sim.containers[name] = Container(replace(self.spec(self.wish()), name=name), {}, id="foreign")

    def remove_foreign(self, name: str) -> None:
        del self.sim.containers[name]

    def operator(self, server: str, state: str) -> None:
        told = {(pool, server) for pool in POOLS}
        self.world.drained -= told
        self.world.maintenance -= told
        if state == "drain":
            self.world.drained |= told
        elif state == "maint":
            self.world.maintenance |= told

    @contextmanager
    def without_docker(self) -> Iterator[None]:
        self.sim.docker = False
        try:
            yield
        finally:
            self.sim.docker = True
