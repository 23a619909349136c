"""A plan held against a playbook: what a deploy would do in which order, and what would stay in service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fleetdeploy.domain.plan import Plan


@dataclass(frozen=True)
class Expected:
    """How long something takes by what earlier runs took. ``at_least`` says that of some of it nothing is known."""

    seconds: float
    at_least: bool = False


def together(parts: Iterable[Expected | None], *, more_s: float = 0.0) -> Expected | None:
    """The parts one after the other, and ``more_s`` that are known; None where of no part anything is known."""
    found = list(parts)
    known = [part for part in found if part is not None]
    if not known:
        return None
    partly = len(known) < len(found) or any(part.at_least for part in known)
    return Expected(sum(part.seconds for part in known) + more_s, partly)


@dataclass(frozen=True)
class DomainForecast:
    """A failure domain in one wave: ``lowest`` of its ``total`` hosts serve at any moment, ``least`` of them have to.

    ``name`` is empty where the play has no failure domains, so that all of its hosts are one.
    """

    name: str
    lowest: int
    total: int
    least: int


@dataclass(frozen=True)
class ServiceForecast:
    """What of the play's hosts, whatever ``--limit`` leaves, serves: ``before`` the wave and, at the ``lowest``, in it.

    ``taken_out`` names the hosts that serve and are taken out, at most ``side_by_side`` of them at a time. ``domain``
    is the one of theirs that comes closest to what has to stay.
    """

    before: int
    lowest: int
    taken_out: tuple[str, ...] = ()
    side_by_side: int = 0
    domain: DomainForecast | None = None


@dataclass(frozen=True)
class WaveForecast:
    """One wave of a play. ``service`` is None where the play has no capacity to keep, or nobody knows what serves."""

    number: int
    hosts: tuple[str, ...]
    service: ServiceForecast | None = None
    expected: Expected | None = None


@dataclass(frozen=True)
class PlayForecast:
    """A play with work. ``max_unavailable`` of its ``total`` hosts, whatever ``--limit`` leaves, may be out at once.

    ``bound`` says that it can change what serves, so that capacity binds it; ``foreseen`` that work is planned in it,
    and not only a look at hosts that an earlier play has worked on. ``spread`` and ``min_available`` are as they stand
    in the playbook, ``soak_s`` the seconds between two waves.
    """

    name: str
    total: int
    max_unavailable: int
    waves: tuple[WaveForecast, ...]
    bound: bool = False
    foreseen: bool = True
    spread: str = ""
    min_available: str = ""
    soak_s: float = 0.0

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(name for wave in self.waves for name in wave.hosts)

    @property
    def expected(self) -> Expected | None:
        return together((wave.expected for wave in self.waves), more_s=self.soak_s * (len(self.waves) - 1))


@dataclass(frozen=True)
class RunRefusal:
    """Why a run would be refused as a whole; ``exit_code`` is that of the error it would end with."""

    message: str
    where: str = ""
    hint: str = ""
    exit_code: int = 5


@dataclass(frozen=True)
class Forecast:
    """``further`` names, by host, work of the playbook beyond what the host's services need. ``plays`` are those with
    work, in their order.
    """

    plan: Plan
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plays: tuple[PlayForecast, ...] = ()
    refusals: tuple[RunRefusal, ...] = ()

    @property
    def changing(self) -> tuple[str, ...]:
        """The hosts on which something would be done, in the plan's order."""
        return tuple(name for name, host in self.plan.hosts.items() if host.changed or self.further.get(name))

    @property
    def expected(self) -> Expected | None:
        """How long the run takes. A play that only looks again at hosts takes no time that anybody could foresee."""
        return together(play.expected for play in self.plays if play.foreseen)

    @property
    def refusal_exit_code(self) -> int:
        """One code for what hosts and the run would be refused for, chosen as for a plan; 0 without any refusal."""
        codes = {item.exit_code for item in self.refusals} | {self.plan.refusal_exit_code}
        return next((code for code in (7, 2, 5) if code in codes), 0)
