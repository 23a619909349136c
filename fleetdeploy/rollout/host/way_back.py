"""The way back of one host: what a play has begun there is undone, the last act first, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from fleetdeploy.domain.plan import Activation
from fleetdeploy.errors import FleetdeployError
from fleetdeploy.rollout.host.watching import Watching
from fleetdeploy.rollout.work import Work


class Perform(Protocol):
    """Acts, or takes back. Raises FleetdeployError."""

    def __call__(self, work: Work, *, undo: bool = False) -> None: ...


@dataclass
class WayBack:
    """``done`` is what was begun on the host. What fails is among ``errors``, in order, and its service is ``stuck``:
    it is left alone from then on. Nothing is raised before the end.
    """

    done: list[Work]
    perform: Perform
    watching: Watching
    errors: list[FleetdeployError] = field(default_factory=list)
    _stuck: set[str] = field(default_factory=set)

    def stand_down(self) -> None:
        """The host's own watchdogs first: two must not go back at once."""
        for service, error in self.watching.stand_down():
            self.errors.append(error)
            self._stuck.add(service)

    def undo(self) -> None:
        """A host that may be in its balancer again leaves it first: nothing is taken back under traffic. A service
        whose activation cannot be taken back is not put back into its balancer.
        """
        if any(work.name == "undrain" for work in self.done):
            for work in [work for work in self.done if work.name == "drain"]:
                self._attempt(work)
        for work in reversed(self.done):
            service = work.plan.desired.name
            restored = work.name == "activate" and service in self.watching.restored
            if work.undoable and service not in self._stuck and not restored:
                self._attempt(work, undo=True)

    def put_back(self, undrains: Iterable[Work]) -> None:
        """Those of services that an earlier run drained and proved: they have nothing to do with what failed now."""
        begun = {work.plan.desired.name for work in self.done if work.call.task.touches_traffic}
        for work in undrains:
            service = work.plan
            due = service.undrain and service.activation is Activation.NOTHING and work.undecided is None
            if due and service.desired.name not in begun | self._stuck:
                begun.add(service.desired.name)
                self.done.append(work)
                self._attempt(work)

    def _attempt(self, work: Work, *, undo: bool = False) -> None:
        try:
            self.perform(work, undo=undo)
        except FleetdeployError as error:
            self.errors.append(error)
            self._stuck.add(work.plan.desired.name)
