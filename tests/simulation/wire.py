"""The line between one controller and the fleet: every protocol call passes here, is counted, and may go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fleetdeploy.errors import BalancerFailed, BalancerSilent, HostError, Unreachable

from .leases import SimLeases, take_over
from .world import World

T = TypeVar("T")
_LOOKING = {"observe", "inspect", "read_release", "read_config", "environment", "image_id", "logs", "status", "label"}


def changes(method: str) -> bool:
    """Whether a call of this method can change anything on a host or in a balancer, beside who has its lease."""
    room, _, name = method.rpartition(".")
    return room != "leases" and name not in _LOOKING | {"predict", "members", "execute"}


class Killed(BaseException):
    """The controller's process ended. No handler of errors may see it as one."""


@dataclass(frozen=True)
class Trouble:
    """What happens at the ``at``-th call, counted from 1.

    ``kill``: the controller ends before the call. ``refuse``: the call fails and does nothing. ``drop``: it is carried
    out, but its answer is lost. ``lose``: the host of that call is gone from then on. ``signal``: the call goes well
    and ``on_signal`` is told. ``takeover``: another run has the leases of the call's host from then on.
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
    leases: dict[str, SimLeases] = field(default_factory=dict)
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
            if due == "takeover" and host in self.world.hosts:
                take_over(self.world.hosts[host])
            self._reach(host, method)
            if changes(method) and host in self.leases:
                self.leases[host].prove()
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
            raise BalancerSilent("the balancer does not answer", where=host)
        if host in self.world.hosts and not self.world.hosts[host].reachable:
            raise Unreachable("no route to host", where=host)

    def _error(self, host: str, method: str) -> HostError:
        kind = BalancerFailed if method.startswith("balancer.") else Unreachable
        return kind(f"{method} went wrong", where=host)
