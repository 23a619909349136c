"""What a task gets to work with, and what every task is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.domain.protocols import Balancer, Clock, Containers, HostSession, ServiceFiles, Serving
from fleetdeploy.errors import FleetdeployError, HostError
from fleetdeploy.planning.container import GRPC_PORT, container_name

LOG_LINES = 20
USAGE_LINES = 80
"""A server that does not like its command line says why and then lists its flags, one a line, behind a tab."""


@dataclass(frozen=True)
class Step:
    """One task on one service of one host. ``say`` reports progress; ``run`` is the run's id."""

    session: HostSession
    plan: ServicePlan
    run: str
    clock: Clock
    say: Callable[[str], None]
    balancer: Balancer | None = None

    @property
    def files(self) -> ServiceFiles:
        return self.session.files(self.plan.desired.wish)

    @property
    def containers(self) -> Containers:
        return self.session.containers()

    @property
    def serving(self) -> Serving:
        return self.session.serving(*self.plan.container.ports[GRPC_PORT])

    @property
    def pools(self) -> tuple[str, ...]:
        """The balancer pools of the service, empty when nobody balances it."""
        wish = self.session.host.balancer
        return tuple(wish.pools.get(self.plan.desired.name, ())) if wish else ()

    @property
    def server(self) -> str:
        """The host's name in the balancer's pools."""
        wish = self.session.host.balancer
        return wish.server if wish else ""

    @contextmanager
    def log_on_failure(self) -> Iterator[None]:
        """Put the container's last log lines under an error that passes through."""
        try:
            yield
        except HostError as error:
            if not error.detail:
                error.detail = self._log()
            raise

    def _log(self) -> str:
        name = container_name(self.plan.desired.name)
        try:
            rows = self.containers.logs(name, lines=LOG_LINES + USAGE_LINES).splitlines()
            return "\n".join([row for row in rows if not row.startswith("\t--")][-LOG_LINES:])
        except FleetdeployError as error:
            return f"(the log of {name} could not be read: {error.message})"


class NoArguments(BaseModel):
    """For tasks that take none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Task(Protocol):
    """A playbook task. One file of this folder defines one and names it ``TASK``."""

    name: ClassVar[str]
    arguments: ClassVar[type[BaseModel]]
    touches_traffic: ClassVar[bool]
    """Whether the task can change what is served or where requests go: such tasks are bound by capacity."""
    prepares: ClassVar[bool]
    """Whether it puts things on the host that later tasks plan with, so that they need a new look at it."""
    no_undo: ClassVar[str]
    """Why there is nothing to undo, for a task whose ``undo`` does nothing; empty otherwise."""

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Any) -> str:
        """What the task would do, in a few words; empty when it has nothing to do."""

    def act(self, step: Step, arguments: Any) -> None:
        """Do it. Idempotent: it may run again after an interruption at any point."""

    def undo(self, step: Step, arguments: Any) -> None:
        """Take it back, on a host on which ``act`` may have stopped anywhere."""
