"""What a run has finished on a host, play by play, and how all of it is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.host.host_run import HostRun
from fleetdeploy.rollout.work import Work


@dataclass(frozen=True)
class Finished:
    """A host's part in the play ``bound``, which changed it and went well, with the plan that it began with. ``before``
    is its part in an earlier play of the run.
    """

    run: HostRun
    plan: HostPlan
    bound: BoundPlay
    before: Finished | None = None

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def all(self) -> Iterator[Finished]:
        """The parts of the host so far, the last one first."""
        part: Finished | None = self
        while part is not None:
            yield part
            part = part.before

    @property
    def play(self) -> BoundPlay | None:
        """The last of its plays that could touch traffic; None where it was only prepared."""
        return next((part.bound for part in self.all if part.bound.touches_traffic), None)

    @property
    def done(self) -> list[Work]:
        """What was begun in all of its parts."""
        return [work for part in self.all for work in part.run.done]

    @property
    def in_service(self) -> Finished | None:
        """The part that left it serving what was proven there; a command alone brings no host into service."""
        for part in self.all:
            if done := {work.name for work in part.run.done if work.call.task.touches_traffic}:
                return part if "activate" not in done or "verify" in done else None
        return None

    @property
    def kept_out(self) -> bool:
        """Whether its way back leaves the host out of its balancer."""
        return any(part.run.kept_out for part in self.all)

    def undo(self) -> None:
        """Take back all that the run did to the host. What fails ends it: what was done before that stays."""
        for part in self.all:
            if any(work.undoable for work in part.run.done):
                part.run.undo()
