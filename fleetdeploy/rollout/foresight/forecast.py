"""What a run would do: the plan of the first look, held against the plays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from fleetdeploy.domain.forecast import Forecast, Foreseen, PlayForecast, RunRefusal, ServiceForecast, WaveForecast
from fleetdeploy.domain.plan import Plan
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import FleetdeployError, HostKeyRefused, PreflightRefused
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity.admission import barriers, before_the_run
from fleetdeploy.rollout.capacity.in_service import Standing
from fleetdeploy.rollout.course import Progress, Turn, turn
from fleetdeploy.rollout.foresight.durations import Durations
from fleetdeploy.rollout.foresight.parts import Part, afterwards, foreseen, part_of
from fleetdeploy.rollout.foresight.wave_capacity import Standings, seconds_of
from fleetdeploy.rollout.host.watching import watched_s


def forecast(
    plan: Plan, plays: Sequence[BoundPlay], fleet: Fleet, *, forks: int, durations: Durations | None = None
) -> Forecast:
    """What ``plays`` would do with a fleet of which ``plan`` was made.

    Where something is to do each balancer is asked once. One that cannot be asked is a refusal, as it is in a run; then
    nothing is said about what serves.
    """
    now: Standing | None = None
    refused: list[tuple[RunRefusal, ...]] = [()] * len(plays)
    told: tuple[RunRefusal, ...] = ()
    try:
        now = before_the_run(plan, fleet, plays)
        refused = [tuple(_refusal(item.error, item.hosts) for item in barriers(plan, bound, now)) for bound in plays]
        told = tuple(dict.fromkeys(item for refusals in refused for item in refusals))
    except (PreflightRefused, HostKeyRefused) as error:
        told = (_refusal(error),)
    legs = tuple(_course(plan, plays, now.out if now else frozenset(plan.unreachable), forks=forks))
    found = tuple(
        _play(leg, refused[leg.at], durations=durations or Durations(), forks=forks, known=now is not None)
        for leg in legs
    )
    return Forecast(plan, _work(legs), found, told)


def without_capacity(
    plan: Plan, plays: Sequence[BoundPlay], *, forks: int, durations: Durations | None = None
) -> Forecast:
    """What ``plays`` would do on each host, and how long that takes by ``durations``: no balancer is asked."""
    legs = tuple(_course(plan, plays, frozenset(plan.unreachable), forks=forks))
    found = (_play(leg, (), durations=durations or Durations(), forks=forks, known=False) for leg in legs)
    return Forecast(plan, _work(legs), tuple(found))


def _refusal(error: FleetdeployError, hosts: tuple[str, ...] = ()) -> RunRefusal:
    return RunRefusal(error.message, error.where, error.hint, error.exit_code, hosts)


@dataclass(frozen=True)
class _Leg:
    """One play of the run that has work; of each wave how many hosts it works on side by side, and what serves.

    ``costless`` hosts cost no capacity.
    """

    at: int
    bound: BoundPlay
    due: Turn
    parts: Mapping[str, Part]
    side_by_side: tuple[int, ...]
    services: tuple[ServiceForecast, ...]
    costless: frozenset[str]

    def wave(self, at: int) -> list[Part]:
        return [self.parts[name] for name in self.due.waves[at]]


def _course(plan: Plan, plays: Sequence[BoundPlay], out: AbstractSet[str], *, forks: int) -> Iterator[_Leg]:
    """The run as it goes when nothing fails. ``out`` are the hosts that served before and do not now."""
    progress = Progress(frozenset(out))
    changed: set[str] = set()
    claimed: set[int] = set()
    for at, bound in enumerate(plays):
        due = turn(plan, bound, progress)
        if not due.waves:
            continue
        parts = {}
        for name in (name for wave in due.waves for name in wave):
            parts[name] = part_of(plan.hosts[name], bound, changed=name in changed, claimed=claimed)
            claimed |= {id(work.call) for work in parts[name].works if work.call.once}
        standings = Standings(bound, out=progress.out, new=due.new, forks=forks)
        side_by_side, services, costless = [], [], frozenset(standings.new)
        for names in due.waves:
            wave = [parts[name] for name in names]
            side_by_side.append(standings.side_by_side(wave))
            services.append(standings.wave(wave))
            standings.after(wave)
        yield _Leg(at, bound, due, parts, tuple(side_by_side), tuple(services), costless)
        done = {name: afterwards(plan.hosts[name], item) for name, item in parts.items()}
        plan = replace(plan, hosts={**plan.hosts, **done})
        changed |= {name for name, item in parts.items() if item.changes}
        progress = Progress(
            progress.out - set(bound.everyone) | standings.out,
            progress.touched | set(due.busy),
            progress.activated | {name for name, item in parts.items() if item.activates},
        )


def _work(legs: Iterator[_Leg] | Sequence[_Leg]) -> Mapping[str, tuple[Foreseen, ...]]:
    found: dict[str, tuple[Foreseen, ...]] = {}
    for leg in legs:
        for name, part in leg.parts.items():
            found[name] = (*found.get(name, ()), *foreseen(part))
    return found


def _play(leg: _Leg, refused: tuple[RunRefusal, ...], *, durations: Durations, forks: int, known: bool) -> PlayForecast:
    in_traffic = any(item.in_traffic for item in leg.parts.values())
    is_foreseen = any(item.works for item in leg.parts.values())
    found = []
    for at, names in enumerate(leg.due.waves):
        expected = seconds_of(
            leg.wave(at), durations, forks=forks, side_by_side=leg.side_by_side[at], free=leg.costless
        )
        service = leg.services[at] if in_traffic and known and not refused else None
        found.append(WaveForecast(at + 1, names, service, expected if is_foreseen and not refused else None))
    bound, play = leg.bound, leg.bound.play
    return PlayForecast(
        name=play.name,
        total=len(bound.everyone),
        max_unavailable=bound.max_unavailable,
        waves=tuple(found),
        bound=in_traffic,
        foreseen=is_foreseen,
        spread=play.spread,
        min_available=str(play.min_available) if play.min_available.amount else "",
        soak_s=play.soak_s,
        watched_s=max(_watched_s(leg), default=0.0),
        refusals=refused,
    )


def _watched_s(leg: _Leg) -> Iterator[float]:
    """After how long each host that is activated would go back by itself."""
    for name, part in leg.parts.items():
        services = {work.plan.desired.name: work.plan for work in part.works if work.name == "activate"}
        if leg.bound.play.confirm_timeout_s and services:
            yield watched_s(leg.bound.calls, name, [*services.values()], confirm_s=leg.bound.play.confirm_timeout_s)
