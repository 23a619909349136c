"""What the hosts of a run share: tasks that one of them does for all, and the answers of a person."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fleetdeploy.errors import FleetdeployError, HostError
from fleetdeploy.rollout.host.acting import STOPS
from fleetdeploy.rollout.work import Call

_LOOK_S = 0.5
"""How often a host that waits asks whether it shall give up; the end of what it waits for wakes it at once."""


@dataclass
class _Turn:
    """A task that ``host`` does for all: it is at it until the task is ``done`` or has failed with an ``error``."""

    host: str
    done: bool = False
    error: FleetdeployError | None = None

    @property
    def over(self) -> bool:
        return self.done or self.error is not None


class Agreements:
    """Thread-safe. Calls are told apart as the objects they are, which live as long as the run.

    A task with ``run_once`` ends for all hosts as it ends for the one that does it. Each host that comes to one that
    failed fails by itself, in place of the whole rollout being stopped: the failure budget counts those that really
    went without it, and hosts that it does not concern are not held up.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turns: dict[int, _Turn] = {}
        self._asking = threading.Lock()
        self._answers: dict[tuple[int, str], bool] = {}

    def forward(self, call: Call, host: str, do: Callable[[], None], ready: Callable[[], None]) -> None:
        """``do`` the call, unless another host does it for all: then wait until it is done. Raises HostError where that
        one failed.

        ``ready`` raises where ``host`` may not begin anything, and is asked while it waits as well. One that stops has
        done nothing for the others, and the next that is ready does it. Nobody waits for a place here: a task that is
        done once takes no host out of service, so that the one at it needs nothing of those that wait.
        """
        if not call.once:
            ready()
            do()
            return
        while not self._is_done(call, host):
            ready()
            if self._begins(call, host, wait_s=_LOOK_S):
                self._carry_out(call, do)
                return

    def afterwards(self, call: Call, host: str, do: Callable[[], None]) -> None:
        """The same after ``host`` has failed: what another one is at, or was, it neither waits for nor relies on."""
        if not call.once:
            do()
        elif self._begins(call, host):
            self._carry_out(call, do)

    def check(self, call: Call, host: str) -> None:
        """Raises HostError where the host that did ``call`` for all has failed at it."""
        self._is_done(call, host)

    @contextmanager
    def taken_back(self, call: Call, host: str) -> Iterator[None]:
        """While entered, ``host`` undoes what it may have done for all: whoever comes to it waits, and does it anew."""
        with self._changed:
            turn = self._turns.get(id(call))
            mine = turn if turn is not None and turn.done and turn.host == host else None
            if mine is not None:
                mine.done = False
        try:
            yield
        finally:
            if mine is not None:
                self._leave(call)

    def _is_done(self, call: Call, host: str) -> bool:
        with self._changed:
            turn = self._turns.get(id(call))
            if turn is not None and turn.error is not None:
                text = f"{turn.host} failed at `{call.task.name}`, which it did for all hosts: {turn.error.message}"
                raise HostError(text, where=host, hint=turn.error.hint)
            return turn is not None and turn.done

    def _begins(self, call: Call, host: str, *, wait_s: float = 0.0) -> bool:
        """Whether the host is the one that does it. Another one that is at it is waited for, so long at the most."""
        with self._changed:
            turn = self._turns.get(id(call))
            if turn is None:
                self._turns[id(call)] = _Turn(host)
            elif wait_s and not turn.over:
                self._changed.wait(wait_s)
            return turn is None

    def _carry_out(self, call: Call, do: Callable[[], None]) -> None:
        try:
            do()
        except STOPS:
            self._leave(call)
            raise
        except FleetdeployError as error:
            self._end(call, error)
            raise
        except BaseException:
            self._leave(call)
            raise
        self._end(call)

    def _end(self, call: Call, error: FleetdeployError | None = None) -> None:
        with self._changed:
            turn = self._turns[id(call)]
            turn.done, turn.error = error is None, error
            self._changed.notify_all()

    def _leave(self, call: Call) -> None:
        """As if nobody had come to it."""
        with self._changed:
            del self._turns[id(call)]
            self._changed.notify_all()

    def answer(self, call: Call, text: str, ask: Callable[[str], bool]) -> bool:
        """The answer to a question; the hosts of one wave share it, and wait for it. What ``ask`` raises is no answer:
        the next one asks anew.
        """
        with self._asking:
            key = (id(call), text)
            if key not in self._answers:
                self._answers[key] = ask(text)
            return self._answers[key]

    def forget_answers(self) -> None:
        """The next wave is asked for anew."""
        with self._asking:
            self._answers.clear()
