"""A host behind one face, whether it is simulated or stands in the lab: what a case needs beside the protocols."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from fleetdeploy.domain.balancer import Balancer
from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import ObservedService, Present, Release, State, VersionState
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.protocols import Fleet, HostSession, Serving
from fleetdeploy.domain.service import (
    LABEL_SERVICE,
    ContainerSpec,
    DesiredService,
    GoldenRequest,
    GpuRequest,
    ModelVersion,
    ModelWish,
    Ports,
    ServiceWish,
    VersionsWish,
)
from fleetdeploy.errors import NotHealthy
from fleetdeploy.planning.container import GRPC_PORT, bind_address, container_spec
from fleetdeploy.tfserving import golden, monitoring_config
from tests.simulation.controller import config_text
from tests.simulation.world import POOLS, SERVICE

BASE = PurePosixPath("/srv/contract")
HOST, IDLE = "gpu1", "gpu2"
"""Where cases are played, and a host that is in the balancer's pools and serves nothing."""
NO_VARIABLES, UNLOADABLE = 3, 5
"""Versions of the ranker: one that loads and answers nothing, and one that does not load. The others are good."""
SOON_S = 60.0


class Place(ABC):
    """One host, and about it what the protocols do not tell. ``session`` is that of a controller without a lease."""

    host: Host
    image: str
    bind: str

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._closing = ExitStack()
        self.session = self.controller()

    @abstractmethod
    def fleet(self) -> Fleet:
        """The fleet of one more controller."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def version(self, number: int) -> ModelVersion:
        """A version of the ranker."""

    @abstractmethod
    def changed(self, number: int) -> ModelVersion:
        """Other content under the same number."""

    @abstractmethod
    def golden(self, number: int) -> GoldenRequest:
        """What a version is asked, and answers when it is good."""

    @abstractmethod
    def losing_answers(self) -> HostSession:
        """A session of one more controller. What it asks for first is done, and the answer is lost."""

    @abstractmethod
    def leave_in_staging(self, wish: ServiceWish, *names: str) -> None:
        """Directories that an interrupted run has left."""

    @abstractmethod
    def fill_history(self, wish: ServiceWish, lines: int) -> None:
        """Releases that were proven, ``r1`` the first of them."""

    @abstractmethod
    def make_foreign(self, name: str) -> None:
        """A container that fleetdeploy did not make."""

    @abstractmethod
    def remove_foreign(self, name: str) -> None: ...

    @abstractmethod
    def operator(self, server: str, state: str) -> None:
        """A person tells the balancer ``ready``, ``drain`` or ``maint`` of a server."""

    @abstractmethod
    def without_docker(self) -> AbstractContextManager[None]:
        """Meanwhile the host's engine is gone."""

    def close(self) -> None:
        self._closing.close()

    def controller(self) -> HostSession:
        """A session of one more controller."""
        return self.opened().session(self.host)

    def balancer(self) -> Balancer:
        return self.opened().balancer(BalancerWish("haproxy", "lb", "/run/haproxy/admin.sock", HOST, {SERVICE: POOLS}))

    def opened(self) -> Fleet:
        made = self.fleet()
        self._closing.callback(made.close)
        return made

    def until(self, check: Callable[[], object], what: str) -> None:
        for _ in range(round(SOON_S / 0.1)):
            if check():
                return
            self.wait(0.1)
        raise AssertionError(f"not within {SOON_S:g} s: {what}")

    def wish(self, name: str = "") -> ServiceWish:
        """A service of its own, of which nothing is on the host. The balancer knows ports 8500 and 8501 alone."""
        number = next(self._numbers)
        ports = Ports(8500, 8501) if name == SERVICE else Ports(9000 + 2 * number, 9001 + 2 * number)
        models = tuple(ModelWish(model, Path("models"), VersionsWish((1,))) for model in ("ranker", "other"))
        return ServiceWish(
            name or f"case{number}", self.image, ports, self.bind, models, gpus=GpuRequest((0,)), base_dir=BASE
        )

    def item(self, number: int, *, link_from: int | None = None) -> StageItem:
        found = self.version(number)
        return StageItem("ranker", found, found.manifest.size_bytes, link_from)

    def spec(self, wish: ServiceWish) -> ContainerSpec:
        addresses, image_id = self.session.observe([wish]).addresses, self.session.containers().image_id(wish.image)
        assert isinstance(addresses, Present)
        address = bind_address(wish.bind, addresses.value)
        assert address
        assert image_id
        return container_spec(DesiredService(wish, (), ""), address=address, image_id=image_id)

    def seen(self, wish: ServiceWish) -> ObservedService:
        return self.session.observe([wish]).services[wish.name]

    def start(self, wish: ServiceWish, text: str, *versions: int) -> Server:
        """Stage versions, write a configuration, and make the service's container."""
        files, before = self.session.files(wish), 0
        for number in versions:
            files.stage(self.item(number, link_from=before or None))
            before = number
        files.write_config(text)
        if wish.metrics:
            files.write_monitoring(monitoring_config.TEXT)
        spec = self.spec(wish)
        self.session.containers().create_and_start(spec, {LABEL_SERVICE: wish.name})
        return Server(self, wish, spec, self.session.serving(*spec.ports[GRPC_PORT]))

    @contextmanager
    def serving(self, text: str, *versions: int, metrics: bool = False) -> Iterator[Server]:
        """A server for one case alone."""
        made = self.start(replace(self.wish(), metrics=metrics), text, *versions)
        try:
            yield made
        finally:
            self.session.containers().remove(made.spec.name)


