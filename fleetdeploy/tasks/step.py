"""What a task gets to work with, and what every task is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from fleetdeploy.domain.balancer import Balancer
from fleetdeploy.domain.measured import OnCopy, unseen
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.domain.protocols import Clock, Containers, HostSession, Outside, ServiceFiles, Serving
from fleetdeploy.domain.secret import Secret, opened
from fleetdeploy.errors import FleetdeployError, HostError, Interrupted, RolloutFailed
from fleetdeploy.planning.container import GRPC_PORT, container_name
from fleetdeploy.tfserving import server_log

LOOK_S = 0.5
"""How often it is asked whether the run is to end: a person who presses Ctrl-C does not notice the wait."""

LOG_LINES = 20
USAGE_LINES = 80
"""That many flags a server lists behind its complaint about one."""


@dataclass(frozen=True)
class Step:
    """One task on one service of one host. ``say`` reports progress, ``progress`` that of a copy; ``run`` is the run's
    id.

    ``ask`` puts a question to a person, ``check`` raises when the run shall end, ``outside`` acts on the controller.
    ``committed`` says that the host serves something new, so that the safe end is forward; ``trouble`` why the host
    failed, for tasks that are done afterwards; ``environment`` what the playbook sets for the task's commands.
    """

    session: HostSession
    plan: ServicePlan
    run: str
    clock: Clock
    say: Callable[[str], None]
    balancer: Balancer | None = None
    ask: Callable[[str], bool] = lambda _: False
    check: Callable[[], None] = lambda: None
    controller: Callable[[], Outside] | None = None
    committed: bool = False
    trouble: str = ""
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    progress: OnCopy = unseen

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of the task's commands, its secrets opened. Raises InputError."""
        return opened(self.environment)

    @property
    def ending(self) -> bool:
        """Whether waiting is over because the run shall end. Raises where the host can still go back instead."""
        try:
            self.check()
        except (Interrupted, RolloutFailed):
            if self.committed:
                return True
            raise
        return False

    def wait(self, seconds: float) -> None:
        """Let time pass, until the run shall end. Raises where the host can still go back instead."""
        end_s = self.clock.monotonic_s() + seconds
        while (left_s := end_s - self.clock.monotonic_s()) > 0 and not self.ending:
            self.clock.wait(min(LOOK_S, left_s))

    @property
    def outside(self) -> Outside:
        if self.controller is None:
            raise HostError("nothing can be done on the controller here")
        return self.controller()

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
        """Put what the container's log says of it under an error that passes through."""
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
            return "\n".join(server_log.telling(rows, most=LOG_LINES))
        except FleetdeployError as error:
            return f"(the log of {name} could not be read: {error.message})"


class NoArguments(BaseModel):
    """For tasks that take none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def alternatives_of(task: Task) -> tuple[str, ...]:
    """Arguments of which a playbook has to give exactly one, as their schema says."""
    extra = task.arguments.model_config.get("json_schema_extra")
    found = extra.get("oneOf", ()) if isinstance(extra, dict) else ()
    choices = found if isinstance(found, (list, tuple)) else ()
    return tuple(str(name) for item in choices if isinstance(item, dict) for name in _names(item))


def _names(schema: Mapping[str, object]) -> tuple[object, ...]:
    names = schema.get("required", ())
    return tuple(names) if isinstance(names, (list, tuple)) else ()


def required_of(task: Task) -> tuple[str, ...]:
    """The arguments that a playbook has to give. They have defaults all the same, and their schema names them."""
    extra = task.arguments.model_config.get("json_schema_extra")
    found = extra.get("required", ()) if isinstance(extra, dict) else ()
    return tuple(str(name) for name in found) if isinstance(found, (list, tuple)) else ()


class Task(Protocol):
    """A playbook task. One file of this folder defines one and names it ``TASK``."""

    name: ClassVar[str]
    arguments: ClassVar[type[BaseModel]]
    touches_traffic: ClassVar[bool]
    """Whether the task can change what is served or where requests go: such tasks are bound by capacity."""
    prepares: ClassVar[bool]
    """Whether it puts things on the host that later tasks plan with, so that they need a new look at it."""
    per_host: ClassVar[bool]
    """Whether it is done once for a host, and not for each of its services; only such tasks may be done once in all."""
    delegable: ClassVar[bool]
    """Whether another host may do it instead."""
    optional: ClassVar[bool]
    """Whether no rule about the order of tasks depends on it, so that a host may be left without it for what is only
    known once the host was looked at."""
    commands: ClassVar[tuple[str, ...]]
    """The arguments that are commands, to which a playbook may give an ``environment``."""
    looks_only: ClassVar[bool]
    """Whether it leaves everything as it is, so that it does not count as a change; an argument ``changes`` decides
    where a task has one."""
    no_undo: ClassVar[str]
    """Why there is nothing to undo, for a task whose ``undo`` does nothing; empty otherwise."""

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Any) -> str:
        """What the task would do, in a few words; empty when it has nothing to do."""

    def act(self, step: Step, arguments: Any) -> None:
        """Do it. Idempotent: it may run again after an interruption at any point."""

    def undo(self, step: Step, arguments: Any) -> None:
        """Take it back, on a host on which ``act`` may have stopped anywhere."""

    def longest_s(self, plan: ServicePlan, arguments: Any) -> float:
        """How many seconds ``act`` may take at the most, where it does not fail: all that its arguments let it wait,
        one after another, and the deadlines of what it asks of a server that loads or computes. A host's watchdog goes
        by it.

        Without what Docker, the disk and looks at states take, which is little on a host that is well, and without what
        a person takes to answer.
        """
