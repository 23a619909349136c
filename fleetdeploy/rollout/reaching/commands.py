"""A person's own command on many hosts at a time: announced in the journal first, its end told host by host."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.outcome import HostOutcome, HostState
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.domain.reaching import Hear, OpenHost, Reach
from fleetdeploy.errors import DeadlineExceeded, HostError, RemoteCommandFailed, Unreachable
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.reaching.output import Output
from fleetdeploy.rollout.side_by_side import side_by_side

TOLD_LINES = 20
"""How many of a command's last lines the journal keeps."""
NOT_THERE = 127
"""The status of a program that is not there."""


@dataclass(frozen=True)
class Act:
    """One command on one host, in the container of ``service`` unless that is empty. ``do`` returns its status;
    ``not_there`` is what may have been meant where there is no such program.
    """

    service: str
    do: Callable[[OpenHost, Hear], int]
    not_there: str = ""


@dataclass(frozen=True)
class Done:
    """How one act ended. ``status`` is None where it did not come to its own end; ``failure`` says why then, or what
    the status means; ``stopped`` that a person ended it. ``lines`` are the last that it printed, ``left_out`` how many
    were before them.
    """

    host: str
    service: str = ""
    status: int | None = None
    seconds: float = 0.0
    lines: tuple[str, ...] = ()
    left_out: int = 0
    failure: str = ""
    hint: str = ""
    unreachable: bool = False
    stopped: bool = False


class _Stopped(HostError):
    """A person asked to stop."""


@dataclass
class Commands:
    """``stopped`` says that a person asked to stop: no further host is begun, and what runs is ended. ``show`` is told
    how each act ended, ``line`` every line as it comes with its host and service; both one at a time. When one of them
    raises OSError nobody reads any longer, which is as if a person had asked to stop; ``unread`` has it then.
    """

    reach: Reach
    emit: Emitter
    clock: Clock
    task: str
    shown: str
    deadline_s: float
    stopped: Callable[[], bool]
    show: Callable[[Done], None] = lambda _: None
    line: Callable[[str, str, str], None] = lambda _host, _service, _text: None
    check: Callable[[str], None] = lambda _host: None
    """Raises LeaseLost where a host is another run's by now."""
    unread: OSError | None = None
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def run(self, hosts: Sequence[Host], acts: Callable[[Host], Sequence[Act]], *, forks: int) -> list[HostOutcome]:
        """Do it on all of them, at most ``forks`` at a time. Raises RolloutFailed where the journal cannot be kept."""
        self.emit(Kind.PLAN_MADE, changed=[host.name for host in hosts], expected_s=None)
        return side_by_side(lambda host: self._on(host, acts(host)), hosts, forks=forks)

    def _on(self, host: Host, acts: Sequence[Act]) -> HostOutcome:
        done: list[Done] = []
        for act in acts:
            if self._over():
                break
            done.append(self._act(host, act))
            if done[-1].unreachable:
                break
        outcome = _outcome(host.name, done, len(acts))
        state = outcome.state.value
        self.emit(Kind.HOST_FINISHED, outcome.reason, host=host.name, state=state, hint=outcome.hint)
        return outcome

    def _act(self, host: Host, act: Act) -> Done:
        try:
            opened = self.reach.open(host)
        except HostError as error:
            self.emit(Kind.HOST_UNREACHABLE, error.message, host=host.name, hint=error.hint)
            done = Done(host.name, act.service, failure=error.message, hint=error.hint, unreachable=True)
            return self._shown(done)
        self.emit(Kind.STEP_STARTED, self.shown, host=host.name, task=self.task, service=act.service)
        done = self._shown(self._ended(host.name, opened, act))
        last = "\n".join(done.lines[-TOLD_LINES:])
        whose = {"host": host.name, "task": self.task}
        if done.failure:
            more: dict[str, Any] = {"stopped": True} if done.stopped else {}
            told = {"service": act.service, "hint": done.hint, "detail": last, **more}
            self.emit(Kind.STEP_FAILED, done.failure, **whose, **told)
            return done
        if last:
            self.emit(Kind.STEP_PROGRESS, last, **whose)
        self.emit(Kind.STEP_FINISHED, self.shown, **whose, service=act.service, seconds=round(done.seconds, 3))
        return done

    def _ended(self, host: str, opened: OpenHost, act: Act) -> Done:
        output = Output(lambda text: self._tell(lambda: self.line(host, act.service, text)))

        def hear(stream: int, data: bytes) -> None:
            output.hear(stream, data)
            if self._over():
                raise _Stopped("a person asked to stop before it had ended", where=host, hint=_left_there(act))

        started_s = self.clock.monotonic_s()
        status, failure = None, HostError("")
        try:
            self.check(host)
            status = act.do(opened, hear)
        except DeadlineExceeded as error:
            late = self.clock.monotonic_s() - started_s >= self.deadline_s
            failure = self._too_late(act) if late else error
        except HostError as error:
            failure = error
        output.end()
        if status:
            hint = act.not_there if status == NOT_THERE else ""
            failure = RemoteCommandFailed(f"ended with status {status}", hint=hint)
        return Done(
            host,
            act.service,
            status,
            self.clock.monotonic_s() - started_s,
            tuple(output.lines),
            output.left_out,
            failure.message,
            failure.hint,
            isinstance(failure, Unreachable),
            isinstance(failure, _Stopped),
        )

    def _too_late(self, act: Act) -> HostError:
        ended = _left_there(act) or "--deadline gives it longer"
        return DeadlineExceeded(f"it did not end within {self.deadline_s:g} s", hint=ended)

    def _over(self) -> bool:
        return self.unread is not None or self.stopped()

    def _shown(self, done: Done) -> Done:
        self._tell(lambda: self.show(done))
        return done

    def _tell(self, what: Callable[[], None]) -> None:
        with self._telling:
            try:
                if self.unread is None:
                    what()
            except OSError as error:
                self.unread = error


def _left_there(act: Act) -> str:
    """What is said of a command that was not waited for; one that runs on the host itself is ended."""
    return "Docker cannot end what runs in a container: it may go on there" if act.service else ""


def _outcome(host: str, done: Sequence[Done], meant: int) -> HostOutcome:
    """One host's end over all its acts: the first that went wrong tells it."""
    well = sum(not item.failure for item in done)
    bad = next((item for item in done if item.failure), None)
    if bad is not None:
        state = HostState.UNREACHABLE if bad.unreachable else HostState.FAILED
        reason = f"{bad.service}: {bad.failure}" if bad.service and meant > 1 else bad.failure
        return HostOutcome(host, state, reason, hint=bad.hint, detail="\n".join(bad.lines[-TOLD_LINES:]), steps_ok=well)
    if len(done) < meant:
        return HostOutcome(host, HostState.SKIPPED, "a person asked to stop before it was begun", steps_ok=well)
    return HostOutcome(host, HostState.OK, steps_ok=well)