class Server:
    """A model server that runs on a place, and what is asked of it."""

    def __init__(self, place: Place, wish: ServiceWish, spec: ContainerSpec, client: Serving) -> None:
        self.place, self.wish, self.spec, self.client = place, wish, spec, client
        self.touched = False

    def reload(self, text: str, *, deadline_s: float = 20) -> None:
        self.touched = True
        self.client.reload(text, deadline_s=deadline_s)

    def write(self, text: str) -> None:
        """The file that its next process reads."""
        self.touched = True
        self.place.session.files(self.wish).write_config(text)

    def states(self, model: str = "ranker") -> tuple[VersionState, ...]:
        """Empty where nobody answers, too."""
        try:
            return self.client.status(model, deadline_s=5)
        except NotHealthy:
            return ()

    def shown(self) -> dict[int, tuple[str, str]]:
        """Each version's state and the code of its error: how an error is worded is the server's business."""
        return {entry.number: (entry.state.value, entry.error.partition(":")[0]) for entry in self.states()}

    def available(self) -> set[int]:
        return {number for number, (state, _) in self.shown().items() if state == State.AVAILABLE.value}

    def await_shown(self, **wanted: str) -> None:
        """Wait for ``v1="AVAILABLE"``, ``v5="END NOT_FOUND"``, and no other version AVAILABLE."""
        expected = {int(name[1:]): (text.partition(" ")[0], text.partition(" ")[2]) for name, text in wanted.items()}
        up = {number for number, (state, _) in expected.items() if state == State.AVAILABLE.value}
        try:
            self.place.until(lambda: self.available() == up and expected.items() <= self.shown().items(), f"{expected}")
        except AssertionError as error:
            raise AssertionError(f"{error}, but {self.states()}") from None

    def answers(self, number: int) -> bool:
        """Whether a version's golden request is answered as recorded."""
        request = self.place.golden(number)
        return not golden.compare(request, self.client.predict("ranker", request, version=number, deadline_s=20))


def config(*versions: int, labels: dict[str, int] | None = None, **others: tuple[int, ...]) -> str:
    """``model.config`` for the ranker in these versions, and for other models by their names."""
    models = [("ranker", versions, tuple(sorted((labels or {}).items())))] if versions else []
    return config_text((*models, *((name, numbers, ()) for name, numbers in others.items())))


def release(name: str, wish: ServiceWish, *, text: str = "", spec: ContainerSpec | None = None) -> Release:
    """A record of a release of the ranker's version 1."""
    fields = spec.fields() if spec else {}
    return Release(
        id=f"{name}-00ff", service=wish.name, run="run-1", models={"ranker": (1,)}, labels={"ranker": {"stable": 1}},
        config_text=text, container=fields,
    )  # fmt: skip
