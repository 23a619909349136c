"""A play with everything it needs to be run: its hosts, their failure domains, its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.playbook import Play
from fleetdeploy.planning.waves import FailureBudget, Floor
from fleetdeploy.rollout.work import Call


@dataclass(frozen=True)
class BoundPlay:
    """A play with its hosts selected and its tasks' arguments checked.

    ``hosts`` are those that ``--limit`` leaves, ``everyone`` all that the play names: capacity is theirs together.
    ``domains`` says in which failure domain each of them stands, where the play has such.
    """

    play: Play
    hosts: tuple[str, ...]
    everyone: Mapping[str, Host]
    calls: tuple[Call, ...]
    always: tuple[Call, ...]
    domains: Mapping[str, str] = field(default_factory=dict)
    rescue: tuple[Call, ...] = ()

    @property
    def touches_traffic(self) -> bool:
        return any(call.task.touches_traffic for call in self.calls)

    @property
    def floor(self) -> Floor:
        return Floor(tuple(self.everyone), self.play.min_available, self.domains)

    @property
    def max_unavailable(self) -> int:
        return self.play.max_unavailable.of(len(self.everyone))

    @property
    def failures(self) -> FailureBudget:
        return FailureBudget(len(self.hosts), self.play.max_fail_percentage)

    def question(self, wave: Sequence[str], number: int, waves: int) -> str:
        """What a person is asked before a wave."""
        tasks = ", ".join(dict.fromkeys(call.label or call.task.name for call in self.calls))
        return f"play {self.play.name!r}, wave {number} of {waves}: {tasks} on {', '.join(wave)}"
