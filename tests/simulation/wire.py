"""The line between one controller and the fleet: every protocol call passes here, is counted, and may go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fleetdeploy.errors import BalancerFailed, HostError, Unreachable

from .world import World

T = TypeVar("T")


class Killed(BaseException):
    """The controller's process ended. No handler of errors may see it as one."""


@dataclass(frozen=True)
class Trouble:
    """What happens at the ``at``-th call, counted from 1.

    ``kill``: the controller ends before the call. ``refuse``: the call fails and does nothing. ``drop``: it is carried
    out, but its answer is lost. ``lose``: the host of that call is gone from then on. ``signal``: the call goes well
    and ``on_signal`` is told.
    """

    kind: str = ""
    at: int = 0
    on_signal: Callable[[], None] = lambda: None


@dataclass
class Wire:
    """``calls`` holds (host, method) of every call that was begun."""

    world: World
    trouble: Trouble = Trouble()
    calls: list[tuple[str, str]] = field(default_factory=list)
    dead: bool = False

    def call(self, host: str, method: str, act: Callable[[], T]) -> T:
        """Carry out one protocol call, with whatever trouble is due."""
        with self.world.lock:
            if self.dead:
                raise Killed
            self.calls.append((host, method))
            due = self.trouble.kind if len(self.calls) == self.trouble.at else ""
            if due == "kill":
                self.dead = True
                raise Killed
            if due == "lose" and host in self.world.hosts:
                self.world.hosts[host].reachable = False
            self._reach(host, method)
            if due == "refuse":
                raise self._error(host, method)
            self.world.tick()
            result = act()
            self.world.record()
            if due == "drop":
                raise self._error(host, method)
            if due == "signal":
                self.trouble.on_signal()
            return result

    def _reach(self, host: str, method: str) -> None:
        if method.startswith("balancer.") and self.world.balancer_down:
            raise BalancerFailed("the balancer does not answer", where=host)
        if host in self.world.hosts and not self.world.hosts[host].reachable:
            raise Unreachable("no route to host", where=host)

    def _error(self, host: str, method: str) -> HostError:
        kind = BalancerFailed if method.startswith("balancer.") else Unreachable
        return kind(f"{method} went wrong", where=host)
