"""A plan held against a playbook: what a deploy would do in which order, and what would stay in service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fleetdeploy.domain.freeze import Freeze
from fleetdeploy.domain.plan import Activation, HostPlan, Plan, ServicePlan

SERVICE_TASKS = frozenset({"preflight", "stage", "pull_image", "drain", "activate", "verify", "undrain"})
"""Tasks that bring a service to what it shall be; all others are done besides."""


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
class RunRefusal:
    """Why a run would be refused as a whole; ``exit_code`` is that of the error it would end with.

    ``hosts`` are all that stand in the way, where the message names the first of them only.
    """

    message: str
    where: str = ""
    hint: str = ""
    exit_code: int = 5
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlayForecast:
    """A play with work. ``max_unavailable`` of its ``total`` hosts, whatever ``--limit`` leaves, may be out at once.

    ``bound`` says that it can change what serves, so that capacity binds it; ``foreseen`` that work is planned in it,
    and not only a look at hosts that an earlier play has worked on. ``spread`` and ``min_available`` are as they stand
    in the playbook, ``soak_s`` the seconds between two waves. ``watched_s`` is after how many seconds a host that hears
    nothing more from us goes back by itself, 0 where none does. ``refusals`` say why the run is refused because of it:
    then nothing is said about what stays in service, as nothing is taken out.
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
    watched_s: float = 0.0
    refusals: tuple[RunRefusal, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(name for wave in self.waves for name in wave.hosts)

    @property
    def expected(self) -> Expected | None:
        return together((wave.expected for wave in self.waves), more_s=self.soak_s * (len(self.waves) - 1))


@dataclass(frozen=True)
class Foreseen:
    """One task that a run will do on a host. ``summary`` says what it comes to, ``changes`` whether it counts as a
    change; ``service`` is empty for a task of the whole host, such as a command.
    """

    task: str
    summary: str
    service: str = ""
    changes: bool = True


@dataclass(frozen=True)
class Pending:
    """Something that a service needs, and that none of the tasks that were chosen does. ``task`` would do it."""

    service: str
    task: str
    what: str


@dataclass(frozen=True)
class Forecast:
    """``plays`` are those with work, in their order; ``work`` is what they do, by host.

    ``work`` None is a plan that no playbook was held against: everything that its services need is done. ``freeze`` is
    what would hold a run back that begins now.
    """

    plan: Plan
    work: Mapping[str, tuple[Foreseen, ...]] | None = None
    plays: tuple[PlayForecast, ...] = ()
    refusals: tuple[RunRefusal, ...] = ()
    freeze: Freeze | None = None

    @property
    def changing(self) -> tuple[str, ...]:
        """The hosts on which something would be done by the tasks that were chosen, in the plan's order."""
        return tuple(name for name in self.plan.hosts if self.changes(name))

    def changes(self, host: str) -> bool:
        """Whether a run would change anything on the host."""
        if self.work is None:
            return self.plan.hosts[host].changed
        return any(item.changes for item in self.work.get(host, ()))

    @property
    def idle(self) -> bool:
        """Whether a run would look at hosts, and do nothing else."""
        if self.work is None or self.plan.refusals:
            return False
        return all(item.task == "preflight" for works in self.work.values() for item in works) and not any(
            not play.foreseen for play in self.plays
        )

    @property
    def pending(self) -> Mapping[str, tuple[Pending, ...]]:
        """What hosts need beyond what would be done, by host; only hosts that need something are there."""
        found = {name: still_needed(host, self.work_on(name)) for name, host in self.plan.hosts.items()}
        return {name: needs for name, needs in found.items() if needs}

    def work_on(self, host: str) -> tuple[Foreseen, ...] | None:
        """What is done on the host, in order; None where everything is that it needs."""
        return None if self.work is None else self.work.get(host, ())

    def further(self, host: str) -> tuple[str, ...]:
        """Work of the playbook on the host beyond what its services need: versions to prune, commands, messages.

        On a host whose services change, what is to be pruned shows only once they have. What leaves a host as it is,
        such as a message, is no work on a host that needs nothing else.
        """
        works = self.work_on(host) or ()
        if not self.changes(host) and not still_needed(self.plan.hosts[host], works):
            return ()
        of_services = any(item.task in SERVICE_TASKS for item in works)
        return tuple(
            f"{item.task}: {item.summary}"
            for item in works
            if item.task not in SERVICE_TASKS and (not item.service or not of_services)
        )

    @property
    def expected(self) -> Expected | None:
        """How long the run takes. A play that only looks again at hosts takes no time that anybody could foresee."""
        return together(play.expected for play in self.plays if play.foreseen)

    @property
    def refusal_exit_code(self) -> int:
        """One code for what hosts and the run would be refused for, chosen as for a plan; 0 without any refusal."""
        codes = {item.exit_code for item in self.refusals} | {self.plan.refusal_exit_code}
        return next((code for code in (7, 2, 5) if code in codes), 0)


def still_needed(host: HostPlan, work: Sequence[Foreseen] | None) -> tuple[Pending, ...]:
    """What the host's services need beyond ``work``; nothing of a host that is refused."""
    if work is None or host.refusals:
        return ()
    done = {(item.service, item.task) for item in work}
    return tuple(need for service in host.services for need in _needs(service) if (need.service, need.task) not in done)


def _needs(plan: ServicePlan) -> Iterator[Pending]:
    name = plan.desired.name
    if plan.stage:
        yield Pending(name, "stage", "stage " + ", ".join(f"{item.model}/{item.version.number}" for item in plan.stage))
    if plan.pull_image:
        yield Pending(name, "pull_image", f"pull image {plan.desired.wish.image}")
    if plan.activation is not Activation.NOTHING:
        task = "verify" if plan.activation is Activation.VERIFY else "activate"
        yield Pending(name, task, f"{plan.activation.value}, {plan.reason}")
    if plan.undrain:
        yield Pending(name, "undrain", "put back into its balancer")
