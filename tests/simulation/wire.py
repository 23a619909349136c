"""The line between one controller and the fleet: every protocol call passes here, is counted, and may go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fleetdeploy.domain.events import Event
from fleetdeploy.errors import BalancerFailed, BalancerSilent, HostError, Unreachable

from .leases import SimLeases, take_over
from .world import World

T = TypeVar("T")
_LOOKING = {"observe", "inspect", "read_release", "read_config", "environment", "image_id", "logs", "status", "label"}


def changes(method: str) -> bool:
    """Whether a call of this method can change anything on a host or in a balancer, beside who has its lease."""
    room, _, name = method.rpartition(".")
    return room != "leases" and name not in _LOOKING | {"predict", "members", "load", "execute", "counted", "noted"}


class Killed(BaseException):
    """The controller's process ended. No handler of errors may see it as one."""


@dataclass(frozen=True)
class Trouble:
    """What happens at the ``at``-th call, counted from 1.

    ``kill``: the controller ends before the call. ``bug``: the call raises what nobody expects. ``refuse``: the call
    fails and does nothing. ``drop``: it is carried out, but its answer is lost. ``lose``: the host of that call is gone
    from then on. ``signal``: the call goes well and ``on_signal`` is told. ``takeover``: another run has the leases of
    the call's host from then on. ``meanwhile``: something else happens before the call, which is told its host.

    ``count`` may be ``acts``, for calls that can change something, or ``records`` of the journal: then it happens
    before one is written, and what happens to a call happens to the next one. It may be a method: then calls of that
    count.
    """

    kind: str = ""
    at: int = 0
    on_signal: Callable[[], None] = lambda: None
    meanwhile: Callable[[str], object] = lambda _: None
    count: str = "calls"


@dataclass
class Wire:
    """``calls`` holds (host, method) of every call that was begun, ``who`` is the run that makes them."""

    world: World
    trouble: Trouble = Trouble()
    who: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    leases: dict[str, SimLeases] = field(default_factory=dict)
    acts: int = 0
    records: int = 0
    dead: bool = False
    _next: str = ""

    def record(self, event: Event) -> None:
        """The first journal of a run: what is due at this record happens before it is written."""
        self.records += 1
        if self.trouble.count != "records" or self.records != self.trouble.at:
            return
        kind = self.trouble.kind
        if kind == "kill":
            self._die()
        elif kind == "signal":
            self.trouble.on_signal()
        elif kind == "meanwhile":
            self.trouble.meanwhile(event.host)
        else:
            self._next = kind

    def _due(self, method: str) -> str:
        if self.trouble.count == "records":
            due, self._next = self._next, ""
            return due
        self.acts += changes(method)
        if self.trouble.count == method:
            return self.trouble.kind if [name for _, name in self.calls].count(method) == self.trouble.at else ""
        if self.trouble.count == "acts":
            return self.trouble.kind if changes(method) and self.acts == self.trouble.at else ""
        due = self.trouble.count == "calls" and len(self.calls) == self.trouble.at
        return self.trouble.kind if due else ""

    def _die(self) -> None:
        self.dead = True
        raise Killed

    def call(self, host: str, method: str, act: Callable[[], T], *, about: str = "", service: str = "") -> T:
        """Carry out one protocol call, with whatever trouble is due. ``about`` is the host that it is about, if it goes
        to another one, ``service`` the one whose directory it is about, if it is one's.
        """
        with self.world.lock:
            if self.dead:
                raise Killed
            self.calls.append((host, method))
            due = self._due(method)
            if due == "kill":
                self._die()
            if due == "bug":
                raise ZeroDivisionError("a bug")
            if due == "meanwhile":
                self.trouble.meanwhile(about or host)
            if due == "lose" and host in self.world.hosts:
                self.world.hosts[host].reachable = False
            if due == "takeover" and (about or host) in self.world.hosts:
                take_over(self.world.hosts[about or host])
            self._reach(host, method)
            if changes(method) and host in self.leases:
                self.leases[host].prove(service)
            if due == "refuse":
                raise self._error(host, method)
            self.world.tick()
            result = act()
            if changes(method):
                self.world.acts.append((self.who, about or host, method))
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
