"""What a run would do: the plan of the first look, held against the plays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fleetdeploy.domain.forecast import Forecast, PlayForecast, RunRefusal, WaveForecast
from fleetdeploy.domain.plan import Plan
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.errors import FleetdeployError, HostKeyRefused, PreflightRefused
from fleetdeploy.rollout.admission import before_the_run, refusals
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.course import Progress, Turn, turn
from fleetdeploy.rollout.foresight.durations import Durations
from fleetdeploy.rollout.foresight.parts import Part, afterwards, part_of
from fleetdeploy.rollout.foresight.wave_capacity import Standings, seconds_of
from fleetdeploy.rollout.in_service import Standing
from fleetdeploy.rollout.work import work_of


def forecast(
    plan: Plan, plays: Sequence[BoundPlay], fleet: Fleet, *, forks: int, durations: Durations | None = None
) -> Forecast:
    """What ``plays`` would do with a fleet of which ``plan`` was made.

    Where something is to do each balancer is asked once. One that cannot be asked is a refusal, as it is in a run; then
    nothing is said about what serves.
    """
    now: Standing | None = None
    try:
        now = before_the_run(plan, fleet, plays)
        refused: list[FleetdeployError] = [item for bound in plays for item in refusals(plan, bound, now)]
    except (PreflightRefused, HostKeyRefused) as error:
        refused = [error]
    found = waves(plan, plays, now, forks=forks, durations=durations or Durations())
    told = dict.fromkeys(_refusal(error) for error in refused)
    return Forecast(plan, further_work(plan, plays), tuple(found), tuple(told))


def _refusal(error: FleetdeployError) -> RunRefusal:
    return RunRefusal(error.message, error.where, error.hint, error.exit_code)


def waves(
    plan: Plan, plays: Sequence[BoundPlay], now: Standing | None, *, forks: int, durations: Durations
) -> Iterator[PlayForecast]:
    """Every play that has work, as it goes when nothing fails. ``now`` is None when nobody knows what serves."""
    progress = Progress(now.out if now else frozenset(plan.unreachable))
    changed: set[str] = set()
    claimed: set[int] = set()
    for bound in plays:
        due = turn(plan, bound, progress)
        if not due.waves:
            continue
        parts = {}
        for name in (name for wave in due.waves for name in wave):
            parts[name] = part_of(plan.hosts[name], bound, changed=name in changed, claimed=claimed)
            claimed |= {id(work.call) for work in parts[name].works if work.call.once}
        standings = Standings(bound, out=progress.out, new=due.new, forks=forks)
        yield _play(bound, due, parts, standings, forks=forks, durations=durations, known=now is not None)
        done = {name: afterwards(plan.hosts[name], item) for name, item in parts.items()}
        plan = replace(plan, hosts={**plan.hosts, **done})
        changed |= {name for name, item in parts.items() if item.changes}
        progress = Progress(
            progress.out - set(bound.everyone) | standings.out,
            progress.touched | set(due.busy),
            progress.activated | {name for name, item in parts.items() if item.activates},
        )


def _play(
    bound: BoundPlay,
    due: Turn,
    parts: Mapping[str, Part],
    standings: Standings,
    *,
    forks: int,
    durations: Durations,
    known: bool,
) -> PlayForecast:
    in_traffic = any(item.in_traffic for item in parts.values())
    foreseen = any(item.works for item in parts.values())
    found = []
    for number, names in enumerate(due.waves, 1):
        wave = [parts[name] for name in names]
        expected = seconds_of(
            wave, durations, forks=forks, side_by_side=standings.side_by_side(wave), free=standings.new
        )
        service = standings.wave(wave) if in_traffic and known else None
        found.append(WaveForecast(number, names, service, expected if foreseen else None))
        standings.after(wave)
    play = bound.play
    return PlayForecast(
        name=play.name,
        total=len(bound.everyone),
        max_unavailable=bound.max_unavailable,
        waves=tuple(found),
        bound=in_traffic,
        foreseen=foreseen,
        spread=play.spread,
        min_available=str(play.min_available) if play.min_available.amount else "",
        soak_s=play.soak_s,
    )


def further_work(plan: Plan, plays: Sequence[BoundPlay]) -> Mapping[str, tuple[str, ...]]:
    """Work that the playbook finds on a host beyond what its services need: versions to prune, commands, messages.

    What leaves a host as it is, such as a command that only looks, is no work on a host that needs nothing else.
    """
    found: dict[str, list[str]] = {}
    for bound in plays:
        for name in bound.hosts:
            host = plan.hosts.get(name)
            if host is None:
                continue
            due = [work for work in work_of(host, bound.calls) if work.further(host)]
            found.setdefault(name, []).extend(f"{work.name}: {work.summary}" for work in due)
    return {name: tuple(work) for name, work in found.items() if work}
