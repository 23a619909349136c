"""What is known of a command when it has ended: for metrics, and for those who are told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fleetdeploy.domain.freeze import Freeze
from fleetdeploy.domain.observed import Present, State
from fleetdeploy.domain.outcome import HostState, RunOutcome
from fleetdeploy.domain.plan import Activation, HostPlan, Plan, ServicePlan
from fleetdeploy.domain.settings import News
from fleetdeploy.report.story.run_story import RunStory

_WELL = frozenset({HostState.OK, HostState.CHANGED})
_NEWS = {
    2: News.REFUSED,
    5: News.REFUSED,
    6: News.LOCKED,
    7: News.REFUSED,
    8: News.PARTLY,
    9: News.HELD,
    10: News.FROZEN,
    130: News.INTERRUPTED,
    143: News.INTERRUPTED,
}
_AS_IT_IS = frozenset({Activation.NOTHING, Activation.VERIFY})


@dataclass
class Ending:
    """One command, from its beginning to its end. Times are Unix time in seconds.

    ``outcome`` is None where the run was refused, ``plan`` where the hosts were not looked at; ``changing`` are those
    that needed something. ``debts`` are hosts that owe a release, None where that cannot be read. ``frozen`` is the
    freeze that goes on; ``held_back`` is News.FROZEN or News.WAITING where something new had to wait. ``error`` is why
    it was refused.
    """

    command: str
    inventory: str
    started_s: float
    ended_s: float = 0.0
    exit_code: int = 0
    error: str = ""
    story: RunStory = field(default_factory=RunStory)
    plan: Plan | None = None
    changing: tuple[str, ...] = ()
    outcome: RunOutcome | None = None
    debts: int | None = None
    frozen: Freeze | None = None
    held_back: News | None = None

    @property
    def news(self) -> News:
        """How it ended, in one word."""
        if self.held_back is not None:
            return self.held_back
        if self.exit_code == 0:
            return News.CHANGED if self.names(HostState.CHANGED) else News.UNCHANGED
        return _NEWS.get(self.exit_code, News.FAILED)

    @property
    def summary(self) -> str:
        """The last line, or why there was none."""
        return self.outcome.last_line if self.outcome else self.error

    @property
    def pending(self) -> tuple[str, ...]:
        """The hosts that needed something, and still do."""
        ended = self.outcome.hosts if self.outcome else {}
        return tuple(name for name in self.changing if name not in ended or ended[name].state not in _WELL)

    def names(self, state: HostState) -> tuple[str, ...]:
        """The hosts that ended so."""
        return tuple(name for name, item in self.outcome.hosts.items() if item.state is state) if self.outcome else ()

    def served(self) -> Iterator[tuple[str, str, str, int]]:
        """Host, service, model and version, of all that is known to be served now. What is not known is left out."""
        for name, host in self.plan.hosts.items() if self.plan else ():
            for service in host.services:
                for model, versions in self._served(name, service):
                    yield from ((name, service.desired.name, model, number) for number in sorted(versions))

    def _served(self, name: str, service: ServicePlan) -> Iterator[tuple[str, tuple[int, ...]]]:
        ended = self.outcome.hosts.get(name) if self.outcome else None
        if ended is not None and ended.mixed:
            return
        if ended is not None and ended.activated and not ended.taken_back and ended.state in _WELL:
            yield from ((model.name, model.wanted) for model in service.desired.models)
            return
        for model, reading in service.observed.served.items():
            if isinstance(reading, Present):
                yield model, tuple(item.number for item in reading.value if item.state is State.AVAILABLE)


def only_comes_back(host: HostPlan) -> bool:
    """Whether all that the host needs is to get requests again: nothing new is brought to it."""
    return host.changed and all(
        service.activation in _AS_IT_IS and not service.stage and not service.pull_image for service in host.services
    )
