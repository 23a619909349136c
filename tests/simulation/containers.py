# ruff: noqa: ARG002  the protocols' signatures are not ours to choose
"""The containers of a simulated host, and what a model server in one of them answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fleetdeploy.domain.observed import ContainerFacts, VersionState
from fleetdeploy.domain.protocols import Ended
from fleetdeploy.domain.service import ContainerSpec, GoldenRequest
from fleetdeploy.errors import DockerFailed, NoAnswer

from .host import SimHost
from .model_server import ModelServer
from .probe import NO_ENGINE
from .wire import Wire

T = TypeVar("T")


@dataclass
class SimContainers:
    """See :class:`fleetdeploy.domain.protocols.Containers`."""

    sim: SimHost
    wire: Wire

    def inspect(self, name: str) -> ContainerFacts | None:
        return self._call("inspect", lambda: self.sim.facts(name))

    def image_id(self, reference: str) -> str | None:
        return self._call("image_id", lambda: self.sim.known_images.get(reference))

    def environment(self, name: str) -> Mapping[str, str]:
        there = self.sim.containers.get(name)
        values = dict(there.spec.environment) if there else {}
        return self._call("environment", lambda: values)

    def pull(self, reference: str, *, deadline_s: float) -> str:
        return self._call("pull", lambda: self._pull(reference))

    def create_and_start(self, spec: ContainerSpec, labels: Mapping[str, str]) -> None:
        self._call("create_and_start", lambda: self.sim.create(spec, labels))

    def start(self, name: str) -> None:
        self._call("start", lambda: self.sim.start(name))

    def stop(self, name: str, *, grace_s: float) -> None:
        self._call("stop", lambda: self.sim.stop(name))

    def rename(self, name: str, new_name: str) -> None:
        self._call("rename", lambda: self.sim.rename(name, new_name))

    def remove(self, name: str) -> None:
        self._call("remove", lambda: self.sim.remove(name))

    def logs(self, name: str, *, lines: int) -> str:
        return self._call("logs", lambda: self._logs(name))

    def execute(self, name: str, argv: Sequence[str], *, deadline_s: float) -> Ended:
        return self._call("execute", lambda: self.sim.execute(name, argv))

    def _call(self, method: str, act: Callable[[], T]) -> T:
        def ask() -> T:
            if not self.sim.docker:
                raise DockerFailed(NO_ENGINE.reason, where=self.sim.name)
            return act()

        return self.wire.call(self.sim.name, f"containers.{method}", ask)

    def _logs(self, name: str) -> str:
        return f"the last lines of {name}" if name in self.sim.containers else ""

    def _pull(self, reference: str) -> str:
        if reference not in self.sim.registry:
            raise DockerFailed(f"manifest for {reference} not found", where=self.sim.name)
        self.sim.images[reference] = self.sim.registry[reference]
        return self.sim.images[reference]


@dataclass
class SimServing:
    """See :class:`fleetdeploy.domain.protocols.Serving`."""

    sim: SimHost
    place: tuple[str, int]
    wire: Wire

    def reload(self, config_text: str, *, deadline_s: float) -> None:
        self.wire.call(self.sim.name, "serving.reload", lambda: self._server().reload(config_text, deadline_s))

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        return self.wire.call(self.sim.name, "serving.status", lambda: self._server().status(model))

    def label(self, model: str, label: str, *, deadline_s: float) -> int | None:
        return self.wire.call(self.sim.name, "serving.label", lambda: self._server().label(model, label))

    def predict(self, model: str, request: GoldenRequest, *, version: int, deadline_s: float) -> Mapping[str, object]:
        ask = lambda: self._server().predict(model, version, deadline_s)  # noqa: E731
        return self.wire.call(self.sim.name, "serving.predict", ask)

    def _server(self) -> ModelServer:
        for container in self.sim.containers.values():
            if container.process and self.place in container.spec.ports.values() and container.process.listening:
                return container.process
        raise NoAnswer("UNAVAILABLE: connection refused", where=self.sim.name)
